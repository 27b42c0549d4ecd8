// Vectors of the widest kind that the compiler was asked for, written with GCC's and Clang's vector extension: the same
// source is compiled once per instruction set. Everything has internal linkage, and nothing of the C++ library's
// templates is used: a function compiled for AVX-512 must never be the one that the linker keeps for everybody.
#ifndef TF_STYLEGAN_KERNELS_SIMD_H_
#define TF_STYLEGAN_KERNELS_SIMD_H_

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
#define SIMD_BYTES 64
#elif defined(__AVX2__)
#define SIMD_BYTES 32
#else
#define SIMD_BYTES 16
#endif

#define SIMD_INLINE static inline __attribute__((always_inline))

// Narrow storage types: distinct so that templates can tell them apart.
struct bfloat16 {
  uint16_t bits;
};
struct float16 {
  uint16_t bits;
};

typedef float vf __attribute__((vector_size(SIMD_BYTES)));
typedef int32_t vi __attribute__((vector_size(SIMD_BYTES)));
typedef uint32_t vu __attribute__((vector_size(SIMD_BYTES)));
typedef uint16_t vh __attribute__((vector_size(SIMD_BYTES / 2)));
typedef double vd __attribute__((vector_size(SIMD_BYTES)));
typedef int64_t vl __attribute__((vector_size(SIMD_BYTES)));

// T: storage; compute: type of the arithmetic; V: a vector of it; I: integers of the same size; lanes: how many; picks:
// whether pick() is an instruction or two.
template <typename T>
struct Simd {
  typedef float compute;
  typedef vf V;
  typedef vi I;
  static const int lanes = SIMD_BYTES / 4;
  static const bool picks = SIMD_BYTES > 16;
};
template <>
struct Simd<double> {
  typedef double compute;
  typedef vd V;
  typedef vl I;
  static const int lanes = SIMD_BYTES / 8;
  static const bool picks = SIMD_BYTES > 32;
};

// Memory at a border of cache lines, of which vectors then touch one each; to be given to free(). Null if there is none.
template <typename T>
SIMD_INLINE T* allocate(int64_t n) {
  void* p;
  return posix_memalign(&p, 64, (n > 0 ? n : 1) * sizeof(T)) ? nullptr : (T*)p;
}

template <typename To, typename From>
SIMD_INLINE To bits_of(From from) {
  static_assert(sizeof(To) == sizeof(From), "as many bits");
  To to;
  memcpy(&to, &from, sizeof to);
  return to;
}

SIMD_INLINE vf splat(float x) { return x - vf{}; }
SIMD_INLINE vd splat(double x) { return x - vd{}; }

// Conversions of narrow types ------------------------------------------------------------------------------------------

SIMD_INLINE vf widen_bfloat16(vh h) { return bits_of<vf>(__builtin_convertvector(h, vu) << 16); }

SIMD_INLINE vh narrow_bfloat16(vf x) {
  const vu u = bits_of<vu>(x);
  const vu rounded = (u + 0x7fffu + ((u >> 16) & 1u)) >> 16;  // to nearest, ties to even
  const vu quiet = (u >> 16) | 0x40u;                         // rounding up could make an infinity of a NaN
  return __builtin_convertvector(x != x ? quiet : rounded, vh);
}

#if defined(__AVX512F__)
SIMD_INLINE vf widen_float16(vh h) { return (vf)_mm512_cvtph_ps((__m256i)h); }
SIMD_INLINE vh narrow_float16(vf x) { return (vh)_mm512_cvtps_ph((__m512)x, _MM_FROUND_TO_NEAREST_INT); }
#elif defined(__F16C__)
SIMD_INLINE vf widen_float16(vh h) { return (vf)_mm256_cvtph_ps((__m128i)h); }
SIMD_INLINE vh narrow_float16(vf x) { return (vh)_mm256_cvtps_ph((__m256)x, _MM_FROUND_TO_NEAREST_INT); }
#else
SIMD_INLINE vf widen_float16(vh h) {
  const vu u = __builtin_convertvector(h, vu);
  const vu sign = (u & 0x8000u) << 16, rest = (u & 0x7fffu) << 13;
  // Subnormal numbers by way of integers: threads that take float32's for zero, like TensorFlow's, never meet one.
  const vu tiny = bits_of<vu>(__builtin_convertvector((vi)(u & 0x3ffu), vf) * 5.9604644775390625e-8f);  // 2^−24
  const vu finite = (u & 0x7c00u) == 0 ? tiny : rest + (112u << 23);
  return bits_of<vf>(sign | ((u & 0x7c00u) == 0x7c00u ? rest | 0x7f800000u : finite));
}
SIMD_INLINE vh narrow_float16(vf x) {
  const vu u = bits_of<vu>(x), sign = (u >> 16) & 0x8000u, magnitude = u & 0x7fffffffu;
  // Normal results: shift the bias and round to nearest even by hand. Subnormal ones: let an addition round.
  const vu normal = (magnitude - (112u << 23) + 0xfffu + ((magnitude >> 13) & 1u)) >> 13;
  const vu tiny = bits_of<vu>(bits_of<vf>(magnitude) + 0.5f) - 0x3f000000u;
  vu result = magnitude < (113u << 23) ? tiny : normal;
  result = magnitude >= 0x477ff000u ? vu{} + 0x7c00u : result;  // 65520 and more: infinity
  result = magnitude > 0x7f800000u ? vu{} + 0x7e00u : result;   // NaN
  return __builtin_convertvector(result | sign, vh);
}
#endif

