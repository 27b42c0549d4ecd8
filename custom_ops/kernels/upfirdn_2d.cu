// upfirdn_2d on a GPU. The usual cases (a kernel of at most 4 x 4 that is a product of a column and a row; up 2, down 2 or
// neither) go down the image: a thread filters one row of the input after the other along x and adds it, times the weights
// of the column, to the results that it belongs to, which wait in registers. Each pixel is read once for each tap of the
// row and comes from the first-level cache, where its neighbours' reads brought it. All other cases add up the taps of
// each result one by one.
#include "upfirdn_2d.h"

#include <math.h>

#include "cuda.h"

namespace {

typedef tf_stylegan_upfirdn_2d Params;

enum { kTaps = 4, kRows = 16, kSmall = 256 };

// Where taps fall along one axis, see upfirdn_2d_plan.h.
struct Axis {
  int64_t pad;
  int up, down, taps;
  __device__ int64_t first(int64_t o) const {
    const int64_t a = o * down - pad;  // ⌈a / up⌉
    return a >= 0 ? (a + up - 1) / up : -(-a / up);
  }
  __device__ int phase(int64_t o) const { return (int)(first(o) * up - (o * down - pad)); }
};

template <typename S>
struct Plan {
  Axis y, x;
  S alpha, gain, most;  // most: what results are cut to, infinity where they are not
  S column[2][kTaps], row[2][kTaps];  // by phase, turned; for the usual cases
};

// Taps that travel with the launch.
struct Taps {
  float k[kSmall];
};

// Pixel (iy, ix) of sample n; only to be read if it is inside of the image.
template <typename T>
__device__ inline const T* pixel(const Params& p, int64_t n, int64_t iy, int64_t ix) {
  return (const T*)p.x + ((n * p.in_h + iy) * p.in_w + ix) * p.c;
}

// What the epilogue of a thread's channels is made of.
template <typename S, int V>
struct Epilogue {
  S scale[V], b[V], strength;
  __device__ Epilogue(const Params& p, int64_t n, int64_t c) : strength(p.noise && p.strength ? *(const S*)p.strength : S(1)) {
#pragma unroll
    for (int j = 0; j < V; ++j) scale[j] = S(1), b[j] = S(0);
    if (p.scale) load_numbers<V>((const S*)p.scale + n * p.c + c, scale);
    if (p.b) load_numbers<V>((const S*)p.b + c, b);
  }
  __device__ void apply(const Plan<S>& plan, S noise, S* v) const {
    noise *= strength;
#pragma unroll
    for (int j = 0; j < V; ++j) {
      const S y = v[j] * scale[j] + (b[j] + noise);
      v[j] = cut((y > 0 ? y : plan.alpha == 0 && y == y ? S(0) : y * plan.alpha) * plan.gain, plan.most);
    }
  }
};

// Place of the noise for pixel (oy, ox).
__device__ inline int64_t noise_at(const Params& p, int64_t n, int64_t oy, int64_t ox) {
  return ((p.noise_n == 1 ? 0 : n) * p.out_h + oy) * p.out_w + ox;
}

// Read where there is no pixel: as good as a zero, and no reason to wait or to part.
alignas(16) __device__ const double kZeros[2] = {0, 0};

// A column of the input that goes down with its thread.
template <typename T>
struct Column {
  const T* here;  // where the next row is read from
  int64_t step;
  __device__ void begin(const Params& p, int64_t n, int64_t iy, int64_t ix, int64_t c) {
    if (ix < 0 || ix >= p.in_w) {
      here = (const T*)kZeros, step = 0;
    } else {
      here = pixel<T>(p, n, iy, ix) + c, step = p.in_w * p.c;
    }
  }
};

// How threads are laid out: `across` vectors of channels beside each other, then pixels of a row, then the rest of the
// channels, strips of rows and samples. Few vectors at a time leave room for many neighbouring pixels in a block, which
// read the same.
struct Places {
  Divisor across, width, groups, strips;
  Places(const Params& p, int64_t across, int64_t vectors)
      : across(across), width(p.out_w), groups(vectors / across), strips((p.out_h + kRows - 1) / kRows) {}
};

// The usual cases: kRows results below one another of one pixel column and V channels. taps: of a phase, in both
// directions. k counts results, or with up 2 pairs of results, both of which begin with row k of the input.
template <typename T, int V, int up, int down, int taps, bool epilogue>
__global__ void __launch_bounds__(kThreads, 3)
    usual(Params p, Plan<typename Real<T>::type> plan, Places places, uint32_t total) {
  typedef typename Real<T>::type S;
  enum { last = (taps - 1) / down };  // a result is complete as many steps after its first row
  uint32_t i = blockIdx.x * kThreads + threadIdx.x;
  if (i >= total) return;
  uint32_t rest = places.across.quotient(i);
  int64_t c = i - rest * places.across.by;
  i = rest, rest = places.width.quotient(i);
  const int64_t ox = i - rest * places.width.by;
  i = rest, rest = places.groups.quotient(i);
  c = (c + (i - rest * places.groups.by) * places.across.by) * V;
  i = rest, rest = places.strips.quotient(i);
  const int64_t n = rest;
  const int begin = (i - rest * places.strips.by) * kRows;
  const int end = begin + kRows < p.out_h ? begin + kRows : (int)p.out_h;

  // Along x. Indices that the compiler knows keep the plan out of memory.
  const int64_t left = ox * down - plan.x.pad, first_x = up == 1 ? left : (left + 1) >> 1;
  const bool second = up == 2 && (left & 1);
  S row[taps];
#pragma unroll
  for (int t = 0; t < taps; ++t) row[t] = second ? plan.row[1][t] : plan.row[0][t];

  // Along y.
  const int pad = (int)plan.y.pad, height = (int)p.in_h;
  int k = up == 1 ? begin : (begin - pad + 1) >> 1, iy = up == 1 ? begin * down - pad : k;
  const int steps = (up == 1 ? end - begin : ((end - pad) >> 1) - k + 1) + last;
  Column<T> column[taps];
#pragma unroll
  for (int t = 0; t < taps; ++t) column[t].begin(p, n, iy, first_x + t, c);
  T* y = (T*)p.y + ((n * p.out_h + begin) * p.out_w + ox) * p.c + c;
  const int64_t y_step = p.out_w * p.c;
  const S* noise = epilogue && p.noise ? (const S*)p.noise + noise_at(p, n, begin, ox) : nullptr;
  const Epilogue<S, epilogue ? V : 1> finish(p, n, c);

  S sums[up][last + 1][V] = {};  // by phase and by how many steps ago the result began
  for (int step = 0; step < steps; ++step) {
#pragma unroll
    for (int d = 0; d < down; ++d, ++iy) {
      S line[V] = {};  // a row of the input, filtered along x
      if (iy >= 0 && iy < height) {
        S x[taps][V];
#pragma unroll
        for (int t = 0; t < taps; ++t) load<T, V>(column[t].here, x[t]);
#pragma unroll
        for (int t = 0; t < taps; ++t) {
#pragma unroll
          for (int j = 0; j < V; ++j) line[j] += row[t] * x[t][j];
        }
      }
#pragma unroll
      for (int t = 0; t < taps; ++t) column[t].here += column[t].step;
      // To every result that the row belongs to; the first row of a step begins one.
#pragma unroll
      for (int phase = 0; phase < up; ++phase) {
#pragma unroll
        for (int m = last; m >= 0; --m) {
          if (d + m * down >= taps) continue;
          const S weight = plan.column[phase][d + m * down];
#pragma unroll
          for (int j = 0; j < V; ++j) {
            const S before = d > 0 ? sums[phase][m][j] : m > 0 ? sums[phase][m > 0 ? m - 1 : 0][j] : S(0);
            sums[phase][m][j] = before + weight * line[j];
          }
        }
      }
    }
    if (step < last) continue;
#pragma unroll
    for (int phase = up - 1; phase >= 0; --phase) {
      const int oy = up == 1 ? k : 2 * k - phase + pad;
      if (up == 2 && (oy < begin || oy >= end)) continue;
      S result[V];
#pragma unroll
      for (int j = 0; j < V; ++j) result[j] = sums[phase][last][j];
      if (epilogue) finish.apply(plan, noise ? *noise : S(0), result);
      store<T, V>(y, result);
      y += y_step;
      if (epilogue && noise) noise += p.out_w;
    }
    ++k;
  }
}

// Any case: one result of V channels. far: the kernel's taps in the device's memory, null if they are `near`.
template <typename T, int V>
__global__ void general(Params p, Plan<typename Real<T>::type> plan, Taps near, const float* far, int64_t total) {
  typedef typename Real<T>::type S;
  const int64_t vectors = p.c / V;
  int64_t i = (int64_t)blockIdx.x * kThreads + threadIdx.x;
  if (i >= total) return;
  const int64_t c = i % vectors * V;
  i /= vectors;
  const int64_t ox = i % p.out_w;
  i /= p.out_w;
  const int64_t oy = i % p.out_h, n = i / p.out_h;
  const int64_t first_y = plan.y.first(oy), first_x = plan.x.first(ox);
  const int phase_y = plan.y.phase(oy), phase_x = plan.x.phase(ox);
  S sum[V] = {};
  for (int ty = phase_y, j = 0; ty < p.kh; ty += p.up_y, ++j) {
    if (first_y + j < 0 || first_y + j >= p.in_h) continue;
    for (int tx = phase_x, l = 0; tx < p.kw; tx += p.up_x, ++l) {
      if (first_x + l < 0 || first_x + l >= p.in_w) continue;
      const int tap = (p.kh - 1 - ty) * p.kw + p.kw - 1 - tx;
      const S weight = S(far ? far[tap] : near.k[tap]);
      S x[V];
      load<T, V>(pixel<T>(p, n, first_y + j, first_x + l) + c, x);
#pragma unroll
      for (int e = 0; e < V; ++e) sum[e] += weight * x[e];
    }
  }
  if (p.epilogue) {
    const S noise = p.noise ? ((const S*)p.noise)[noise_at(p, n, oy, ox)] : S(0);
    Epilogue<S, V>(p, n, c).apply(plan, noise, sum);
  }
  store<T, V>((T*)p.y + ((n * p.out_h + oy) * p.out_w + ox) * p.c + c, sum);
}

double magnitude(double x) { return x < 0 ? -x : x; }

// Fills the plan's column and row, turned and by phase; false if k is no product of the two or larger than they are.
template <typename S>
bool split(const Params& p, Plan<S>* plan) {
  if (p.kh > kTaps || p.kw > kTaps) return false;
  int pivot = 0;
  for (int i = 1; i < p.kh * p.kw; ++i) {
    if (magnitude(p.k[i]) > magnitude(p.k[pivot])) pivot = i;
  }
  const double peak = p.k[pivot], tolerance = magnitude(peak) * (sizeof(S) == 4 ? 2.4e-7 : 1e-15);
  if (peak == 0) return false;
  for (int phase = 0; phase < 2; ++phase) {
    for (int t = 0; t < kTaps; ++t) {
      const int y = p.kh - 1 - (phase + t * p.up_y), x = p.kw - 1 - (phase + t * p.up_x);
      plan->column[phase][t] = y < 0 ? S(0) : S(p.k[y * p.kw + pivot % p.kw] / peak);
      plan->row[phase][t] = x < 0 ? S(0) : S(p.k[pivot / p.kw * p.kw + x]);
    }
  }
  for (int y = 0; y < p.kh; ++y) {
    for (int x = 0; x < p.kw; ++x) {
      const double product = p.k[y * p.kw + pivot % p.kw] / peak * p.k[pivot / p.kw * p.kw + x];
      if (!(magnitude(product - p.k[y * p.kw + x]) <= tolerance)) return false;
    }
  }
  return true;
}

template <typename T, int V, int up, int down, int taps, bool epilogue>
cudaError_t launch_usual(const Params& p, const Plan<typename Real<T>::type>& plan, void* stream) {
  const int64_t vectors = p.c / V, strips = (p.out_h + kRows - 1) / kRows;
  int64_t across = vectors;
  while (across > 32 && across % 2 == 0) across /= 2;
  const int64_t total = p.n * strips * p.out_w * vectors;
  const auto kernel = usual<T, V, up, down, taps, epilogue>;
  TF_STYLEGAN_LAUNCH(kernel, blocks_for(total), kThreads, stream, p, plan, Places(p, across, vectors), (uint32_t)total);
  return cudaGetLastError();
}

// Kernels of fewer taps have their own code where vectors are whole: others' time goes elsewhere.
template <typename T, int V, int down>
cudaError_t launch_taps(const Params& p, const Plan<typename Real<T>::type>& plan, void* stream) {
  const int taps = V == 1 ? kTaps : p.kh > p.kw ? p.kh : p.kw;
  if (taps <= 2) return launch_usual<T, V, 1, down, V == 1 ? kTaps : 2, false>(p, plan, stream);
  if (taps == 3) return launch_usual<T, V, 1, down, V == 1 ? kTaps : 3, false>(p, plan, stream);
  return launch_usual<T, V, 1, down, kTaps, false>(p, plan, stream);
}

// Whether a call is a usual one, with numbers that 32 bits count; fills in the plan.
template <typename T, int V>
bool is_usual(const Params& p, Plan<typename Real<T>::type>* plan) {
  const int64_t far = 1 << 28, threads = p.n * ((p.out_h + kRows - 1) / kRows) * p.out_w * (p.c / V);
  return p.up_y == p.up_x && p.down_y == p.down_x && p.up_y * p.down_y <= 2 && threads <= INT32_MAX && p.in_h < far &&
         p.out_h < far && p.pad_y < far && p.pad_y > -far && split(p, plan);
}

template <typename T, int V>
cudaError_t launch(const Params& p, void* workspace, void* stream) {
  typedef typename Real<T>::type S;
  Plan<S> plan = {{p.pad_y, p.up_y, p.down_y, p.kh}, {p.pad_x, p.up_x, p.down_x, p.kw}, S(1), S(1), S(INFINITY)};
  if (p.epilogue) plan.alpha = S(p.alpha), plan.gain = S(p.gain);
  if (p.epilogue && p.clamp >= 0) plan.most = S(p.clamp);
  if ((p.up_y * p.down_y == 1 || !p.epilogue) && is_usual<T, V>(p, &plan)) {
    if (p.up_y == 2) {
      if (V > 1 && p.kh <= 2 && p.kw <= 2) return launch_usual<T, V, 2, 1, V == 1 ? 2 : 1, false>(p, plan, stream);
      return launch_usual<T, V, 2, 1, 2, false>(p, plan, stream);
    }
    if (p.down_y == 2) return launch_taps<T, V, 2>(p, plan, stream);
    if (!p.epilogue) return launch_taps<T, V, 1>(p, plan, stream);
    return launch_usual<T, V, 1, 1, kTaps, true>(p, plan, stream);
  }
  const int64_t total = p.n * p.out_h * p.out_w * (p.c / V);
  const unsigned blocks = blocks_for(total);
  if (!blocks) return cudaErrorInvalidValue;
  Taps near = {};
  const float* far = nullptr;
  if (p.kh * p.kw <= kSmall) {
    for (int i = 0; i < p.kh * p.kw; ++i) near.k[i] = p.k[i];
  } else {  // copied before the call returns: k is not pinned memory
    const cudaError_t error =
        cudaMemcpyAsync(workspace, p.k, p.kh * p.kw * sizeof(float), cudaMemcpyHostToDevice, (cudaStream_t)stream);
    if (error != cudaSuccess) {
      cudaGetLastError();  // told here, and not again by the next launch
      return error;
    }
    far = (const float*)workspace;
  }
  const auto kernel = general<T, V>;
  TF_STYLEGAN_LAUNCH(kernel, blocks, kThreads, stream, p, plan, near, far, total);
  return cudaGetLastError();
}

template <typename T>
cudaError_t launch(const Params& p, void* workspace, void* stream) {
  enum { V = 16 / sizeof(T) };
  const void* const pointers[] = {p.x, p.y, p.epilogue ? p.scale : nullptr, p.epilogue ? p.b : nullptr};
  if (p.c % V == 0 && all_aligned(pointers, 4)) return launch<T, V>(p, workspace, stream);
  return launch<T, 1>(p, workspace, stream);
}

}  // namespace

