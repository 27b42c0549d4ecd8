// The innermost loops of convolutions in float32: some pixels times a block of output channels, summed in registers.
#ifndef TF_STYLEGAN_KERNELS_CONV2D_FMA_H_
#define TF_STYLEGAN_KERNELS_CONV2D_FMA_H_

#include "simd.h"

namespace {

enum { kLanes = SIMD_BYTES / 4 };
// Registers for sums: kMostRows × 2 vectors, and room for two vectors of weights and one broadcast number.
#if defined(__AVX512F__)
enum { kMostRows = 14 };
#else
enum { kMostRows = 6 };
#endif
enum { kBlock = 2 * kLanes };  // output channels at a time

#if defined(__AVX512F__)
SIMD_INLINE vf multiply_add(vf a, vf b, vf c) { return (vf)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c); }
SIMD_INLINE vf load_some(const float* p, int64_t n) { return (vf)_mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p); }
SIMD_INLINE void store_some(float* p, vf v, int64_t n) {
  _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), (__m512)v);
}
#else
#if defined(__AVX2__)
SIMD_INLINE vf multiply_add(vf a, vf b, vf c) { return (vf)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c); }
#else
SIMD_INLINE vf multiply_add(vf a, vf b, vf c) { return a * b + c; }
#endif
SIMD_INLINE vf load_some(const float* p, int64_t n) { return load_part(p, n); }
SIMD_INLINE void store_some(float* p, vf v, int64_t n) { store_part(p, v, n); }
#endif
SIMD_INLINE vf load_some(const bfloat16* p, int64_t n) { return load_part(p, n); }
SIMD_INLINE void store_some(bfloat16* p, vf v, int64_t n) { store_part(p, v, n); }

// to[p][0 … vectors · lanes) (+)= Σ over taps t and channels k < depth of x[p · pitch + offsets[t] + k] · w[t][k][…].
// w lies [taps, depth, kBlock].
typedef void (*FmaKernel)(const float* x, const int64_t* offsets, int64_t taps, int64_t depth, const float* w,
                          float* to, int64_t to_pitch, bool add);

template <int pixels, int vectors, int pitch>
void fma_kernel(const float* x, const int64_t* offsets, int64_t taps, int64_t depth, const float* w, float* to,
                int64_t to_pitch, bool add) {
  vf sum[pixels][vectors];
#pragma GCC unroll 16
  for (int p = 0; p < pixels; ++p) {
#pragma GCC unroll 2
    for (int v = 0; v < vectors; ++v) sum[p][v] = add ? load(to + p * to_pitch + v * kLanes) : vf{};
  }
  for (int64_t t = 0; t < taps; ++t) {
    const float* from = x + offsets[t];
#pragma GCC unroll 2
    for (int64_t k = 0; k < depth; ++k, ++from, w += kBlock) {
      vf weights[vectors];
#pragma GCC unroll 2
      for (int v = 0; v < vectors; ++v) weights[v] = load(w + v * kLanes);
#pragma GCC unroll 16
      for (int p = 0; p < pixels; ++p) {
        const vf number = splat(from[p * pitch]);
#pragma GCC unroll 2
        for (int v = 0; v < vectors; ++v) sum[p][v] = multiply_add(number, weights[v], sum[p][v]);
      }
    }
  }
#pragma GCC unroll 16
  for (int p = 0; p < pixels; ++p) {
#pragma GCC unroll 2
    for (int v = 0; v < vectors; ++v) store<false>(to + p * to_pitch + v * kLanes, sum[p][v]);
  }
}

template <int vectors, int pitch>
FmaKernel fma_kernel_of(int64_t pixels) {
  switch (pixels) {
#define CASE(n) \
  case n:       \
    return fma_kernel<n, vectors, pitch>;
    CASE(1) CASE(2) CASE(3) CASE(4) CASE(5)
#if defined(__AVX512F__)
    CASE(6) CASE(7) CASE(8) CASE(9) CASE(10) CASE(11) CASE(12) CASE(13)
#endif
#undef CASE
  }
  return fma_kernel<kMostRows, vectors, pitch>;
}

template <int vectors>
FmaKernel fma_kernel_of(int64_t pixels, int64_t pitch) {
  switch (pitch) {
    case 16:
      return fma_kernel_of<vectors, 16>(pixels);
    case 32:
      return fma_kernel_of<vectors, 32>(pixels);
    case 64:
      return fma_kernel_of<vectors, 64>(pixels);
  }
  return fma_kernel_of<vectors, 128>(pixels);
}

}  // namespace

#endif  // TF_STYLEGAN_KERNELS_CONV2D_FMA_H_