// Loads and stores -----------------------------------------------------------------------------------------------------

SIMD_INLINE vf load(const float* p) {
  vf v;
  memcpy(&v, p, sizeof v);
  return v;
}
SIMD_INLINE vd load(const double* p) {
  vd v;
  memcpy(&v, p, sizeof v);
  return v;
}
SIMD_INLINE vf load(const bfloat16* p) {
  vh h;
  memcpy(&h, p, sizeof h);
  return widen_bfloat16(h);
}
SIMD_INLINE vf load(const float16* p) {
  vh h;
  memcpy(&h, p, sizeof h);
  return widen_float16(h);
}

// Stores of a whole vector's bits; `stream` goes past the caches: right for results larger than they are. p must then be
// aligned to the bytes stored.
template <bool stream, size_t bytes>
struct Put {
  template <typename H>
  SIMD_INLINE void run(void* p, H h) {
    memcpy(p, &h, sizeof h);
  }
};
#if defined(__AVX512F__)
template <>
struct Put<true, 64> {
  template <typename H>
  SIMD_INLINE void run(void* p, H h) {
    _mm512_stream_si512((__m512i*)p, (__m512i)h);
  }
};
#endif
#if defined(__AVX2__)
template <>
struct Put<true, 32> {
  template <typename H>
  SIMD_INLINE void run(void* p, H h) {
    _mm256_stream_si256((__m256i*)p, (__m256i)h);
  }
};
#endif
#if defined(__SSE2__)
template <>
struct Put<true, 16> {
  template <typename H>
  SIMD_INLINE void run(void* p, H h) {
    _mm_stream_si128((__m128i*)p, (__m128i)h);
  }
};
#endif

template <bool stream>
SIMD_INLINE void store(float* p, vf v) {
  Put<stream, sizeof v>::run(p, v);
}
template <bool stream>
SIMD_INLINE void store(double* p, vd v) {
  Put<stream, sizeof v>::run(p, v);
}
template <bool stream>
SIMD_INLINE void store(bfloat16* p, vf v) {
  Put<stream, sizeof v / 2>::run(p, narrow_bfloat16(v));
}
template <bool stream>
SIMD_INLINE void store(float16* p, vf v) {
  Put<stream, sizeof v / 2>::run(p, narrow_float16(v));
}

// To be called once by each thread after its last streamed store.
SIMD_INLINE void finish_streaming() {
#if defined(__SSE2__)
  _mm_sfence();
#endif
}

// The first n < lanes numbers of a vector; the others are zero. A missing array (null) is zeros.
template <typename T>
SIMD_INLINE typename Simd<T>::V load_part(const T* p, int64_t n) {
  T all[Simd<T>::lanes] = {};
  if (p) memcpy(all, p, n * sizeof(T));
  return load(all);
}
template <typename T>
SIMD_INLINE void store_part(T* p, typename Simd<T>::V v, int64_t n) {
  T all[Simd<T>::lanes];
  store<false>(all, v);
  memcpy(p, all, n * sizeof(T));
}

// The elements mask[i] of a, or of a and b one after the other.
template <typename V, typename I>
SIMD_INLINE V pick(V a, V b, I mask) {
  const int64_t lanes = sizeof a / sizeof a[0];
  V v;
  for (int64_t i = 0; i < lanes; ++i) v[i] = mask[i] < lanes ? a[mask[i]] : b[mask[i] - lanes];
  return v;
}
template <typename V, typename I>
SIMD_INLINE V pick(V a, I mask) {
  return pick(a, a, mask);
}
#if defined(__AVX512F__)
SIMD_INLINE vf pick(vf a, vf b, vi mask) { return (vf)_mm512_permutex2var_ps((__m512)a, (__m512i)mask, (__m512)b); }
SIMD_INLINE vf pick(vf a, vi mask) { return (vf)_mm512_permutexvar_ps((__m512i)mask, (__m512)a); }
SIMD_INLINE vd pick(vd a, vd b, vl mask) { return (vd)_mm512_permutex2var_pd((__m512d)a, (__m512i)mask, (__m512d)b); }
SIMD_INLINE vd pick(vd a, vl mask) { return (vd)_mm512_permutexvar_pd((__m512i)mask, (__m512d)a); }
#elif defined(__AVX2__)
SIMD_INLINE vf pick(vf a, vi mask) { return (vf)_mm256_permutevar8x32_ps((__m256)a, (__m256i)mask); }
SIMD_INLINE vf pick(vf a, vf b, vi mask) { return mask < 8 ? pick(a, mask) : pick(b, mask); }
#endif

