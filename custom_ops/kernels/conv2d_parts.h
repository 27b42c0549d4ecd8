// Numbers as sums of bfloat16 numbers, and the order in which AMX and AVX512_BF16 want pairs of them.
#ifndef TF_STYLEGAN_KERNELS_CONV2D_PARTS_H_
#define TF_STYLEGAN_KERNELS_CONV2D_PARTS_H_

#include "conv2d_amx.h"
#include "conv2d_fma.h"

namespace {

// Bits of the same numbers.
SIMD_INLINE __m256i narrow(vf x) { return (__m256i)_mm512_cvtneps_pbh((__m512)x); }
SIMD_INLINE vf widen(__m256i x) { return (vf)_mm512_slli_epi32(_mm512_cvtepu16_epi32(x), 16); }

// Part i of `parts` from what is left of x. All but the last are the nearest within what bfloat16 counts to: so 3.4e38
// does not become infinite, and what is infinite or no number is so in its last part, which is multiplied by nothing but
// the other number's first, whose sign is that of the whole.
template <int parts>
SIMD_INLINE __m256i part_of(vf x, int i) {
  const __m512 most = _mm512_castsi512_ps(_mm512_set1_epi32(0x7f7f7fff));  // the largest float32 that rounds to a number
  return narrow(i + 1 < parts ? (vf)_mm512_range_ps((__m512)x, most, 2) : x);  // the smaller magnitude, the sign of x
}

// x = Σ of parts, each the nearest to what is left, stored `plane` apart.
template <int parts>
SIMD_INLINE void store_parts(uint16_t* to, int64_t plane, vf x) {
#pragma GCC unroll 3
  for (int i = 0; i < parts; ++i) {
    const __m256i part = part_of<parts>(x, i);
    _mm256_storeu_si256((__m256i*)(to + i * plane), part);
    x -= widen(part);
  }
}

// The same for the elements in `mask` only.
template <int parts>
SIMD_INLINE void store_parts(uint16_t* to, int64_t plane, vf x, __mmask16 mask) {
#pragma GCC unroll 3
  for (int i = 0; i < parts; ++i) {
    const __m256i part = part_of<parts>(x, i);
    _mm256_mask_storeu_epi16(to + i * plane, mask, part);
    x -= widen(part);
  }
}

// Row k and row k + 1 of a matrix, 16 columns: stores their pairs, each part 2 tiles after the one before.
template <int parts>
SIMD_INLINE void store_pairs(uint16_t* to, vf even, vf odd) {
#pragma GCC unroll 3
  for (int i = 0; i < parts; ++i) {
    const __m256i even_part = part_of<parts>(even, i), odd_part = part_of<parts>(odd, i);
    const __m512i high = _mm512_slli_epi32(_mm512_cvtepu16_epi32(odd_part), 16);
    _mm512_storeu_si512(to + i * kTileBytes, _mm512_or_si512(_mm512_cvtepu16_epi32(even_part), high));
    even -= widen(even_part), odd -= widen(odd_part);
  }
}

// Rows become columns.
inline void transpose(vf v[16]) {
  __m512 a[16], b[16];
#pragma GCC unroll 8
  for (int i = 0; i < 16; i += 2) {
    a[i] = _mm512_unpacklo_ps((__m512)v[i], (__m512)v[i + 1]);
    a[i + 1] = _mm512_unpackhi_ps((__m512)v[i], (__m512)v[i + 1]);
  }
#define PD(x) _mm512_castps_pd(x)
#pragma GCC unroll 4
  for (int i = 0; i < 16; i += 4) {
    b[i] = _mm512_castpd_ps(_mm512_unpacklo_pd(PD(a[i]), PD(a[i + 2])));
    b[i + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(PD(a[i]), PD(a[i + 2])));
    b[i + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(PD(a[i + 1]), PD(a[i + 3])));
    b[i + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(PD(a[i + 1]), PD(a[i + 3])));
  }
#undef PD
  // b[4 i + j] holds columns j, j + 4, j + 8, j + 12 of rows 4 i … 4 i + 3.
#pragma GCC unroll 4
  for (int j = 0; j < 4; ++j) {
    const __m512 low01 = _mm512_shuffle_f32x4(b[j], b[j + 4], 0x88), odd01 = _mm512_shuffle_f32x4(b[j], b[j + 4], 0xdd);
    const __m512 low23 = _mm512_shuffle_f32x4(b[j + 8], b[j + 12], 0x88);
    const __m512 odd23 = _mm512_shuffle_f32x4(b[j + 8], b[j + 12], 0xdd);
    v[j] = (vf)_mm512_shuffle_f32x4(low01, low23, 0x88), v[j + 8] = (vf)_mm512_shuffle_f32x4(low01, low23, 0xdd);
    v[j + 4] = (vf)_mm512_shuffle_f32x4(odd01, odd23, 0x88), v[j + 12] = (vf)_mm512_shuffle_f32x4(odd01, odd23, 0xdd);
  }
}

}  // namespace

#endif  // TF_STYLEGAN_KERNELS_CONV2D_PARTS_H_
