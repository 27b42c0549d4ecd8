// What is worked out once for a call of upfirdn_2d on a CPU: where taps fall, and with which weights.
#ifndef TF_STYLEGAN_KERNELS_UPFIRDN_2D_PLAN_H_
#define TF_STYLEGAN_KERNELS_UPFIRDN_2D_PLAN_H_

#include "cpu.h"
#include "simd.h"
#include "upfirdn_2d.h"

namespace {

typedef tf_stylegan_upfirdn_2d Params;

int64_t at_least(int64_t a, int64_t b) { return a > b ? a : b; }
int64_t at_most(int64_t a, int64_t b) { return a < b ? a : b; }
int64_t floor_div(int64_t a, int64_t b) { return a >= 0 ? a / b : -((b - 1 - a) / b); }

// Where the taps of one axis fall. Result o meets input pixels first(o), first(o) + 1, … with the taps phase(o),
// phase(o) + up, … of the turned kernel: the others meet inserted zeros.
struct Axis {
  int64_t up, down, pad, taps;
  Axis(int64_t up, int64_t down, int64_t pad, int64_t taps) : up(up), down(down), pad(pad), taps(taps) {}
  int64_t first(int64_t o) const { return -floor_div(pad - o * down, up); }  // ⌈(o · down − pad) / up⌉
  int64_t phase(int64_t o) const { return first(o) * up - (o * down - pad); }
  int64_t count(int64_t phase) const { return phase < taps ? (taps - phase + up - 1) / up : 0; }
  int64_t most() const { return (taps + up - 1) / up; }
};

template <typename T>
struct Job {
  typedef typename Simd<T>::compute S;
  const Params& p;
  Axis ay, ax;
  bool separable, stream;
  int no_memory;
  int64_t group;  // rows of the result done together at most: 1 or 2
  int64_t lines;  // that a group needs
  int64_t taps;   // of the longest phase along x
  S column[TF_STYLEGAN_MAX_TAPS];  // turned; separable only
  S* weights;  // [phase of y, row, phase of x, tap], zero where a phase has none; separable: [phase of x, tap]
  S alpha, gain, clamp, strength;

  explicit Job(const Params& params)
      : p(params),
        ay(p.up_y, p.down_y, p.pad_y, p.kh),
        ax(p.up_x, p.down_x, p.pad_x, p.kw),
        no_memory(0),
        group(1),
        taps(ax.most()) {
    float row[TF_STYLEGAN_MAX_TAPS];
    separable = split(row);
    // Two rows of the result share most of their input, unless they are of different phases.
    if (separable && ay.up == 1 && ay.down <= 2 && ay.down + ay.taps <= 8) group = 2;
    lines = separable ? group : ay.most();
    weights = allocate<S>((separable ? 1 : ay.up * ay.most()) * ax.up * taps);
    if (!weights) return;
    S* to = weights;
    for (int64_t py = 0; py < (separable ? 1 : ay.up); ++py) {
      for (int64_t j = 0; j < (separable ? 1 : ay.most()); ++j) {
        const int64_t y = p.kh - 1 - (py + j * ay.up);
        for (int64_t px = 0; px < ax.up; ++px) {
          for (int64_t i = 0; i < taps; ++i) {
            const int64_t x = p.kw - 1 - (px + i * ax.up);
            *to++ = x < 0 || y < 0 ? S(0) : S(separable ? row[x] : p.k[y * p.kw + x]);
          }
        }
      }
    }
    const int64_t bytes = p.n * (p.in_h * p.in_w + p.out_h * p.out_w) * p.c * (int64_t)sizeof(T);
    stream = p.stream == 2 || (p.stream == 0 && bytes >= kStreamBytes);
    alpha = S(p.alpha), gain = S(p.gain), clamp = S(p.clamp);
    strength = p.epilogue && p.strength ? *(const S*)p.strength : S(1);
  }
  ~Job() { free(weights); }

  // Splits k into `column` (turned) times `row`; false if it is no such product.
  bool split(float* row) {
    int64_t pivot = 0;
    for (int64_t i = 1; i < p.kh * p.kw; ++i) {
      if (fabsf(p.k[i]) > fabsf(p.k[pivot])) pivot = i;
    }
    const float peak = p.k[pivot];
    if (peak == 0) return false;
    const double tolerance = fabs(peak) * (sizeof(S) == 4 ? 2.4e-7 : 1e-15);
    for (int64_t x = 0; x < p.kw; ++x) row[x] = p.k[pivot / p.kw * p.kw + x];
    for (int64_t y = 0; y < p.kh; ++y) {
      const double factor = (double)p.k[y * p.kw + pivot % p.kw] / peak;
      column[p.kh - 1 - y] = S(factor);
      for (int64_t x = 0; x < p.kw; ++x) {
        if (!(fabs(factor * row[x] - p.k[y * p.kw + x]) <= tolerance)) return false;
      }
    }
    return true;
  }
};

}  // namespace

#endif  // TF_STYLEGAN_KERNELS_UPFIRDN_2D_PLAN_H_