template <typename V>
SIMD_INLINE auto sum_of(V v) -> typename Simd<decltype(v[0] + 0)>::compute {
  auto sum = v[0] + 0;
  for (size_t i = 1; i < sizeof v / sizeof v[0]; ++i) sum += v[i];
  return sum;
}
#if defined(__AVX512F__)
SIMD_INLINE float sum_of(vf v) { return _mm512_reduce_add_ps((__m512)v); }
#endif

// Functions ------------------------------------------------------------------------------------------------------------

// exp to 2 units in the last place, for x from −87 to 88.3; below the value at −87, above infinity. NaN stays NaN.
SIMD_INLINE vf vexp(vf x) {
  x = x > 89.0f ? splat(89.0f) : x;
  x = x < -87.0f ? splat(-87.0f) : x;
  const vf magic = splat(12582912.0f);  // 1.5 · 2^23: adding it rounds to an integer, found in the low bits
  const vf shifted = x * 1.44269504f + magic;
  const vf n = shifted - magic;
  const vf r = x - n * 0.693359375f - n * -2.12194440e-4f;
  vf p = splat(1.0f / 5040);
  p = p * r + 1.0f / 720;
  p = p * r + 1.0f / 120;
  p = p * r + 1.0f / 24;
  p = p * r + 1.0f / 6;
  p = p * r + 0.5f;
  p = p * r * r + r + 1.0f;
  return p * bits_of<vf>((bits_of<vi>(shifted) << 23) + 0x3f800000);  // the low bits of `magic` are shifted out
}

// log(1 + e) for e in [0, 1], as 2 artanh(e / (2 + e)).
SIMD_INLINE vf vlog1p(vf e) {
  const vf s = e / (e + 2.0f), t = s * s;
  vf p = splat(1.0f / 15);
  p = p * t + 1.0f / 13;
  p = p * t + 1.0f / 11;
  p = p * t + 1.0f / 9;
  p = p * t + 1.0f / 7;
  p = p * t + 1.0f / 5;
  p = p * t + 1.0f / 3;
  return 2.0f * (p * t * s + s);
}

template <typename V>
SIMD_INLINE V vabs(V x) {
  return x < 0 ? -x : x;
}

// tanh x = p / q to 3e-7: polynomials fitted for |x| below 8.2, where tanh is 1 in float32.
SIMD_INLINE void tanh_quotient(vf x, vf* p, vf* q) {
  x = x > 8.2f ? splat(8.2f) : x;
  x = x < -8.2f ? splat(-8.2f) : x;
  const vf t = x * x;
  *p = x * ((((1.48404835e-8f * t + 2.16372355e-5f) * t + 3.55668436e-3f) * t + 0.134321213f) * t + 1.0f);
  *q = (((8.37057769e-7f * t + 3.38643760e-4f) * t + 2.61082929e-2f) * t + 0.467654467f) * t + 1.0f;
}

SIMD_INLINE vf vtanh(vf x) {
  vf p, q;
  tanh_quotient(x, &p, &q);
  return p / q;
}

// exp(x) − 1 for x ≤ 0 with the digits that exp loses near zero: 2 t / (1 − t), t = tanh(x / 2).
SIMD_INLINE vf vexpm1_negative(vf x) {
  vf p, q;
  tanh_quotient(x * 0.5f, &p, &q);
  return 2.0f * p / (q - p);
}

SIMD_INLINE vd vexp(vd x) {
  for (size_t i = 0; i < sizeof x / sizeof x[0]; ++i) x[i] = exp(x[i]);
  return x;
}
SIMD_INLINE vd vlog1p(vd x) {
  for (size_t i = 0; i < sizeof x / sizeof x[0]; ++i) x[i] = log1p(x[i]);
  return x;
}
SIMD_INLINE vd vexpm1_negative(vd x) {
  for (size_t i = 0; i < sizeof x / sizeof x[0]; ++i) x[i] = expm1(x[i]);
  return x;
}
SIMD_INLINE vd vtanh(vd x) {
  for (size_t i = 0; i < sizeof x / sizeof x[0]; ++i) x[i] = tanh(x[i]);
  return x;
}

#endif  // TF_STYLEGAN_KERNELS_SIMD_H_
