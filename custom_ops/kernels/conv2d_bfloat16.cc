// Convolutions with the machine's bfloat16 units: AMX, and AVX512_BF16's dot products. Compiled once, for both; a
// float32 number is cut into three bfloat16 numbers, whose products add up to float32's accuracy.
#include "conv2d_units.h"

#if defined(__AMX_BF16__) && defined(__AVX512BF16__)

#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "conv2d_amx.h"
#include "conv2d_parts.h"
#include "conv2d_worker.h"

namespace {

template <int parts>
struct Bfloat16Unit {
  typedef uint16_t Number;
  enum { kDepth = kTileDepth, kMost = 512 };  // kMost: channels of a chunk
  enum { kFewestPixels = 512 };               // more than in FmaUnit: they are multiplied faster
  // Phases of a transposed convolution have few taps: more channels at a time make up for it.
  int64_t chunk(int64_t channels, int64_t up, int64_t) const {
    return at_most((parts == 1 ? 256 : 128) * up, round_up(channels, kDepth));
  }
  int64_t group() const { return 4; }
  int64_t planes() const { return parts; }
  int64_t panel(int64_t depth) const { return parts * depth * kBlock; }

  // [depth / kTileDepth, parts, 2, kTileDepth / 2, 16 outputs, 2 channels]
  void pack(uint16_t* to, const Matrix& matrix, int64_t depth) const {
    float numbers[kMost * kBlock];
    read_matrix(numbers, matrix, depth);
    for (int64_t k = 0; k < depth; k += 2) {
      uint16_t* block = to + k / kTileDepth * (parts * kTileDepth * kBlock) + k % kTileDepth / 2 * 32;
      for (int64_t half = 0; half < 2; ++half) {
        const float* from = numbers + k * kBlock + half * 16;
        store_pairs<parts>(block + half * (kTileBytes / 2), load(from), load(from + kBlock));
      }
    }
  }

  template <typename T>
  void fill(uint16_t* tile, int64_t plane, int64_t pitch, const Image<T>& image, int64_t channels, const Window& window,
            const float* scale) const {
    float scales[kMost];
    for (int64_t c = 0; c < kMost; ++c) scales[c] = scale && c < channels ? scale[c] : 1.0f;
    const int64_t whole = channels / kLanes * kLanes, all = round_up(channels, kTileDepth);
    fill_rows(tile, parts, plane, pitch, image, window, [&](uint16_t* to, const T* from, int64_t pixels) {
      for (int64_t i = 0; i < pixels; ++i, to += pitch, from += image.pitch) {
        prefetch(from + kAhead * image.pitch, channels);
        int64_t c = 0;
        for (; c < whole; c += kLanes) store_parts<parts>(to + c, plane, load(from + c) * load(scales + c));
        for (; c < all; c += kLanes) {
          const int64_t n = at_least(0, at_most(channels - c, kLanes));
          store_parts<parts>(to + c, plane, n ? load_some(from + c, n) * load(scales + c) : vf{});
        }
      }
    });
  }
};

template <int parts>
struct AmxUnit : Bfloat16Unit<parts> {
  void begin() const {}
  void end() const { _tile_release(); }

