// Copies of parts of images: a few channels, zeros where the image ends, each channel scaled.
#ifndef TF_STYLEGAN_KERNELS_CONV2D_TILE_H_
#define TF_STYLEGAN_KERNELS_CONV2D_TILE_H_

#include "conv2d_fma.h"
#include "conv2d_plan.h"

namespace {

enum { kMostChannels = 64 };  // of a tile

// Asks for numbers that will be wanted soon: pixels that lie far apart are not foreseen by the processor itself.
enum { kAhead = 8 };
template <typename T>
SIMD_INLINE void prefetch(const T* from, int64_t count) {
  for (int64_t i = 0; i < count; i += 64 / (int64_t)sizeof(T)) __builtin_prefetch(from + i);
}

// One sample, from the first of the channels meant.
template <typename T>
struct Image {
  const T* data;
  int64_t h, w, pitch;  // pitch: from pixel to pixel
};

// Rows [top, top + rows) and columns [left, left + width), which may lie outside of the image.
struct Window {
  int64_t top, rows, left, width;
};

template <int vectors, typename T>
SIMD_INLINE void copy_vectors(float* to, int64_t to_pitch, const T* from, int64_t pitch, int64_t pixels,
                              const float* scale) {
  vf s[vectors];
  for (int v = 0; v < vectors; ++v) s[v] = load(scale + v * kLanes);
  for (int64_t i = 0; i < pixels; ++i, to += to_pitch, from += pitch) {
    prefetch(from + kAhead * pitch, vectors * kLanes);
#pragma GCC unroll 4
    for (int v = 0; v < vectors; ++v) store<false>(to + v * kLanes, load(from + v * kLanes) * s[v]);
  }
}

template <typename T>
void copy_pixels(float* to, int64_t to_pitch, const T* from, int64_t pitch, int64_t channels, int64_t pixels,
                 const float* scale) {
  if (channels == 4 * kLanes) return copy_vectors<4>(to, to_pitch, from, pitch, pixels, scale);
  if (channels == 2 * kLanes) return copy_vectors<2>(to, to_pitch, from, pitch, pixels, scale);
  for (int64_t i = 0; i < pixels; ++i, to += to_pitch, from += pitch) {
    int64_t c = 0;
    for (; c + kLanes <= channels; c += kLanes) store<false>(to + c, load(from + c) * load(scale + c));
    for (; c < channels; c += kLanes) store<false>(to + c, load_some(from + c, channels - c) * load(scale + c));
  }
}

// Fills tile [planes, rows, width, tile_pitch] row by row: copy(to, from, pixels) brings what lies in the image, the
// rest becomes zero. plane: from one to the next.
template <typename Number, typename T, typename Copy>
void fill_rows(Number* tile, int64_t planes, int64_t plane, int64_t tile_pitch, const Image<T>& image,
               const Window& window, const Copy& copy) {
  const int64_t width = window.width, begin = at_most(at_least(0, -window.left), width);
  const int64_t end = at_least(begin, at_most(width, image.w - window.left));
  for (int64_t r = 0; r < window.rows; ++r) {
    const int64_t y = window.top + r;
    const bool inside = y >= 0 && y < image.h;
    const int64_t zeros = inside ? begin : width;
    for (int64_t i = 0; i < planes; ++i) {
      Number* to = tile + i * plane + r * width * tile_pitch;
      memset(to, 0, zeros * tile_pitch * sizeof(Number));
      if (inside) memset(to + end * tile_pitch, 0, (width - end) * tile_pitch * sizeof(Number));
    }
    if (inside && end > begin) {
      const T* from = image.data + (y * image.w + window.left + begin) * image.pitch;
      copy(tile + (r * width + begin) * tile_pitch, from, end - begin);
    }
  }
}

// tile_pitch ≤ kMostChannels holds the channels rounded up to whole vectors, or to the multiple of four that kernels
// read. scale [channels] or null: 1.
template <typename T>
void fill_tile(float* tile, int64_t tile_pitch, const Image<T>& image, int64_t channels, const Window& window,
               const float* scale) {
  float scales[kMostChannels];
  for (int64_t c = 0; c < kMostChannels; ++c) scales[c] = scale && c < channels ? scale[c] : 1.0f;
  fill_rows(tile, 1, 0, tile_pitch, image, window, [&](float* to, const T* from, int64_t pixels) {
    copy_pixels(to, tile_pitch, from, image.pitch, channels, pixels, scales);
  });
}

// A part of w: w[i · pitch + o], or w[o · pitch + i] if swapped, for i < inputs and o < outputs.
struct Matrix {
  const float* w;
  int64_t pitch;
  bool swapped;
  int64_t inputs, outputs;
};

// to [depth, kBlock], zeros where the matrix ends.
inline void read_matrix(float* to, const Matrix& m, int64_t depth) {
  const float* from = m.w;
  if (m.swapped) {
    memset(to, 0, depth * kBlock * sizeof(float));
    for (int64_t o = 0; o < m.outputs; ++o) {
      for (int64_t i = 0; i < m.inputs; ++i) to[i * kBlock + o] = from[o * m.pitch + i];
    }
    return;
  }
  for (int64_t i = 0; i < depth; ++i, from += m.pitch) {
    prefetch(from + kAhead * m.pitch, m.outputs);
    for (int64_t v = 0; v < kBlock; v += kLanes) {
      const int64_t lanes = i < m.inputs ? at_least(0, at_most(kLanes, m.outputs - v)) : 0;
      store<false>(to + i * kBlock + v, lanes == kLanes ? load(from + v) : lanes ? load_some(from + v, lanes) : vf{});
    }
  }
}

// Pixels of a tile times packed weights:
//   to[r, c, o] (+)= Σ over taps t and channels k < depth of x[r, c, offsets[t] + k] · w[t][k][o]
// for o < outputs ≤ kBlock.
template <typename Number>
struct Product {
  int64_t rows, columns, taps, depth, outputs;
  const Number* x;
  int64_t x_row, x_pixel, plane;
  const int64_t* offsets;
  const Number* w;
  float* to;
  int64_t to_row, to_pixel;
  bool add;  // to what is there
};

// Products in float32.
struct FmaUnit {
  typedef float Number;
  enum { kDepth = 4 };           // depths are multiples of it
  enum { kFewestPixels = 128 };  // for which packing weights pays
  int64_t chunk(int64_t channels, int64_t, int64_t down) const {
    return channels <= 16 ? 16 : channels <= 32 || down == 2 ? 32 : 64;
  }
  int64_t group() const { return 2; }   // blocks of output channels that share a tile
  int64_t planes() const { return 1; }  // copies of tile and weights
  int64_t panel(int64_t depth) const { return depth * kBlock; }
  void begin() const {}
  void end() const {}
  void pack(float* to, const Matrix& matrix, int64_t depth) const { read_matrix(to, matrix, depth); }
  template <typename T>
  void fill(float* tile, int64_t, int64_t pitch, const Image<T>& image, int64_t channels, const Window& window,
            const float* scale) const {
    fill_tile(tile, pitch, image, channels, window, scale);
  }
  void multiply(const Product<float>& m) const {
    const Pieces groups(m.columns, kMostRows);
    for (int64_t r = 0; r < m.rows; ++r) {
      for (int64_t g = 0; g < groups.parts; ++g) {
        const int64_t c = groups.begin(g), pixels = groups.end(g) - c;
        const FmaKernel kernel =
            m.outputs > kLanes ? fma_kernel_of<2>(pixels, m.x_pixel) : fma_kernel_of<1>(pixels, m.x_pixel);
        kernel(m.x + r * m.x_row + c * m.x_pixel, m.offsets, m.taps, m.depth, m.w, m.to + r * m.to_row + c * m.to_pixel,
               m.to_pixel, m.add);
      }
    }
  }
};

}  // namespace

#endif  // TF_STYLEGAN_KERNELS_CONV2D_TILE_H_
