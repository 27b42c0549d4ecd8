// fused_bias_act on a GPU. Without sums every thread handles one vector. With sums a block handles some rows of one
// sample: each thread keeps the sums of its channels over the rows it sees, blocks write theirs to the workspace, and a
// second kernel adds these in a fixed order: the same sums every time.
#include "fused_bias_act.h"

#include "cuda.h"

namespace {

typedef tf_stylegan_fused_bias_act Params;

template <typename S>
struct Settings {
  S alpha, gain, clamp, undo_gain;  // alpha: 1 for linear, 0 for relu
  int act, mode;
};

__device__ inline float exp_of(float x) { return expf(x); }
__device__ inline double exp_of(double x) { return exp(x); }
__device__ inline float expm1_of(float x) { return expm1f(x); }
__device__ inline double expm1_of(double x) { return expm1(x); }
__device__ inline float log1p_of(float x) { return log1pf(x); }
__device__ inline double log1p_of(double x) { return log1p(x); }
__device__ inline float tanh_of(float x) { return tanhf(x); }
__device__ inline double tanh_of(double x) { return tanh(x); }
template <typename S>
__device__ inline S abs_of(S x) {
  return x < 0 ? -x : x;
}
template <typename S>
__device__ inline S sigmoid(S x) {
  return 1 / (1 + exp_of(-x));
}

#define TF_STYLEGAN_SELU_SCALE S(1.0507009873554804934193349852946)
#define TF_STYLEGAN_SELU_PRODUCT (S(1.0507009873554804934193349852946) * S(1.6732632423543772848170429916717))

// As in activations.h: act(x); its derivative from a = act(x) (for swish from a = x); the derivative of that. `bent`:
// whether the activation is another one than linear, relu and lrelu. Which one, and the mode, are the same for all
// threads, and asking for them at run time costs less than a kernel for each.
template <bool bent, typename S>
__device__ inline S activate(S x, const Settings<S>& s) {
  if (!bent) return x > 0 ? x : s.alpha == 0 && x == x ? S(0) : x * s.alpha;
  switch (s.act) {
    case TF_STYLEGAN_TANH:
      return tanh_of(x);
    case TF_STYLEGAN_SIGMOID:
      return sigmoid(x);
    case TF_STYLEGAN_ELU:
      return x < 0 ? expm1_of(x) : x;
    case TF_STYLEGAN_SELU:
      return x < 0 ? expm1_of(x) * TF_STYLEGAN_SELU_PRODUCT : x * TF_STYLEGAN_SELU_SCALE;
    case TF_STYLEGAN_SOFTPLUS:
      return log1p_of(exp_of(-abs_of(x))) + (x > 0 ? x : x != x ? x : S(0));
    case TF_STYLEGAN_SWISH:
      return x * sigmoid(x);
  }
  return x;
}

template <bool bent, typename S>
__device__ inline S slope(S a, const Settings<S>& s) {
  if (!bent) return a > 0 ? S(1) : s.alpha;
  switch (s.act) {
    case TF_STYLEGAN_TANH:
      return 1 - a * a;
    case TF_STYLEGAN_SIGMOID:
      return a * (1 - a);
    case TF_STYLEGAN_ELU:
      return a < 0 ? a + 1 : S(1);
    case TF_STYLEGAN_SELU:
      return a < 0 ? a + TF_STYLEGAN_SELU_PRODUCT : TF_STYLEGAN_SELU_SCALE;
    case TF_STYLEGAN_SOFTPLUS:
      return 1 - exp_of(-a);
    case TF_STYLEGAN_SWISH: {
      const S y = sigmoid(a);
      return y * (1 + a * (1 - y));
    }
  }
  return S(1);
}

template <bool bent, typename S>
__device__ inline S bend(S a, const Settings<S>& s) {
  if (!bent) return S(0);
  switch (s.act) {
    case TF_STYLEGAN_TANH:
      return -2 * a;
    case TF_STYLEGAN_SIGMOID:
      return 1 - 2 * a;
    case TF_STYLEGAN_ELU:
    case TF_STYLEGAN_SELU:
      return a < 0 ? S(1) : S(0);
    case TF_STYLEGAN_SOFTPLUS:
      return exp_of(-a);
    case TF_STYLEGAN_SWISH: {
      const S y = sigmoid(a);
      return y * (1 - y) * (2 + a * (1 - 2 * y));
    }
  }
  return S(0);
}

template <bool bent, typename S>
__device__ inline S transform(S in, S ref, S dy, const Settings<S>& s) {
  if (s.mode == 0) {
    const S y = activate<bent>(in, s) * s.gain;
    if (s.clamp < 0) return y;
    return y > s.clamp ? s.clamp : y < -s.clamp ? -s.clamp : y;
  }
  const bool from_x = bent && s.act == TF_STYLEGAN_SWISH;
  const S a = from_x ? ref : ref * s.undo_gain;
  const S out = s.mode == 1 ? in * slope<bent>(a, s) * s.gain : in * dy * bend<bent>(a, s) * (from_x ? s.gain : S(1));
  if (s.clamp < 0) return out;
  const S y = from_x ? activate<bent>(ref, s) * s.gain : ref;
  return abs_of(y) < s.clamp ? out : S(0);
}

// The V elements of channel vector cv of row r: writes y, and `out` to where the caller keeps it.
template <typename T, int V, bool bent, typename S>
__device__ inline void element(const Params& p, const Settings<S>& settings, int64_t r, int64_t cv, S* out) {
  const int64_t c = cv * V, i = r * p.c + c, sample = (p.scale || p.post_scale ? r / p.rows_per_sample : 0) * p.c + c;
  S x[V], ref[V] = {}, dy[V] = {}, y[V];
  load<T, V>((const T*)p.x + i, x);
  if (settings.mode > 0 && p.ref) load<T, V>((const T*)p.ref + i, ref);
  if (settings.mode > 1) load<T, V>((const T*)p.dy + i, dy);
  S noise = S(0);
  if (p.noise) noise = ((const S*)p.noise)[r % p.noise_rows] * (p.strength ? *(const S*)p.strength : S(1));
#pragma unroll
  for (int j = 0; j < V; ++j) {
    const S scale = p.scale ? ((const S*)p.scale)[sample + j] : S(1);
    const S in = x[j] * scale + (p.b ? ((const S*)p.b)[c + j] : S(0)) + noise;
    out[j] = transform<bent>(in, ref[j], dy[j], settings);
    y[j] = out[j] * (p.post_scale ? ((const S*)p.post_scale)[sample + j] : S(1));
  }
  store<T, V>((T*)p.y + i, y);
}

// Index: 32 bits where they are enough, since division by them is much faster.
template <typename T, int V, bool bent, typename Index>
__global__ void elementwise(Params p, Settings<typename Real<T>::type> settings, Index total) {
  const Index i = (Index)blockIdx.x * kThreads + threadIdx.x, vectors = (Index)(p.c / V);
  if (i >= total) return;
  typename Real<T>::type out[V];
  element<T, V, bent>(p, settings, i / vectors, i % vectors, out);
}

// Rows of one sample that a block of the kernel with sums handles, and how threads are laid out over them.
struct Layout {
  int64_t rows, per_sample, units;
  int across;  // threads along the channels, a power of two; the others go along the rows
  Layout(const Params& p, int v) {
    const int64_t vectors = (p.c + v - 1) / v;
    for (across = 1; across < vectors && across < kThreads; across *= 2) {
    }
    rows = kThreads / across * 16;
    // Few enough units that adding up theirs costs nothing: a large sample gets larger ones.
    while (rows < p.rows_per_sample && (p.rows_per_sample + rows - 1) / rows > 512) rows *= 2;
    per_sample = p.rows_per_sample > 0 ? (p.rows_per_sample + rows - 1) / rows : 0;
    units = p.rows_per_sample > 0 ? p.rows / p.rows_per_sample * per_sample : 0;
  }
};

template <typename T, int V, bool bent>
__global__ void with_sums(Params p, Settings<typename Real<T>::type> settings, Layout layout) {
  typedef typename Real<T>::type S;
  __shared__ S shared[kThreads];
  const int across = layout.across, down = kThreads / across, tx = threadIdx.x % across, ty = threadIdx.x / across;
  const int64_t unit = blockIdx.x, n = unit / layout.per_sample, first = unit % layout.per_sample * layout.rows;
  const int64_t left = p.rows_per_sample - first, rows = left < layout.rows ? left : layout.rows;
  const int64_t begin = n * p.rows_per_sample + first, vectors = p.c / V;
  S *partial_rows = (S*)p.workspace, *partial_aux = partial_rows + (p.sum_rows ? layout.units * p.c : 0);
  for (int64_t tile = 0; tile < vectors; tile += across) {
    const int64_t cv = tile + tx;
    S sum[V] = {}, sum_aux[V] = {};
    for (int64_t base = 0; base < rows; base += down) {  // as often for all threads, who wait for each other below
      const int64_t r = begin + base + ty;
      const bool inside = base + ty < rows && cv < vectors;
      S out[V] = {}, aux[V] = {}, row = S(0);
      if (inside) {
        if (p.sum_aux) load<T, V>((const T*)p.aux + r * p.c + cv * V, aux);  // before y is written: it may be aux
        element<T, V, bent>(p, settings, r, cv, out);
      }
#pragma unroll
      for (int j = 0; j < V; ++j) sum[j] += out[j], sum_aux[j] += out[j] * aux[j], row += out[j];
      if (!p.sum_channels) continue;
      shared[threadIdx.x] = row;
      __syncthreads();
      for (int half = across / 2; half > 0; half /= 2) {
        if (tx < half) shared[threadIdx.x] += shared[threadIdx.x + half];
        __syncthreads();
      }
      if (tx == 0 && base + ty < rows) {
        S* to = (S*)p.sum_channels + r;
        *to = (tile ? *to : S(0)) + shared[threadIdx.x];
      }
      __syncthreads();
    }
    for (int which = 0; which < 2; ++which) {
      if (!(which ? p.sum_aux : p.sum_rows)) continue;
      S* to = (which ? partial_aux : partial_rows) + unit * p.c + cv * V;
#pragma unroll
      for (int j = 0; j < V; ++j) {
        shared[threadIdx.x] = which ? sum_aux[j] : sum[j];
        __syncthreads();
        for (int half = down / 2; half > 0; half /= 2) {
          if (ty < half) shared[threadIdx.x] += shared[threadIdx.x + half * across];
          __syncthreads();
        }
        if (ty == 0 && cv < vectors) to[j] = shared[threadIdx.x];
        __syncthreads();
      }
    }
  }
}

// One thread for each channel (sum_rows) or each channel of each sample (sum_aux).
template <typename S>
__global__ void finish_sums(S* to, const S* partial, int64_t c, int64_t units, int64_t total) {
  const int64_t i = (int64_t)blockIdx.x * kThreads + threadIdx.x;
  if (i >= total) return;
  const S* from = partial + i / c * units * c + i % c;
  S sum = S(0);
  for (int64_t unit = 0; unit < units; ++unit) sum += from[unit * c];
  to[i] = sum;
}

template <typename T>
int vector_of(const Params& p) {
  const void* const pointers[] = {p.x, p.ref, p.dy, p.aux, p.y};
  return vector_size<T>(p.c, pointers, 5);
}

template <typename T, int V, bool bent>
cudaError_t launch(const Params& p, void* stream) {
  typedef typename Real<T>::type S;
  Settings<S> settings = {S(p.alpha), S(p.gain), S(-1), S(1) / S(p.gain), p.act, p.mode};
  if (p.act == TF_STYLEGAN_LINEAR) settings.alpha = S(1);
  if (p.act == TF_STYLEGAN_RELU) settings.alpha = S(0);
  if (p.clamp >= 0) {  // as it is stored, so that a stored result can be recognised as cut
    T stored;
    narrow(S(p.clamp), &stored);
    settings.clamp = widen(stored);
  }
  if (!p.sum_rows && !p.sum_channels && !p.sum_aux) {
    const int64_t total = p.rows * (p.c / V);
    const unsigned blocks = blocks_for(total);
    if (!blocks) return cudaErrorInvalidValue;
    if (p.rows * p.c <= INT32_MAX) {
      const auto kernel = elementwise<T, V, bent, uint32_t>;
      TF_STYLEGAN_LAUNCH(kernel, blocks, kThreads, stream, p, settings, (uint32_t)total);
    } else {
      const auto kernel = elementwise<T, V, bent, uint64_t>;
      TF_STYLEGAN_LAUNCH(kernel, blocks, kThreads, stream, p, settings, (uint64_t)total);
    }
    return cudaGetLastError();
  }
  const Layout layout(p, V);
  if (layout.units > INT32_MAX) return cudaErrorInvalidValue;
  const auto kernel = with_sums<T, V, bent>;
  TF_STYLEGAN_LAUNCH(kernel, (unsigned)layout.units, kThreads, stream, p, settings, layout);
  cudaError_t error = cudaGetLastError();
  const S* partial = (const S*)p.workspace;
  if (error == cudaSuccess && p.sum_rows) {
    const auto finish = finish_sums<S>;
    TF_STYLEGAN_LAUNCH(finish, blocks_for(p.c), kThreads, stream, (S*)p.sum_rows, partial, p.c, layout.units, p.c);
    partial += layout.units * p.c;
    error = cudaGetLastError();
  }
  if (error == cudaSuccess && p.sum_aux) {
    const int64_t total = p.rows / p.rows_per_sample * p.c;
    const auto finish = finish_sums<S>;
    TF_STYLEGAN_LAUNCH(finish, blocks_for(total), kThreads, stream, (S*)p.sum_aux, partial, p.c, layout.per_sample, total);
    error = cudaGetLastError();
  }
  return error;
}

template <typename T, int V>
cudaError_t launch(const Params& p, void* stream) {
  return p.act > TF_STYLEGAN_LRELU ? launch<T, V, true>(p, stream) : launch<T, V, false>(p, stream);
}

template <typename T>
cudaError_t launch(const Params& p, void* stream) {
  return vector_of<T>(p) > 1 ? launch<T, 16 / sizeof(T)>(p, stream) : launch<T, 1>(p, stream);
}

int64_t units_of(const Params& p) {
  switch (p.dtype) {
    case TF_STYLEGAN_FLOAT32:
      return Layout(p, vector_of<float>(p)).units;
    case TF_STYLEGAN_BFLOAT16:
      return Layout(p, vector_of<bfloat16>(p)).units;
    case TF_STYLEGAN_FLOAT16:
      return Layout(p, vector_of<__half>(p)).units;
    default:
      return Layout(p, 1).units;
  }
}

}  // namespace

