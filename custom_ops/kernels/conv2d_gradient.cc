// The gradient of a convolution with respect to its weights, on a CPU, in float32, and the choice of what multiplies.
// conv2d_gradient_worker.h has the work.
#include "conv2d_fma.h"
#include "conv2d_gradient_worker.h"
#include "conv2d_units.h"

namespace {

// to[p][v] += Σ over rows and columns of x[row][column][p] · dy[row][column][v]
struct Patch {
  const float *x, *dy;
  int64_t rows, columns;
  int64_t x_row, x_pitch, dy_row;  // from row to row; from pixel to pixel. Pixels of dy are kChannels apart
  int64_t width;                   // from p to p of `to`
};

typedef void (*GradientKernel)(const Patch& patch, float* to);

template <int inputs, int vectors>
void gradient_kernel(const Patch& patch, float* to) {
  vf sum[inputs][vectors];
#pragma GCC unroll 16
  for (int p = 0; p < inputs; ++p) {
#pragma GCC unroll 2
    for (int v = 0; v < vectors; ++v) sum[p][v] = load(to + p * patch.width + v * kLanes);
  }
  for (int64_t row = 0; row < patch.rows; ++row) {
    const float *x = patch.x + row * patch.x_row, *dy = patch.dy + row * patch.dy_row;
#pragma GCC unroll 2
    for (int64_t i = 0; i < patch.columns; ++i, x += patch.x_pitch, dy += kChannels) {
      vf gradient[vectors];
#pragma GCC unroll 2
      for (int v = 0; v < vectors; ++v) gradient[v] = load(dy + v * kLanes);
#pragma GCC unroll 16
      for (int p = 0; p < inputs; ++p) {
        const vf number = splat(x[p]);
#pragma GCC unroll 2
        for (int v = 0; v < vectors; ++v) sum[p][v] = multiply_add(number, gradient[v], sum[p][v]);
      }
    }
  }
#pragma GCC unroll 16
  for (int p = 0; p < inputs; ++p) {
#pragma GCC unroll 2
    for (int v = 0; v < vectors; ++v) store<false>(to + p * patch.width + v * kLanes, sum[p][v]);
  }
}

template <int vectors>
GradientKernel gradient_kernel_of(int64_t inputs) {
  switch (inputs) {
#define CASE(n) \
  case n:       \
    return gradient_kernel<n, vectors>;
    CASE(1) CASE(2) CASE(3) CASE(4) CASE(5)
#if defined(__AVX512F__)
    CASE(6) CASE(7) CASE(8) CASE(9) CASE(10) CASE(11) CASE(12) CASE(13)
#endif
#undef CASE
  }
  return gradient_kernel<kMostRows, vectors>;
}

// A tile's x and dy lie as images of float32.
template <typename T>
class FmaGradient {
 public:
  enum { kTilePixels = 256 };
  static int64_t width(int64_t) { return kChannels; }
  FmaGradient(const Gradient& p, int64_t rows, int64_t columns, int64_t depth, int64_t width)
      : p_(p),
        depth_(depth),
        width_(width),
        x_numbers_(((rows - 1) * p.down + p.kh) * ((columns - 1) * p.down + p.kw) * kChannels),
        dy_numbers_(rows * columns * kChannels) {}
  int64_t bytes() const { return (x_numbers_ + dy_numbers_) * sizeof(float); }
  void begin(char* memory) { x_ = (float*)memory, dy_ = x_ + x_numbers_; }
  void end() {}

  // Adds the tile's share of dw [kh, kw, depth, width].
  void add(const Task& t, float* sum) {
    const Window window = {t.y * p_.down - p_.pad_y, (t.rows - 1) * p_.down + p_.kh, t.x * p_.down - p_.pad_x,
                           (t.columns - 1) * p_.down + p_.kw};
    const Window dy_window = {t.y, t.rows, t.x, t.columns};
    fill_tile(x_, kChannels, x_of<T>(p_, t), t.inputs, window, in_scale_of(p_, t));
    fill_tile(dy_, kChannels, dy_of<T>(p_, t), t.outputs, dy_window, out_scale_of(p_, t));
    Patch patch;
    patch.rows = t.rows, patch.columns = t.columns;
    patch.x_row = window.width * p_.down * kChannels, patch.x_pitch = p_.down * kChannels;
    patch.dy_row = t.columns * kChannels, patch.width = width_;
    const Pieces groups(t.inputs, kMostRows);
    for (int64_t o = 0; o < t.outputs; o += kBlock) {
      patch.dy = dy_ + o;
      for (int64_t g = 0; g < groups.parts; ++g) {
        const int64_t i = groups.begin(g), count = groups.end(g) - i;
        const GradientKernel kernel =
            t.outputs - o > kLanes ? gradient_kernel_of<2>(count) : gradient_kernel_of<1>(count);
        for (int64_t tap = 0; tap < p_.kh * p_.kw; ++tap) {
          patch.x = x_ + (tap / p_.kw * window.width + tap % p_.kw) * kChannels + i;
          kernel(patch, sum + (tap * depth_ + i) * width_ + o);
        }
      }
    }
  }

