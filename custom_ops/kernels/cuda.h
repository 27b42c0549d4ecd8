// What the CUDA kernels share: storage types, 16-byte accesses, launches. The tests also compile the kernels with a plain
// C++ compiler and a header that plays the device (TF_STYLEGAN_EMULATED_CUDA), so nothing else of CUDA's is used.
#ifndef TF_STYLEGAN_KERNELS_CUDA_H_
#define TF_STYLEGAN_KERNELS_CUDA_H_

#include <stdint.h>
#include <string.h>

#include "common.h"

#ifdef TF_STYLEGAN_EMULATED_CUDA
#include TF_STYLEGAN_EMULATED_CUDA
#else
#include <cuda_fp16.h>
#include <cuda_runtime.h>
#define TF_STYLEGAN_LAUNCH(kernel, grid, block, stream, ...) kernel<<<grid, block, 0, (cudaStream_t)stream>>>(__VA_ARGS__)
#endif

namespace {

enum { kThreads = 256 };  // of a block

struct bfloat16 {
  uint16_t bits;
};

// Storage types, and the type of the arithmetic on them.
template <typename T>
struct Real {
  typedef float type;
};
template <>
struct Real<double> {
  typedef double type;
};

__host__ __device__ inline float widen(float x) { return x; }
__host__ __device__ inline double widen(double x) { return x; }
__host__ __device__ inline float widen(__half x) { return __half2float(x); }
__host__ __device__ inline float widen(bfloat16 x) {
  const uint32_t bits = (uint32_t)x.bits << 16;
  float real;
  memcpy(&real, &bits, sizeof real);
  return real;
}

__host__ __device__ inline void narrow(float x, float* to) { *to = x; }
__host__ __device__ inline void narrow(double x, double* to) { *to = x; }
__host__ __device__ inline void narrow(float x, __half* to) { *to = __float2half_rn(x); }
__host__ __device__ inline void narrow(float x, bfloat16* to) {
  uint32_t u;
  memcpy(&u, &x, sizeof u);
  // To nearest, ties to even; a NaN stays one.
  to->bits = (uint16_t)(x != x ? (u >> 16) | 0x40u : (u + 0x7fffu + ((u >> 16) & 1u)) >> 16);
}

// V neighbouring elements, moved at once: 16 bytes, or a single element where addresses or sizes allow no more.
template <typename T, int V>
struct alignas(V * sizeof(T)) Vector {
  T element[V];
};

// How many elements 16 bytes hold, or 1 unless `c` is a multiple of that and all pointers are (null ones are).
template <typename T>
int vector_size(int64_t c, const void* const* pointers, int count) {
  const int size = 16 / (int)sizeof(T);
  bool aligned = c % size == 0;
  for (int i = 0; i < count; ++i) aligned = aligned && (uintptr_t)pointers[i] % 16 == 0;
  return aligned ? size : 1;
}

template <typename T, int V>
__device__ inline void load(const T* from, typename Real<T>::type* to) {
  const Vector<T, V> vector = *(const Vector<T, V>*)from;
#pragma unroll
  for (int i = 0; i < V; ++i) to[i] = widen(vector.element[i]);
}

template <typename T, int V>
__device__ inline void store(T* to, const typename Real<T>::type* from) {
  Vector<T, V> vector;
#pragma unroll
  for (int i = 0; i < V; ++i) narrow(from[i], &vector.element[i]);
  *(Vector<T, V>*)to = vector;
}

// Blocks for `total` threads, or 0 if there are more than a launch can have.
inline unsigned blocks_for(int64_t total) {
  const int64_t blocks = (total + kThreads - 1) / kThreads;
  return blocks <= INT32_MAX ? (unsigned)blocks : 0;
}

}  // namespace

#endif  // TF_STYLEGAN_KERNELS_CUDA_H_
