// fused_bias_act on a GPU. Without sums every thread handles one vector. With sums a block handles some rows of one
// sample: each thread keeps the sums of its channels over the rows it sees, blocks write theirs to the workspace, and a
// second kernel adds these in a fixed order: the same sums every time.
//
// What a call has of mode and arrays (its form) is known to the compiler for the calls that networks make most. All that
// such a kernel reads is then asked for before anything is waited for, and no instruction is spent on what is not there.
#include "fused_bias_act.h"

#include "cuda.h"
#include "fused_bias_act_cuda.h"

namespace {

typedef tf_stylegan_fused_bias_act Params;

// A form: which arrays there are. With kRef it is mode 1 of linear, relu or lrelu, without it mode 0 of these, which mode
// 1 of linear is too. kAny: asks for everything at run time.
enum { kAny = -1, kB = 1, kScale = 2, kNoise = 4, kPost = 8, kRef = 16, kAux = 32 };

template <int form, int what>
__device__ inline bool has(const void* array) {
  return form == kAny ? array != nullptr : (form & what) != 0;
}

// Everything that V results are computed from.
template <typename S, int V>
struct Operands {
  S x[V], ref[V], dy[V], scale[V], b[V], post[V], noise[V];
  __device__ Operands() {
#pragma unroll
    for (int j = 0; j < V; ++j) ref[j] = dy[j] = b[j] = noise[j] = S(0), scale[j] = post[j] = S(1);
  }
};

template <typename T, int V, int form, typename S>
__device__ inline void load_images(const Params& p, const Settings<S>& s, int64_t at, Operands<S, V>* o) {
  load<T, V>((const T*)p.x + at, o->x);
  if (has<form, kRef>(p.ref) && (form != kAny || s.mode > 0)) load<T, V>((const T*)p.ref + at, o->ref);
  if (form == kAny && s.mode > 1) load<T, V>((const T*)p.dy + at, o->dy);
}

// Parameters of the channels from c on of sample n, where they are multiples of V.
template <int V, int form, typename S>
__device__ inline void load_parameters(const Params& p, int64_t n, int64_t c, Operands<S, V>* o) {
  if (has<form, kB>(p.b)) load_numbers<V>((const S*)p.b + c, o->b);
  if (has<form, kScale>(p.scale)) load_numbers<V>((const S*)p.scale + n * p.c + c, o->scale);
  if (has<form, kPost>(p.post_scale)) load_numbers<V>((const S*)p.post_scale + n * p.c + c, o->post);
}

template <typename S>
__device__ inline S strength_of(const Params& p) {
  return p.strength ? *(const S*)p.strength : S(1);
}

template <int V, int form, bool bent, typename S>
__device__ inline void compute(const Operands<S, V>& o, const Settings<S>& s, S* out) {
#pragma unroll
  for (int j = 0; j < V; ++j) {
    // What is not there is not added: the compiler must not leave out a zero by itself.
    S in = form == kAny || form & kScale ? o.x[j] * o.scale[j] : o.x[j];
    if (form == kAny || (form & (kB | kNoise)) == (kB | kNoise)) {
      in += o.b[j] + o.noise[j];
    } else if (form & (kB | kNoise)) {
      in += form & kB ? o.b[j] : o.noise[j];
    }
    if (form == kAny) {
      out[j] = transform<bent>(in, o.ref[j], o.dy[j], s);
    } else if (form & kRef) {
      const S y = in * (o.ref[j] > 0 ? s.gain : s.negative);
      out[j] = !s.clamped || abs_of(o.ref[j]) < s.most ? y : S(0);
    } else {
      out[j] = cut(in * (in > 0 ? s.gain : s.negative), s.most);
    }
  }
}

template <typename T, int V, int form, typename S>
__device__ inline void store_results(const Params& p, int64_t at, const Operands<S, V>& o, const S* out) {
  S y[V];
#pragma unroll
  for (int j = 0; j < V; ++j) y[j] = has<form, kPost>(p.post_scale) ? out[j] * o.post[j] : out[j];
  store<T, V>((T*)p.y + at, y);
}

// What places are divided by: channels (vectors of them), rows of a sample, numbers of the noise.
template <typename D>
struct Divisors {
  D c, sample, noise;
  Divisors(const Params& p, int v)
      : c(p.c / v), sample(p.scale || p.post_scale ? p.rows_per_sample : 1), noise(p.noise ? p.noise_rows : 1) {}
};

// One vector of one row for each thread, below 2^31 of them.
template <typename T, int V, int form, bool bent>
__global__ void by_rows(Params p, Settings<typename Real<T>::type> s, Divisors<Divisor> d, uint32_t total) {
  typedef typename Real<T>::type S;
  const uint32_t i = blockIdx.x * kThreads + threadIdx.x;
  if (i >= total) return;
  const uint32_t r = d.c.quotient(i);
  const int64_t at = (int64_t)i * V;
  Operands<S, V> o;
  load_images<T, V, form>(p, s, at, &o);
  load_parameters<V, form>(p, d.sample.quotient(r), (i - r * d.c.by) * V, &o);
  if (has<form, kNoise>(p.noise)) {
    o.noise[0] = ((const S*)p.noise)[r - d.noise.quotient(r) * d.noise.by] * strength_of<S>(p);
#pragma unroll
    for (int j = 1; j < V; ++j) o.noise[j] = o.noise[0];
  }
  S out[V];
  compute<V, form, bent>(o, s, out);
  store_results<T, V, form>(p, at, o, out);
}

// The V elements from place e on, wherever rows end among them.
template <typename T, int V, int form, bool bent, typename Index, typename D, typename S>
__device__ inline void elements(const Params& p, const Settings<S>& s, const Divisors<D>& d, Index e) {
  Index r = d.c.quotient(e), c = e - r * (Index)p.c, n = d.sample.quotient(r);
  Index in_sample = r - n * d.sample.by, noise = r - d.noise.quotient(r) * d.noise.by;
  Operands<S, V> o;
  load_images<T, V, form>(p, s, e, &o);
#pragma unroll
  for (int j = 0; j < V; ++j) {
    if (has<form, kB>(p.b)) o.b[j] = ((const S*)p.b)[c];
    if (has<form, kScale>(p.scale)) o.scale[j] = ((const S*)p.scale)[n * (Index)p.c + c];
    if (has<form, kPost>(p.post_scale)) o.post[j] = ((const S*)p.post_scale)[n * (Index)p.c + c];
    if (has<form, kNoise>(p.noise)) o.noise[j] = ((const S*)p.noise)[noise] * strength_of<S>(p);
    if (j + 1 == V || ++c < (Index)p.c) continue;
    c = 0;
    if (++noise == d.noise.by) noise = 0;
    if (++in_sample == d.sample.by) in_sample = 0, ++n;
  }
  S out[V];
  compute<V, form, bent>(o, s, out);
  store_results<T, V, form>(p, e, o, out);
}

// Rows that vectors do not divide: V elements of the tensor as it lies in memory for each thread, the last one the rest.
template <typename T, int V, int form, bool bent, typename Index, typename D>
__global__ void flat(Params p, Settings<typename Real<T>::type> s, Divisors<D> d, Index total) {
  const Index e = ((Index)blockIdx.x * kThreads + threadIdx.x) * V;
  if (e + V <= total) return elements<T, V, form, bent>(p, s, d, e);
  for (Index i = e; V > 1 && i < total; ++i) elements<T, 1, form, bent>(p, s, d, i);
}

// Rows of one sample that a block of the kernel with sums handles, and how threads are laid out over them: a warp, or a
// part of it, along the channels, so that what is added up along them stays within a warp.
struct Layout {
  int64_t rows, per_sample, units;
  int across, tiles;  // threads along the channels, a power of two; how often these have to move on
  int stride;         // blocks that share a unit's tiles
  Layout(const Params& p, int v) {
    const int64_t vectors = (p.c + v - 1) / v;
    for (across = 1; across < vectors && across < 32; across *= 2) {
    }
    tiles = (int)((vectors + across - 1) / across);
    stride = p.sum_channels ? 1 : tiles;
    // Small units where there would be too few to keep a GPU busy; so few that adding up theirs costs nothing.
    const int64_t samples = p.rows_per_sample > 0 ? p.rows / p.rows_per_sample : 0, least = kThreads / across * 4;
    const auto count = [&] { return (p.rows_per_sample + rows - 1) / rows; };
    for (rows = least; rows < p.rows_per_sample; rows *= 2) {
      if (count() <= 512 && (rows >= 4 * least || samples * count() * stride <= 1024)) break;
    }
    per_sample = samples > 0 ? count() : 0;
    units = samples * per_sample;
  }
};

// to[c] = Σ of what the block's threads have of channel c, from channel `first` on.
template <int V, typename S>
__device__ inline void fold(S* sum, S* to, int across, int64_t first, int64_t channels) {
  __shared__ S shared[kThreads / 32][32 * V];
  const int lane = threadIdx.x % 32, i = threadIdx.x;
  for (int mask = across; mask < 32; mask *= 2) {
#pragma unroll
    for (int j = 0; j < V; ++j) sum[j] += __shfl_xor_sync(0xffffffffu, sum[j], mask);
  }
  __syncthreads();  // what was there has been read
  if (lane < across) {
#pragma unroll
    for (int j = 0; j < V; ++j) shared[threadIdx.x / 32][lane * V + j] = sum[j];
  }
  __syncthreads();
  if (i >= across * V || first + i >= channels) return;
  S all = shared[0][i];
#pragma unroll
  for (int warp = 1; warp < kThreads / 32; ++warp) all += shared[warp][i];
  to[first + i] = all;
}

template <typename T, int V, int form, bool bent>
__global__ void __launch_bounds__(kThreads, form == kAny ? 2 : 4)
    with_sums(Params p, Settings<typename Real<T>::type> s, Layout layout) {
  typedef typename Real<T>::type S;
  const int across = layout.across, down = kThreads / across, tx = threadIdx.x & (across - 1), ty = threadIdx.x / across;
  const int64_t unit = blockIdx.x / layout.stride, n = unit / layout.per_sample;
  const int64_t first = (unit - n * layout.per_sample) * layout.rows, left = p.rows_per_sample - first;
  const int64_t begin = n * p.rows_per_sample + first;
  const int rows = (int)(left < layout.rows ? left : layout.rows);
  S *partial_rows = (S*)p.workspace, *partial_aux = partial_rows + (p.sum_rows ? layout.units * p.c : 0);
  for (int tile = blockIdx.x % layout.stride; tile < layout.tiles; tile += layout.stride) {
    const int64_t c = ((int64_t)tile * across + tx) * V;
    const bool channels = c < p.c;
    Operands<S, V> o;
    if (channels) load_parameters<V, form>(p, n, c, &o);
    S sum[V] = {}, sum_aux[V] = {};
    int64_t at = (begin + ty) * p.c + c, noise = has<form, kNoise>(p.noise) ? (begin + ty) % p.noise_rows : 0;
    for (int base = 0; base < rows; base += down) {  // as often for all threads, who work together below
      S row = S(0);
      if (channels && base + ty < rows) {
        S out[V], aux[V];
        load_images<T, V, form>(p, s, at, &o);
        if (has<form, kAux>(p.sum_aux)) load<T, V>((const T*)p.aux + at, aux);  // before y is written: it may be aux
        if (has<form, kNoise>(p.noise)) {
          while (noise >= p.noise_rows) noise -= p.noise_rows;
          o.noise[0] = ((const S*)p.noise)[noise] * strength_of<S>(p);
#pragma unroll
          for (int j = 1; j < V; ++j) o.noise[j] = o.noise[0];
        }
        compute<V, form, bent>(o, s, out);
#pragma unroll
        for (int j = 0; j < V; ++j) {
          sum[j] += out[j], row += out[j];
          if (has<form, kAux>(p.sum_aux)) sum_aux[j] += out[j] * aux[j];
        }
        store_results<T, V, form>(p, at, o, out);
      }
      if (p.sum_channels) {
        for (int mask = across / 2; mask > 0; mask /= 2) row += __shfl_xor_sync(0xffffffffu, row, mask);
        if (tx == 0 && base + ty < rows) {
          S* to = (S*)p.sum_channels + begin + base + ty;
          *to = (tile ? *to : S(0)) + row;
        }
      }
      at += down * p.c, noise += down;
    }
    const int64_t from = (int64_t)tile * across * V;
    if (p.sum_rows) fold<V>(sum, partial_rows + unit * p.c, across, from, p.c);
    if (has<form, kAux>(p.sum_aux)) fold<V>(sum_aux, partial_aux + unit * p.c, across, from, p.c);
  }
}

enum { kFinish = 1024 };  // threads of a block of the next kernel

// A block adds up 32 channels (of sum_rows, or of one sample's sum_aux): each warp its share of the units, then one all
// warps' sums.
template <typename S>
__global__ void finish_sums(S* to, const S* partial, int64_t c, int64_t units) {
  __shared__ S shared[kFinish / 32][32];
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int64_t groups = (c + 31) / 32, set = blockIdx.x / groups, channel = blockIdx.x % groups * 32 + lane;
  const int64_t begin = units * warp / (kFinish / 32), end = units * (warp + 1) / (kFinish / 32);
  S sum = S(0);
  if (channel < c) {
    const S* from = partial + set * units * c + channel;
#pragma unroll 8
    for (int64_t unit = begin; unit < end; ++unit) sum += from[unit * c];
  }
  shared[warp][lane] = sum;
  __syncthreads();
  if (warp || channel >= c) return;
  for (int i = 1; i < kFinish / 32; ++i) sum += shared[i][lane];
  to[set * c + channel] = sum;
}

template <typename S>
cudaError_t finish(S* to, const S* partial, int64_t c, int64_t units, int64_t sets, void* stream) {
  const int64_t blocks = sets * ((c + 31) / 32);
  if (blocks > INT32_MAX) return cudaErrorInvalidValue;
  const auto kernel = finish_sums<S>;
  TF_STYLEGAN_LAUNCH(kernel, (unsigned)blocks, kFinish, stream, to, partial, c, units);
  return cudaGetLastError();
}

// What by_rows and with_sums need: 16 bytes at a time everywhere, which never cross the end of a row.
template <typename T>
int vector_of(const Params& p) {
  const void* const pointers[] = {p.x, p.ref, p.dy, p.aux, p.y, p.scale, p.post_scale, p.b};
  return p.c % (16 / (int)sizeof(T)) == 0 && all_aligned(pointers, 8) ? 16 / (int)sizeof(T) : 1;
}

template <typename T, int V, int form, bool bent>
cudaError_t launch_by_rows(const Params& p, const Settings<typename Real<T>::type>& s, void* stream) {
  const int64_t total = p.rows * (p.c / V);
  const auto kernel = by_rows<T, V, form, bent>;
  const Divisors<Divisor> divisors(p, V);
  TF_STYLEGAN_LAUNCH(kernel, blocks_for(total), kThreads, stream, p, s, divisors, (uint32_t)total);
  return cudaGetLastError();
}

template <typename T, int V, int form, bool bent, typename Index, typename D>
cudaError_t launch_flat(const Params& p, const Settings<typename Real<T>::type>& s, void* stream) {
  const int64_t total = p.rows * p.c;
  const unsigned blocks = blocks_for((total + V - 1) / V);
  if (!blocks) return cudaErrorInvalidValue;
  const auto kernel = flat<T, V, form, bent, Index, D>;
  const Divisors<D> divisors(p, 1);
  TF_STYLEGAN_LAUNCH(kernel, blocks, kThreads, stream, p, s, divisors, (Index)total);
  return cudaGetLastError();
}

// Where 32 bits do not count elements, one at a time: few such tensors have rows that vectors do not divide.
template <typename T, int V, int form, bool bent>
cudaError_t launch_flat(const Params& p, const Settings<typename Real<T>::type>& s, void* stream) {
  const void* const pointers[] = {p.x, p.ref, p.dy, p.y};
  if (p.rows * p.c > INT32_MAX) return launch_flat<T, 1, kAny, bent, uint64_t, WideDivisor>(p, s, stream);
  if (!all_aligned(pointers, 4)) return launch_flat<T, 1, kAny, bent, uint32_t, Divisor>(p, s, stream);
  return launch_flat<T, V, form, bent, uint32_t, Divisor>(p, s, stream);
}

template <typename T, int V, int form, bool bent>
cudaError_t launch_with_sums(const Params& p, const Settings<typename Real<T>::type>& s, void* stream) {
  typedef typename Real<T>::type S;
  const Layout layout(p, V);
  const int64_t blocks = layout.units * layout.stride;
  if (blocks > INT32_MAX) return cudaErrorInvalidValue;
  const auto kernel = with_sums<T, V, form, bent>;
  TF_STYLEGAN_LAUNCH(kernel, (unsigned)blocks, kThreads, stream, p, s, layout);
  cudaError_t error = cudaGetLastError();
  const S* partial = (const S*)p.workspace;
  if (error == cudaSuccess && p.sum_rows) {
    error = finish((S*)p.sum_rows, partial, p.c, layout.units, 1, stream);
    partial += layout.units * p.c;
  }
  if (error == cudaSuccess && p.sum_aux) {
    error = finish((S*)p.sum_aux, partial, p.c, layout.per_sample, p.rows / p.rows_per_sample, stream);
  }
  return error;
}

// The form of a call, kAny unless its activation is linear, relu or lrelu; a slope of 0 wants infinity looked after.
int form_of(const Params& p) {
  const bool slope = p.act == TF_STYLEGAN_LINEAR || (p.act == TF_STYLEGAN_LRELU && p.alpha > 0);
  if (!slope || p.mode == 2) return kAny;
  return (p.b ? kB : 0) | (p.scale ? kScale : 0) | (p.noise ? kNoise : 0) | (p.post_scale ? kPost : 0) |
         (p.mode == 1 && p.ref ? kRef : 0) | (p.sum_aux ? kAux : 0);
}

template <typename T, bool bent>
cudaError_t launch_any(const Params& p, const Settings<typename Real<T>::type>& s, void* stream) {
  enum { V = 16 / sizeof(T) };
  const bool rows = vector_of<T>(p) > 1;
  if (p.sum_rows || p.sum_channels || p.sum_aux) {
    return rows ? launch_with_sums<T, V, kAny, bent>(p, s, stream) : launch_with_sums<T, 1, kAny, bent>(p, s, stream);
  }
  if (rows && p.rows * p.c / V <= INT32_MAX) return launch_by_rows<T, V, kAny, bent>(p, s, stream);
  return launch_flat<T, V, kAny, bent>(p, s, stream);
}

template <typename T>
cudaError_t launch(const Params& p, void* stream) {
  enum { V = 16 / sizeof(T) };
  const Settings<typename Real<T>::type> s = settings_of<T>(p);
  const bool sums = p.sum_rows || p.sum_channels || p.sum_aux, rows = vector_of<T>(p) > 1;
  const int form = form_of(p);
  if (rows && sums) {
    if (form == kRef) return launch_with_sums<T, V, kRef, false>(p, s, stream);
    if (form == (kRef | kPost | kAux)) return launch_with_sums<T, V, kRef | kPost | kAux, false>(p, s, stream);
    if (form == (kPost | kAux)) return launch_with_sums<T, V, kPost | kAux, false>(p, s, stream);
  } else if (rows && p.rows * p.c / V <= INT32_MAX) {
    if (form == kB) return launch_by_rows<T, V, kB, false>(p, s, stream);
    if (form == (kB | kScale | kNoise)) return launch_by_rows<T, V, kB | kScale | kNoise, false>(p, s, stream);
    if (form == kRef) return launch_by_rows<T, V, kRef, false>(p, s, stream);
  } else if (!sums && form == kB) {
    return launch_flat<T, V, kB, false>(p, s, stream);
  }
  return p.act > TF_STYLEGAN_LRELU ? launch_any<T, true>(p, s, stream) : launch_any<T, false>(p, s, stream);
}

template <>
cudaError_t launch<double>(const Params& p, void* stream) {
  const Settings<double> s = settings_of<double>(p);
  if (p.sum_rows || p.sum_channels || p.sum_aux) {
    return p.act > TF_STYLEGAN_LRELU ? launch_with_sums<double, 1, kAny, true>(p, s, stream)
                                     : launch_with_sums<double, 1, kAny, false>(p, s, stream);
  }
  return p.act > TF_STYLEGAN_LRELU ? launch_flat<double, 1, kAny, true>(p, s, stream)
                                   : launch_flat<double, 1, kAny, false>(p, s, stream);
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
      return (int)launch<double>(*p, stream);
  }
  return (int)cudaErrorInvalidValue;
}