extern "C" int64_t tf_stylegan_fused_bias_act_cuda_workspace(const Params* p) {
  const int64_t arrays = (p->sum_rows != nullptr) + (p->sum_aux != nullptr);
  return arrays ? arrays * units_of(*p) * p->c * (p->dtype == TF_STYLEGAN_FLOAT64 ? 8 : 4) : 0;
}

extern "C" int tf_stylegan_fused_bias_act_cuda(const Params* p, void* stream) {
  if (p->rows == 0 || p->c == 0) return (int)cudaSuccess;  // sums are left alone, as without work
  const bool needs_ref = p->mode > 0 && (p->act != TF_STYLEGAN_LINEAR || p->clamp >= 0);
  if (p->rows < 0 || p->c < 0 || p->act < 0 || p->act > TF_STYLEGAN_SWISH || p->mode < 0 || p->mode > 2 ||
       p->rows_per_sample < 1 || p->rows % p->rows_per_sample || (needs_ref && !p->ref) ||
      (p->mode == 2 && !p->dy) || (p->mode > 0 && (!(p->gain > 0) || p->alpha < 0)) ||
      (p->noise && (p->noise_rows < 1 || p->rows % p->noise_rows)) || (p->sum_aux && !p->aux)) {
    return (int)cudaErrorInvalidValue;
  }
  switch (p->dtype) {
    case TF_STYLEGAN_FLOAT32:
      return (int)launch<float>(*p, stream);
    case TF_STYLEGAN_BFLOAT16:
      return (int)launch<bfloat16>(*p, stream);
    case TF_STYLEGAN_FLOAT16:
      return (int)launch<__half>(*p, stream);
    case TF_STYLEGAN_FLOAT64:
      return (int)launch<double, 1>(*p, stream);
  }
  return (int)cudaErrorInvalidValue;
}
