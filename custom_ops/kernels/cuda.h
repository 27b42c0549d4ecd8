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

// Two neighbours at once: a single instruction where the device has it.
template <typename S, typename T>
__host__ __device__ inline void narrow(S x, S y, T* to) {
  narrow(x, to);
  narrow(y, to + 1);
}
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
__device__ inline void narrow(float x, float y, bfloat16* to) {
  uint32_t bits;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(bits) : "f"(y), "f"(x));
  memcpy(to, &bits, sizeof bits);
}
__device__ inline void narrow(float x, float y, __half* to) {
  uint32_t bits;
  asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(bits) : "f"(y), "f"(x));
  memcpy(to, &bits, sizeof bits);
}
#endif

// y within [−most, most]; what is no number stays so.
template <typename S>
__device__ inline S cut(S y, S most) {
  return y > most ? most : y < -most ? -most : y;
}
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
__device__ inline float cut(float y, float most) {
  float high, low;
  asm("max.NaN.f32 %0, %1, %2;" : "=f"(high) : "f"(y), "f"(-most));
  asm("min.NaN.f32 %0, %1, %2;" : "=f"(low) : "f"(high), "f"(most));
  return low;
}
#endif

// V neighbouring elements, moved at once: 16 bytes, or a single element where addresses or sizes allow no more.
template <typename T, int V>
struct alignas(V * sizeof(T)) Vector {
  T element[V];
};

// Whether addresses are multiples of 16 bytes; null ones are.
inline bool all_aligned(const void* const* pointers, int count) {
  bool aligned = true;
  for (int i = 0; i < count; ++i) aligned = aligned && (uintptr_t)pointers[i] % 16 == 0;
  return aligned;
}

template <typename T, int V>
__device__ inline void load(const T* from, typename Real<T>::type* to) {
  const Vector<T, V> vector = *(const Vector<T, V>*)from;
#pragma unroll
  for (int i = 0; i < V; ++i) to[i] = widen(vector.element[i]);
}

// V parameters, 16 bytes at a time.
template <int V, typename S>
__device__ inline void load_numbers(const S* from, S* to) {
  enum { step = V * sizeof(S) < 16 ? V : 16 / sizeof(S) };
#pragma unroll
  for (int i = 0; i < V; i += step) load<S, step>(from + i, to + i);
}

template <typename T, int V>
__device__ inline void store(T* to, const typename Real<T>::type* from) {
  Vector<T, V> vector;
  if (V > 1) {
#pragma unroll
    for (int i = 0; i + 1 < V; i += 2) narrow(from[i], from[i + 1], vector.element + i);
  } else {
    narrow(from[0], vector.element);
  }
  *(Vector<T, V>*)to = vector;
}

// Division of numbers below 2^31 by one that the host knows: a product, whose upper half is the quotient.
struct Divisor {
  uint32_t by, factor;
  int shift;
  explicit Divisor(int64_t d) : by((uint32_t)d), shift(0) {
    while ((INT64_C(1) << shift) < d) ++shift;
    factor = (uint32_t)((((uint64_t)((INT64_C(1) << shift) - d)) << 32) / (uint64_t)d + 1);
  }
  __device__ uint32_t quotient(uint32_t n) const { return ((uint32_t)(((uint64_t)n * factor) >> 32) + n) >> shift; }
};

// The same without a bound.
struct WideDivisor {
  uint64_t by;
  explicit WideDivisor(int64_t d) : by((uint64_t)d) {}
  __device__ uint64_t quotient(uint64_t n) const { return n / by; }
};

// Blocks for `total` threads, or 0 if there are more than a launch can have.
inline unsigned blocks_for(int64_t total) {
  const int64_t blocks = (total + kThreads - 1) / kThreads;
  return blocks <= INT32_MAX ? (unsigned)blocks : 0;
}

}  // namespace

#endif  // TF_STYLEGAN_KERNELS_CUDA_H_
