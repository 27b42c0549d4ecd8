// upfirdn_2d on a GPU. The usual cases (a kernel of at most 4 x 4 that is a product of a column and a row; up 2, down 2 or
// neither) go down the image: a thread keeps the last rows of the input, filtered along x, in registers, so that each of
// its pixels is read once for each tap of the row and comes from the first-level cache, where its neighbours' reads
// brought it. All other cases add up the taps of each result one by one.
#include "upfirdn_2d.h"

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
  S alpha, gain, clamp;
  S column[2][kTaps], row[2][kTaps];  // by phase, turned; for the usual cases
};

// Taps that travel with the launch.
struct Taps {
  float k[kSmall];
};

// Pixel (iy, ix) of sample n, which must be inside of the image.
template <typename T>
__device__ inline const T* pixel(const Params& p, int64_t n, int64_t iy, int64_t ix) {
  if (!p.interleaved) return (const T*)p.x + ((n * p.in_h + iy) * p.in_w + ix) * p.c;
  const int odd_y = (int)(iy & 1), odd_x = (int)(ix & 1);
  const int64_t h = (p.in_h + 1 - odd_y) / 2, w = (p.in_w + 1 - odd_x) / 2;
  const void* image = odd_y ? (odd_x ? p.x11 : p.x10) : (odd_x ? p.x01 : p.x);
  return (const T*)image + ((n * h + (iy >> 1)) * w + (ix >> 1)) * p.c;
}

// The epilogue, and the V results from channel c on of pixel (oy, ox).
template <typename T, int V, typename S>
__device__ inline void finish(const Params& p, const Plan<S>& plan, int64_t n, int64_t oy, int64_t ox, int64_t c, S* v) {
  if (p.epilogue) {
    S noise = S(0);
    if (p.noise) {
      noise = ((const S*)p.noise)[((p.noise_n == 1 ? 0 : n) * p.out_h + oy) * p.out_w + ox];
      noise *= p.strength ? *(const S*)p.strength : S(1);
    }
#pragma unroll
    for (int j = 0; j < V; ++j) {
      S y = v[j] * (p.scale ? ((const S*)p.scale)[n * p.c + c + j] : S(1));
      y += (p.b ? ((const S*)p.b)[c + j] : S(0)) + noise;
      y = (y > 0 ? y : plan.alpha == 0 && y == y ? S(0) : y * plan.alpha) * plan.gain;
      if (plan.clamp >= 0) y = y > plan.clamp ? plan.clamp : y < -plan.clamp ? -plan.clamp : y;
      v[j] = y;
    }
  }
  store<T, V>((T*)p.y + ((n * p.out_h + oy) * p.out_w + ox) * p.c + c, v);
}

// Axis::first for factors known to the compiler.
template <int up, int down>
__device__ inline int64_t first_of(int64_t o, int64_t pad) {
  const int64_t a = o * down - pad;
  return up == 1 ? a : (a + 1) >> 1;
}

// The usual cases: kRows results below one another of one pixel column and V channels.
template <typename T, int V, int up, int down>
__global__ void usual(Params p, Plan<typename Real<T>::type> plan, int64_t total) {
  typedef typename Real<T>::type S;
  enum { taps = (kTaps + up - 1) / up };  // of a phase
  const int64_t vectors = p.c / V, strips = (p.out_h + kRows - 1) / kRows;
  int64_t i = (int64_t)blockIdx.x * kThreads + threadIdx.x;
  if (i >= total) return;
  const int64_t c = i % vectors * V;
  i /= vectors;
  const int64_t ox = i % p.out_w;
  i /= p.out_w;
  const int64_t begin = i % strips * kRows, n = i / strips;
  const int64_t end = begin + kRows < p.out_h ? begin + kRows : p.out_h;
  const int64_t first_x = first_of<up, down>(ox, plan.x.pad);
  S row[taps], lines[taps][V] = {};  // the last input rows, filtered along x
#pragma unroll
  for (int t = 0; t < taps; ++t) row[t] = plan.row[0][t];
  if (up == 2 && first_x * up != ox * down - plan.x.pad) {
#pragma unroll
    for (int t = 0; t < taps; ++t) row[t] = plan.row[1][t];  // indices known to the compiler keep the plan out of memory
  }
  int64_t oy = begin;
  for (int64_t iy = first_of<up, down>(begin, plan.y.pad); oy < end; ++iy) {
#pragma unroll
    for (int t = 0; t < taps; ++t) {
#pragma unroll
      for (int j = 0; j < V; ++j) lines[t][j] = t + 1 < taps ? lines[t + 1 < taps ? t + 1 : t][j] : S(0);
    }
    if (iy >= 0 && iy < p.in_h) {
#pragma unroll
      for (int t = 0; t < taps; ++t) {
        if (first_x + t < 0 || first_x + t >= p.in_w) continue;
        S x[V];
        load<T, V>(pixel<T>(p, n, iy, first_x + t) + c, x);
#pragma unroll
        for (int j = 0; j < V; ++j) lines[taps - 1][j] += row[t] * x[j];
      }
    }
    // The results whose last row this was.
    while (oy < end && first_of<up, down>(oy, plan.y.pad) + taps - 1 == iy) {
      const bool second = up == 2 && (iy - taps + 1) * up != oy * down - plan.y.pad;
      S sum[V] = {};
#pragma unroll
      for (int t = 0; t < taps; ++t) {
        const S weight = second ? plan.column[1][t] : plan.column[0][t];
#pragma unroll
        for (int j = 0; j < V; ++j) sum[j] += weight * lines[t][j];
      }
      finish<T, V>(p, plan, n, oy, ox, c, sum);
      ++oy;
    }
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
  finish<T, V>(p, plan, n, oy, ox, c, sum);
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

template <typename T, int V, int up, int down>
cudaError_t launch_usual(const Params& p, const Plan<typename Real<T>::type>& plan, void* stream) {
  const int64_t total = p.n * ((p.out_h + kRows - 1) / kRows) * p.out_w * (p.c / V);
  const unsigned blocks = blocks_for(total);
  if (!blocks) return cudaErrorInvalidValue;
  const auto kernel = usual<T, V, up, down>;
  TF_STYLEGAN_LAUNCH(kernel, blocks, kThreads, stream, p, plan, total);
  return cudaGetLastError();
}

template <typename T, int V>
cudaError_t launch(const Params& p, void* workspace, void* stream) {
  typedef typename Real<T>::type S;
  Plan<S> plan = {{p.pad_y, p.up_y, p.down_y, p.kh}, {p.pad_x, p.up_x, p.down_x, p.kw}, S(p.alpha), S(p.gain), S(p.clamp)};
  if (p.up_y == p.up_x && p.down_y == p.down_x && p.up_y * p.down_y <= 2 && split(p, &plan)) {
    if (p.up_y == 2) return launch_usual<T, V, 2, 1>(p, plan, stream);
    if (p.down_y == 2) return launch_usual<T, V, 1, 2>(p, plan, stream);
    return launch_usual<T, V, 1, 1>(p, plan, stream);
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
    if (error != cudaSuccess) return error;
    far = (const float*)workspace;
  }
  const auto kernel = general<T, V>;
  TF_STYLEGAN_LAUNCH(kernel, blocks, kThreads, stream, p, plan, near, far, total);
  return cudaGetLastError();
}

template <typename T>
cudaError_t launch(const Params& p, void* workspace, void* stream) {
  const void* const pointers[] = {p.x, p.x01, p.x10, p.x11, p.y};
  if (vector_size<T>(p.c, pointers, 5) > 1) return launch<T, 16 / sizeof(T)>(p, workspace, stream);
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