  void multiply(const Product<uint16_t>& m) const {
    int64_t offsets[TF_STYLEGAN_CONV_MAX_TAPS * TF_STYLEGAN_CONV_MAX_TAPS];
    for (int64_t t = 0; t < m.taps; ++t) offsets[t] = m.offsets[t] * 2;
    AmxCall call;
    call.a_row = m.x_pixel * 2, call.plane = m.plane * 2;
    call.offsets = offsets, call.taps = m.taps, call.blocks = m.depth / kTileDepth;
    call.b = (const char*)m.w, call.to_row = m.to_pixel * 4, call.add = m.add;
    // Pieces of rows go through two by two.
    const Pieces pieces(m.columns, kTileRows);
    int64_t waiting = 0, shape0 = -1, shape1 = -1;
    for (int64_t r = 0; r < m.rows; ++r) {
      for (int64_t i = 0; i < pieces.parts; ++i) {
        const int64_t c = pieces.begin(i), pixels = pieces.end(i) - c;
        const char* a = (const char*)(m.x + r * m.x_row + c * m.x_pixel);
        float* to = m.to + r * m.to_row + c * m.to_pixel;
        const bool last = r + 1 == m.rows && i + 1 == pieces.parts;
        if (!waiting && !last) {
          call.a0 = a, call.to0 = to, waiting = pixels;
          continue;
        }
        const int64_t rows0 = waiting ? waiting : pixels, rows1 = waiting ? pixels : 0;
        if (waiting) {
          call.a1 = a, call.to1 = to;
        } else {
          call.a0 = call.a1 = a, call.to0 = call.to1 = to;
        }
        if (rows0 != shape0 || rows1 != shape1) shape_tiles(shape0 = rows0, shape1 = rows1);
        amx_multiply<parts>(call, rows1 > 0, m.outputs > 16);
        waiting = 0;
      }
    }
  }
};

typedef void (*DotKernel)(const Product<uint16_t>& m, const uint16_t* x, float* to);

// Pixels times 2 · 16 outputs.
template <int pixels>
void dot_kernel(const Product<uint16_t>& m, const uint16_t* x, float* to) {
  __m512 sum[pixels][2];
#pragma GCC unroll 16
  for (int p = 0; p < pixels; ++p) {
#pragma GCC unroll 2
    for (int v = 0; v < 2; ++v) sum[p][v] = m.add ? _mm512_loadu_ps(to + p * m.to_pixel + v * 16) : _mm512_setzero_ps();
  }
  const uint16_t* w = m.w;
  for (int64_t t = 0; t < m.taps; ++t) {
    for (int64_t k = 0; k < m.depth; k += kTileDepth, w += kTileDepth * kBlock) {
      const uint16_t *from = x + m.offsets[t] + k, *weights = w;
      for (int64_t i = 0; i < kTileDepth; i += 2, from += 2, weights += 32) {
        const __m512i w0 = _mm512_loadu_si512(weights), w1 = _mm512_loadu_si512(weights + kTileBytes / 2);
#pragma GCC unroll 16
        for (int p = 0; p < pixels; ++p) {
          int32_t pair;
          memcpy(&pair, from + p * m.x_pixel, sizeof pair);
          const __m512bh number = (__m512bh)_mm512_set1_epi32(pair);
          sum[p][0] = _mm512_dpbf16_ps(sum[p][0], number, (__m512bh)w0);
          sum[p][1] = _mm512_dpbf16_ps(sum[p][1], number, (__m512bh)w1);
        }
      }
    }
  }
#pragma GCC unroll 16
  for (int p = 0; p < pixels; ++p) {
#pragma GCC unroll 2
    for (int v = 0; v < 2; ++v) _mm512_storeu_ps(to + p * m.to_pixel + v * 16, sum[p][v]);
  }
}

struct DotUnit : Bfloat16Unit<1> {
  void begin() const {}
  void end() const {}
  void multiply(const Product<uint16_t>& m) const {
    static const DotKernel kernels[] = {
        dot_kernel<1>, dot_kernel<2>, dot_kernel<3>, dot_kernel<4>,  dot_kernel<5>,  dot_kernel<6>,
        dot_kernel<7>, dot_kernel<8>, dot_kernel<9>, dot_kernel<10>, dot_kernel<11>, dot_kernel<12>,
    };
    const Pieces groups(m.columns, 12);
    for (int64_t r = 0; r < m.rows; ++r) {
      for (int64_t g = 0; g < groups.parts; ++g) {
        const int64_t c = groups.begin(g);
        kernels[groups.end(g) - c - 1](m, m.x + r * m.x_row + c * m.x_pixel, m.to + r * m.to_row + c * m.to_pixel);
      }
    }
  }
};

}  // namespace

int conv2d_cpu_bfloat16(const Convolution* p, const tf_stylegan_threads* threads, int unit) {
  if (p->dtype == TF_STYLEGAN_FLOAT32) return run<float>(*p, AmxUnit<3>(), threads);
  if (unit == TF_STYLEGAN_CONV_DOT) return run<bfloat16>(*p, DotUnit(), threads);
  return run<bfloat16>(*p, AmxUnit<1>(), threads);
}

// Asks the processor, and the system for leave to use AMX's registers.
static int find_units() {
  unsigned a, b, c, d;
  if (cpu_limit() != kNoLimit) return 0;
  if (tf_stylegan_best_isa() < TF_STYLEGAN_ISA_AVX512 || !__get_cpuid_count(7, 1, &a, &b, &c, &d)) return 0;
  if (!(a >> 5 & 1)) return 0;  // AVX512_BF16
  int units = 1 << TF_STYLEGAN_CONV_DOT;
#if defined(__linux__)
  const long kRequest = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  __get_cpuid_count(7, 0, &a, &b, &c, &d);
  const bool amx = (d >> 22 & 1) && (d >> 24 & 1);  // AMX_BF16, AMX_TILE
  if (amx && syscall(SYS_arch_prctl, kRequest, kTileData) == 0) units |= 1 << TF_STYLEGAN_CONV_AMX;
#endif
  return units;
}

int conv2d_bfloat16_units(void) {
  static const int units = find_units();
  return units;
}

#else

int conv2d_bfloat16_units(void) { return 0; }

int conv2d_cpu_bfloat16(const tf_stylegan_conv2d*, const tf_stylegan_threads*, int) { return TF_STYLEGAN_NO_SUCH_ISA; }

#endif
