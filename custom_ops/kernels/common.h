// What every kernel shares: codes, threads, instruction sets. Plain C, so that ctypes can mirror it.
#ifndef TF_STYLEGAN_KERNELS_COMMON_H_
#define TF_STYLEGAN_KERNELS_COMMON_H_

#include <stddef.h>
#include <stdint.h>

// The names that a library of kernels shows; everything else is compiled with -fvisibility=hidden.
#define TF_STYLEGAN_API __attribute__((visibility("default")))

#ifdef __cplusplus
extern "C" {
#endif

// How images are stored. Arithmetic is float32 for the first three, float64 for the last. Biases, noise, scales and
// sums ("parameters") have the type of the arithmetic.
enum { TF_STYLEGAN_FLOAT32 = 0, TF_STYLEGAN_BFLOAT16 = 1, TF_STYLEGAN_FLOAT16 = 2, TF_STYLEGAN_FLOAT64 = 3 };

// Instruction set of the CPU kernels; AUTO takes the best that this machine has.
enum { TF_STYLEGAN_ISA_AUTO = 0, TF_STYLEGAN_ISA_BASE = 1, TF_STYLEGAN_ISA_AVX2 = 2, TF_STYLEGAN_ISA_AVX512 = 3 };

// What functions return; tf_stylegan_error() has the words. CUDA launches return a cudaError_t instead (0 is success).
enum {
  TF_STYLEGAN_OK = 0,
  TF_STYLEGAN_BAD_ARGUMENT = 1,
  TF_STYLEGAN_TOO_LARGE = 2,
  TF_STYLEGAN_NO_MEMORY = 3,
  TF_STYLEGAN_NO_SUCH_ISA = 4
};

// A piece of work: units [begin, end).
typedef void (*tf_stylegan_work)(void* arg, int64_t begin, int64_t end);

// Who runs the pieces. parallel_for must call work(arg, …) so that every unit of [0, total) is done once, on any threads
// and in any order, and return when all are done. cost: estimated CPU cycles per unit. A null parallel_for means the
// calling thread.
typedef struct {
  void (*parallel_for)(void* context, int64_t total, int64_t cost, tf_stylegan_work work, void* arg);
  void* context;
} tf_stylegan_threads;

// The best instruction set that this machine can run and this library was built with: one of the ISA codes.
TF_STYLEGAN_API int tf_stylegan_best_isa(void);

// The words for a code above.
TF_STYLEGAN_API const char* tf_stylegan_error(int code);

// Only in libraries with CUDA kernels. The words for a cudaError_t, and whether kernels can run on the current device: 0,
// or the cudaError_t that says why not (no device, an old driver, no code for its architecture).
TF_STYLEGAN_API const char* tf_stylegan_cuda_error(int code);
TF_STYLEGAN_API int tf_stylegan_cuda_check(void);

// Fills memory of the device with zero bytes; returns a cudaError_t.
TF_STYLEGAN_API int tf_stylegan_cuda_zero(void* memory, int64_t bytes, void* stream);

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // TF_STYLEGAN_KERNELS_COMMON_H_