extern "C" int64_t tf_stylegan_upfirdn_2d_cuda_workspace(const Params* p) {
  return p->kh * p->kw <= kSmall ? 0 : p->kh * p->kw * (int64_t)sizeof(float);
}

extern "C" int tf_stylegan_upfirdn_2d_cuda(const Params* p, void* workspace, void* stream) {
  if (p->n < 0 || p->in_h < 0 || p->in_w < 0 || p->c < 0 || p->out_h < 0 || p->out_w < 0 || p->up_y < 1 || p->up_x < 1 ||
      p->down_y < 1 || p->down_x < 1 || p->kh < 1 || p->kh > TF_STYLEGAN_MAX_TAPS || p->kw < 1 ||
      p->kw > TF_STYLEGAN_MAX_TAPS || !p->k || (p->epilogue && p->noise && p->noise_n != 1 && p->noise_n != p->n)) {
    return (int)cudaErrorInvalidValue;
  }
  if (p->n == 0 || p->out_h == 0 || p->out_w == 0 || p->c == 0) return (int)cudaSuccess;
  switch (p->dtype) {
    case TF_STYLEGAN_FLOAT32:
      return (int)launch<float>(*p, workspace, stream);
    case TF_STYLEGAN_BFLOAT16:
      return (int)launch<bfloat16>(*p, workspace, stream);
    case TF_STYLEGAN_FLOAT16:
      return (int)launch<__half>(*p, workspace, stream);
    case TF_STYLEGAN_FLOAT64:
      return (int)launch<double, 1>(*p, workspace, stream);
  }
  return (int)cudaErrorInvalidValue;
}
