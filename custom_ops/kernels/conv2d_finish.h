// What follows a convolution while its sums are still in the cache: FIR filter, scale, bias, noise, activation.
#ifndef TF_STYLEGAN_KERNELS_CONV2D_FINISH_H_
#define TF_STYLEGAN_KERNELS_CONV2D_FINISH_H_

#include "activations.h"
#include "conv2d_fma.h"
#include "conv2d_plan.h"

namespace {

// The filter turned by 180°, as weights of rows and of columns if it is a product of the two.
struct Fir {
  int64_t h, w;
  bool separable;
  float column[TF_STYLEGAN_CONV_MAX_TAPS], row[TF_STYLEGAN_CONV_MAX_TAPS];
  float k[TF_STYLEGAN_CONV_MAX_TAPS * TF_STYLEGAN_CONV_MAX_TAPS];

  explicit Fir(const tf_stylegan_conv2d& p) : h(p.fir ? p.fir_h : 1), w(p.fir ? p.fir_w : 1), separable(true) {
    k[0] = 0;
    for (int64_t i = 0; i < h * w; ++i) k[i] = p.fir ? p.fir[h * w - 1 - i] : 1.0f;
    int64_t pivot = 0;
    for (int64_t i = 1; i < h * w; ++i) {
      if (fabsf(k[i]) > fabsf(k[pivot])) pivot = i;
    }
    const float peak = k[pivot];
    for (int64_t x = 0; x < w; ++x) row[x] = k[pivot / w * w + x];
    for (int64_t y = 0; y < h; ++y) {
      const double factor = peak == 0 ? 0 : (double)k[y * w + pivot % w] / peak;
      column[y] = (float)factor;
      for (int64_t x = 0; x < w; ++x) {
        if (!(fabs(factor * row[x] - k[y * w + x]) <= fabs(peak) * 2.4e-7)) separable = false;
      }
    }
  }
};

// to[0 … n) = Σ over j of weights[j] · from[j][0 … n); n is a multiple of kLanes.
template <int count>
SIMD_INLINE void combine_rows(float* to, const float* const* from, const float* weights, int64_t n, bool add) {
  vf w[count];
  for (int j = 0; j < count; ++j) w[j] = splat(weights[j]);
  for (int64_t i = 0; i < n; i += kLanes) {
    vf sum = add ? load(to + i) : vf{};
#pragma GCC unroll 4
    for (int j = 0; j < count; ++j) sum = multiply_add(w[j], load(from[j] + i), sum);
    store<false>(to + i, sum);
  }
}

inline void combine_rows(float* to, const float* const* from, const float* weights, int64_t rows, int64_t n, bool add) {
  if (rows == 0 && !add) memset(to, 0, n * sizeof(float));
  for (int64_t j = 0; j < rows; j += 4, add = true) {
    switch (rows - j) {
      case 1:
        combine_rows<1>(to, from + j, weights + j, n, add);
        break;
      case 2:
        combine_rows<2>(to, from + j, weights + j, n, add);
        break;
      case 3:
        combine_rows<3>(to, from + j, weights + j, n, add);
        break;
      default:
        combine_rows<4>(to, from + j, weights + j, n, add);
    }
  }
}

// A row of results: pixels of `outputs` ≤ width channels each, from sums that lie `width` (a multiple of kLanes) apart.
template <typename T>
struct Row {
  const float* from;
  int64_t pixels, width, outputs;
  const float *scale, *b;  // [width]
  const float* noise;      // [pixels] or null
  float strength;
  T* y;
  int64_t pitch;  // of y
  bool stream;    // store past the caches: vectors are whole and aligned
};

template <typename T>
SIMD_INLINE void put(T* to, vf y, int64_t lanes, bool stream) {
  if (lanes == kLanes) {
    if (stream) {
      store<true>(to, y);
    } else {
      store<false>(to, y);
    }
  } else {
    store_some(to, y, lanes);
  }
}

// Four rows that are filtered to one, and along it by four weights, while it is finished.
struct Filtered {
  const float* rows[4];
  const float *column, *row;  // weights
};

template <typename T, int act, bool filter>
void finish_row(const Row<T>& row, const Filtered& f, const Settings<float>& s) {
  for (int64_t v = 0; v < row.outputs; v += kLanes) {
    const int64_t lanes = at_most(kLanes, row.outputs - v);
    const vf scale = load(row.scale + v), b = load(row.b + v);
    const float* from = filter ? f.rows[0] + v : row.from + v;
    vf window[4] = {};
    const int64_t far1 = filter ? f.rows[1] - f.rows[0] : 0, far2 = filter ? f.rows[2] - f.rows[0] : 0;
    const int64_t far3 = filter ? f.rows[3] - f.rows[0] : 0;
    for (int64_t i = filter ? -3 : 0; i < row.pixels; ++i, from += row.width) {
      vf sum;
      if (filter) {
        window[0] = window[1], window[1] = window[2], window[2] = window[3];
        vf t = load(from) * splat(f.column[0]);
        t = multiply_add(load(from + far1), splat(f.column[1]), t);
        t = multiply_add(load(from + far2), splat(f.column[2]), t);
        window[3] = multiply_add(load(from + far3), splat(f.column[3]), t);
        if (i < 0) continue;
        sum = window[0] * splat(f.row[0]);
        for (int j = 1; j < 4; ++j) sum = multiply_add(window[j], splat(f.row[j]), sum);
      } else {
        sum = load(from);
      }
      const float noise = row.noise ? row.noise[i] * row.strength : 0.0f;
      const vf y = cut(activate<act>(multiply_add(sum, scale, b + noise), s) * s.gain, s.clamp);
      put(row.y + i * row.pitch + v, y, lanes, row.stream);
    }
  }
}

template <typename T, int act>
void finish_row(const Row<T>& row, const Filtered* f, const Settings<float>& s) {
  if (f) {
    finish_row<T, act, true>(row, *f, s);
  } else {
    finish_row<T, act, false>(row, Filtered(), s);
  }
}

template <typename T>
void finish_row(int act, const Row<T>& row, const Filtered* f, const Settings<float>& s) {
  if (act == TF_STYLEGAN_LRELU) {
    finish_row<T, TF_STYLEGAN_LRELU>(row, f, s);
  } else if (act == TF_STYLEGAN_RELU) {
    finish_row<T, TF_STYLEGAN_RELU>(row, f, s);
  } else {
    finish_row<T, TF_STYLEGAN_LINEAR>(row, f, s);
  }
}

// Filters along a row: to[i] = Σ over t of weights[t] · from[i + t], pixels of `width` channels.
inline void filter_along(float* to, const float* from, const float* weights, int64_t taps, int64_t pixels,
                         int64_t width) {
  for (int64_t i = 0; i < pixels * width; i += kLanes) {
    vf sum{};
    for (int64_t t = 0; t < taps; ++t) sum = multiply_add(splat(weights[t]), load(from + t * width + i), sum);
    store<false>(to + i, sum);
  }
}

}  // namespace

#endif  // TF_STYLEGAN_KERNELS_CONV2D_FINISH_H_
