// Plays a CUDA device on the CPU, well enough for the kernels of custom_ops: blocks one after the other, the threads of a
// block as fibers that hand over at __syncthreads(). Slow, and blind to races within a warp; but every index, bound and
// formula is the one that a GPU would compute.
#ifndef TF_STYLEGAN_EMULATED_CUDA_H_
#define TF_STYLEGAN_EMULATED_CUDA_H_

#include <math.h>
#include <stdint.h>
#include <string.h>
#include <ucontext.h>

#include <functional>
#include <vector>

#define __global__ static
#define __device__
#define __host__
#define __launch_bounds__(...)
#define __shared__ static  // blocks run one at a time

typedef int cudaError_t;
typedef void* cudaStream_t;
enum { cudaSuccess = 0, cudaErrorInvalidValue = 1, cudaMemcpyHostToDevice = 1 };
// An error is told again until it is asked for.
static cudaError_t last_error = cudaSuccess;
inline cudaError_t cudaGetLastError() {
  const cudaError_t error = last_error;
  last_error = cudaSuccess;
  return error;
}
inline cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t n, int, cudaStream_t) {
  if (!to) return last_error = cudaErrorInvalidValue;
  memcpy(to, from, n);
  return cudaSuccess;
}

typedef _Float16 __half;
inline float __half2float(__half x) { return (float)x; }
inline __half __float2half_rn(float x) { return (__half)x; }

struct Place {
  unsigned x;
};
static Place threadIdx, blockIdx;

namespace emulated {

struct Fiber {
  ucontext_t context;
  std::vector<char> stack = std::vector<char>(1 << 16);
  bool done;
};
static ucontext_t scheduler;
static std::vector<Fiber> fibers;
static const std::function<void()>* kernel;
static unsigned running;

static void enter() {
  (*kernel)();
  fibers[running].done = true;
}

static void launch(unsigned grid, unsigned block, const std::function<void()>& body) {
  kernel = &body;
  fibers.resize(block);
  for (blockIdx.x = 0; blockIdx.x < grid; ++blockIdx.x) {
    for (Fiber& fiber : fibers) {
      fiber.done = false;
      getcontext(&fiber.context);
      fiber.context.uc_stack.ss_sp = fiber.stack.data();
      fiber.context.uc_stack.ss_size = fiber.stack.size();
      fiber.context.uc_link = &scheduler;
      makecontext(&fiber.context, enter, 0);
    }
    for (bool all_done = false; !all_done;) {  // from one __syncthreads() to the next
      all_done = true;
      for (running = 0; running < block; ++running) {
        if (fibers[running].done) continue;
        threadIdx.x = running;
        swapcontext(&scheduler, &fibers[running].context);
        all_done = all_done && fibers[running].done;
      }
    }
  }
}

}  // namespace emulated

static void __syncthreads() { swapcontext(&emulated::fibers[emulated::running].context, &emulated::scheduler); }

// All threads of a block must come here equally often, as they must to __syncthreads().
template <typename T>
static T __shfl_xor_sync(unsigned, T mine, int mask) {
  static std::vector<T> values;
  values.resize(emulated::fibers.size());
  values[threadIdx.x] = mine;
  __syncthreads();
  const T theirs = values[threadIdx.x ^ mask];
  __syncthreads();
  return theirs;
}

#define TF_STYLEGAN_LAUNCH(kernel, grid, block, stream, ...) \
  emulated::launch(grid, block, [=] { kernel(__VA_ARGS__); })

#endif  // TF_STYLEGAN_EMULATED_CUDA_H_