 private:
  const Gradient& p_;
  const int64_t depth_, width_, x_numbers_, dy_numbers_;
  float *x_, *dy_;
};

}  // namespace

int TF_STYLEGAN_FOR_ISA(conv2d_filter_gradient_cpu)(const Gradient* p, const tf_stylegan_threads* threads) {
  if (p->dtype == TF_STYLEGAN_BFLOAT16) return run<bfloat16, FmaGradient<bfloat16>>(*p, threads);
  return run<float, FmaGradient<float>>(*p, threads);
}

#ifdef TF_STYLEGAN_IS_BASE

int conv2d_filter_gradient_cpu_avx2(const Gradient* p, const tf_stylegan_threads* threads);
int conv2d_filter_gradient_cpu_avx512(const Gradient* p, const tf_stylegan_threads* threads);

static int check(const Gradient* p) {
  const int64_t taps = TF_STYLEGAN_CONV_MAX_TAPS;
  if (p->n < 0 || p->in_h < 0 || p->in_w < 0 || p->in_c < 0 || p->out_h < 0 || p->out_w < 0 || p->out_c < 0 ||
      !within(1, p->kh, taps) || !within(1, p->kw, taps) || !within(1, p->up, 2) || !within(1, p->down, 2) ||
      p->up + p->down == 4 || !within(-kFar, p->pad_y, kFar) || !within(-kFar, p->pad_x, kFar) ||
      (p->dtype != TF_STYLEGAN_FLOAT32 && p->dtype != TF_STYLEGAN_BFLOAT16) ||
      !conv2d_has_unit(p->dtype, p->unit)) {
    return TF_STYLEGAN_BAD_ARGUMENT;
  }
  if (!countable(p->n, at_least(p->in_h, 1), at_least(p->in_w, 1), p->in_c) || p->in_h > kFar || p->in_w > kFar ||
      !countable(p->n, at_least(p->out_h, 1), at_least(p->out_w, 1), p->out_c) || p->out_h > kFar || p->out_w > kFar ||
      !countable(p->kh, p->kw, p->in_c, p->out_c)) {
    return TF_STYLEGAN_TOO_LARGE;
  }
  const bool input = p->n && p->in_h && p->in_w && p->in_c, output = p->n && p->out_h && p->out_w && p->out_c;
  if ((p->in_c && p->out_c && !p->dw) || (input && output && (!p->x || !p->dy))) return TF_STYLEGAN_BAD_ARGUMENT;
  return TF_STYLEGAN_OK;
}

// With up = 2, x and dy change roles: dy is the image that a convolution with down = 2 reads.
static Gradient exchanged(const Gradient& p) {
  Gradient q = p;
  q.in_h = p.out_h, q.in_w = p.out_w, q.in_c = p.out_c, q.out_h = p.in_h, q.out_w = p.in_w, q.out_c = p.in_c;
  q.x = p.dy, q.dy = p.x, q.in_scale = p.out_scale, q.out_scale = p.in_scale;
  q.up = 1, q.down = 2, q.pad_y = p.kh - 1 - p.pad_y, q.pad_x = p.kw - 1 - p.pad_x;
  q.w_turned = !p.w_turned, q.w_swapped = !p.w_swapped;
  return q;
}

extern "C" int tf_stylegan_conv2d_filter_gradient_cpu(const Gradient* p, const tf_stylegan_threads* threads) {
  const int error = check(p), isa = resolve_isa(p->isa);
  if (error) return error;
  if (isa < 0) return TF_STYLEGAN_NO_SUCH_ISA;
  if (p->in_c == 0 || p->out_c == 0) return TF_STYLEGAN_OK;
  if (p->n == 0 || p->in_h == 0 || p->in_w == 0 || p->out_h == 0 || p->out_w == 0) {
    memset(p->dw, 0, p->kh * p->kw * p->in_c * p->out_c * sizeof(float));
    return TF_STYLEGAN_OK;
  }
  const Gradient q = p->up == 2 ? exchanged(*p) : *p;
  const int unit = conv2d_choose_unit(p->dtype, isa, p->unit, p->in_c, p->out_c);
  if (unit < 0) return TF_STYLEGAN_NO_SUCH_ISA;
  if (unit == TF_STYLEGAN_CONV_AMX) return conv2d_filter_gradient_cpu_bfloat16(&q, threads, unit);
  return TF_STYLEGAN_CHOOSE(isa, conv2d_filter_gradient_cpu, &q, threads);
}

#endif  // TF_STYLEGAN_IS_BASE
