// fused_bias_act on a CPU. The work is cut into units of whole rows within one sample, the same units for any number of
// threads, so that sums come out the same bit by bit.
#include "fused_bias_act.h"

#include "activations.h"
#include "cpu.h"
#include "simd.h"

namespace {

typedef tf_stylegan_fused_bias_act Params;

const int64_t kUnitElements = 1 << 16;   // of one unit of work: 256 KiB of float32
const int64_t kBlockElements = 2048;     // of several short rows handled as one

int64_t at_least(int64_t a, int64_t b) { return a > b ? a : b; }
int64_t at_most(int64_t a, int64_t b) { return a < b ? a : b; }
int64_t up(int64_t a, int64_t b) { return (a + b - 1) / b; }

// How rows are dealt to units.
struct Units {
  int64_t rows, per_sample, total;
  explicit Units(const Params& p) {
    rows = at_least(1, kUnitElements / at_least(p.c, 1));
    per_sample = up(p.rows_per_sample, rows);
    total = p.rows == 0 || p.c == 0 ? 0 : p.rows / p.rows_per_sample * per_sample;
  }
};

template <typename T>
struct Run;

// Everything that the pieces of one call share.
template <typename T>
struct Job {
  typedef typename Simd<T>::compute S;
  const Params& p;
  Units units;
  Settings<S> settings;
  S strength;
  bool stream;
  S *partial_rows, *partial_aux;  // [units, C] each
  void (*run_rows)(const Job&, Run<T>);
  int no_memory;

  explicit Job(const Params& params) : p(params), units(params), run_rows(nullptr), no_memory(0) {
    settings.alpha = S(p.alpha);
    settings.gain = S(p.gain);
    settings.undo_gain = S(1) / S(p.gain);
    settings.clamp = S(-1);
    if (p.clamp >= 0) {  // as it is stored, so that a stored result can be recognised as cut
      T stored[Simd<T>::lanes];
      store<false>(stored, splat(S(p.clamp)));
      settings.clamp = load(stored)[0];
    }
    strength = p.strength ? *(const S*)p.strength : S(1);
    const bool in_place = p.y == p.x || p.y == p.ref || p.y == p.dy || p.y == p.aux;
    stream = p.stream == 2 || (p.stream == 0 && !in_place && 2 * p.rows * p.c * (int64_t)sizeof(T) >= kStreamBytes);
    partial_rows = (S*)p.workspace;
    partial_aux = p.sum_rows ? partial_rows + units.total * p.c : partial_rows;
  }
};

// Rows of a length that vectors divide: pixels, or blocks of short pixels laid end to end with their scales and biases.
template <typename T>
struct Run {
  typedef typename Simd<T>::compute S;
  int64_t rows, length;
  const T *x, *ref, *dy, *aux;  // dy and aux: null where not needed
  T* y;
  const S *scale, *add, *post_scale;
  const S* noise;      // one number a row, or null
  S *sum, *sum_aux;    // [length], added to; or null
  S* sum_channels;     // [rows], or null
  S* out;              // [length], `out` of the last row; or null
  bool stream;
};

// The part that exists once for each activation and mode.
template <typename T, int act, int mode>
void run_rows(const Job<T>& job, Run<T> run) {
  typedef typename Simd<T>::compute S;
  typedef typename Simd<T>::V V;
  const Settings<S> settings = job.settings;
  const bool sums = run.sum || run.sum_aux || run.sum_channels || run.out;
  for (int64_t r = 0; r < run.rows; ++r) {
    const S noise = run.noise ? run.noise[r] * job.strength : S(0);
    V row{};
    for (int64_t i = 0; i < run.length; i += Simd<T>::lanes) {
      const V in = load(run.x + i) * load(run.scale + i) + (load(run.add + i) + noise);
      const V ref = mode > 0 ? load(run.ref + i) : V{}, dy = mode > 1 ? load(run.dy + i) : V{};
      const V out = transform<act, mode>(in, ref, dy, settings);
      const V y = out * load(run.post_scale + i);
      if (sums) {
        if (run.sum) store<false>(run.sum + i, load(run.sum + i) + out);
        if (run.sum_aux) store<false>(run.sum_aux + i, load(run.sum_aux + i) + out * load(run.aux + i));
        if (run.out) store<false>(run.out + i, out);
        row += out;
      }
      if (run.stream) {
        store<true>(run.y + i, y);
      } else {
        store<false>(run.y + i, y);
      }
    }
    if (run.sum_channels) run.sum_channels[r] = sum_of(row);
    run.x += run.length, run.ref += run.length, run.y += run.length;
    if (mode > 1) run.dy += run.length;
    if (run.aux) run.aux += run.length;
  }
}

// Handles one unit after the other, with its own memory for what belongs to a sample or a block of rows.
template <typename T>
class Worker {
  typedef typename Simd<T>::compute S;
  enum { L = Simd<T>::lanes };

 public:
  static void work(void* arg, int64_t begin, int64_t end) {
    Job<T>& job = *(Job<T>*)arg;
    Worker worker(job);
    if (!worker.memory_) {
      __atomic_store_n(&job.no_memory, 1, __ATOMIC_RELAXED);
      return;
    }
    for (int64_t unit = begin; unit < end; ++unit) worker.unit(unit);
    finish_streaming();
  }

 private:
  explicit Worker(Job<T>& job) : job_(job), p_(job.p), sample_(-1) {
    const int64_t c = p_.c;
    whole_ = c % L == 0;
    // Rows that vectors do not divide are handled several at a time, so many that vectors divide these.
    block_ = whole_ ? 1 : c <= 256 ? at_least(L, kBlockElements / c / L * L) : 1;
    width_ = (block_ * c + L + 15) / 16 * 16;  // whole cache lines, with room to read a whole vector at the end
    memory_ = allocate<S>(6 * width_);
    scale_ = memory_, add_ = memory_ + width_, post_scale_ = memory_ + 2 * width_;
    sum_ = memory_ + 3 * width_, sum_aux_ = memory_ + 4 * width_, out_ = memory_ + 5 * width_;
    if (!memory_) return;
    memset(memory_, 0, 6 * width_ * sizeof(S));
    repeat(add_, (const S*)p_.b, S(0));
  }
  ~Worker() { free(memory_); }

  void repeat(S* to, const S* from, S missing) {
    for (int64_t i = 0; i < block_; ++i) {
      for (int64_t c = 0; c < p_.c; ++c) to[i * p_.c + c] = from ? from[c] : missing;
    }
  }

  void enter_sample(int64_t n) {
    if (sample_ == n) return;
    const S *scale = (const S*)p_.scale, *post_scale = (const S*)p_.post_scale;
    if (sample_ < 0 || scale) repeat(scale_, scale ? scale + n * p_.c : nullptr, S(1));
    if (sample_ < 0 || post_scale) repeat(post_scale_, post_scale ? post_scale + n * p_.c : nullptr, S(1));
    sample_ = n;
  }

  void unit(int64_t unit) {
    const int64_t n = unit / job_.units.per_sample, first = unit % job_.units.per_sample * job_.units.rows;
    const int64_t begin = n * p_.rows_per_sample + first;
    const int64_t end = begin + at_most(job_.units.rows, p_.rows_per_sample - first);
    enter_sample(n);
    memset(sum_, 0, 2 * width_ * sizeof(S));
    if (whole_) {
      long_rows(begin, end);
    } else {
      for (int64_t r = begin; r < end; r += block_) short_rows(r, at_most(block_, end - r));
    }
    if (p_.sum_rows) fold(sum_, job_.partial_rows + unit * p_.c);
    if (p_.sum_aux) fold(sum_aux_, job_.partial_aux + unit * p_.c);
  }

  void fold(const S* from, S* to) {
    memcpy(to, from, p_.c * sizeof(S));
    for (int64_t i = 1; i < block_; ++i) {
      for (int64_t c = 0; c < p_.c; ++c) to[c] += from[i * p_.c + c];
    }
  }

  Run<T> run_at(int64_t r, int64_t rows, int64_t length) {
    const int64_t i = r * p_.c;
    Run<T> run;
    run.rows = rows, run.length = length;
    run.x = (const T*)p_.x + i;
    run.ref = (const T*)(p_.ref ? p_.ref : p_.x) + i;
    run.dy = p_.dy ? (const T*)p_.dy + i : nullptr;
    run.aux = p_.sum_aux ? (const T*)p_.aux + i : nullptr;
    run.y = (T*)p_.y + i;
    run.scale = scale_, run.add = add_, run.post_scale = post_scale_;
    run.noise = nullptr;
    run.sum = p_.sum_rows ? sum_ : nullptr;
    run.sum_aux = p_.sum_aux ? sum_aux_ : nullptr;
    run.sum_channels = run.out = nullptr;
    run.stream = job_.stream && (uintptr_t)run.y % (L * sizeof(T)) == 0;
    return run;
  }

  void long_rows(int64_t begin, int64_t end) {
    while (begin < end) {  // as often as the noise begins anew
      const int64_t at = p_.noise ? begin % p_.noise_rows : 0;
      const int64_t rows = p_.noise ? at_most(end - begin, p_.noise_rows - at) : end - begin;
      Run<T> run = run_at(begin, rows, p_.c);
      if (p_.noise) run.noise = (const S*)p_.noise + at;
      if (p_.sum_channels) run.sum_channels = (S*)p_.sum_channels + begin;
      job_.run_rows(job_, run);
      begin += rows;
    }
  }

  void short_rows(int64_t begin, int64_t rows) {
    const int64_t c = p_.c, count = rows * c, whole = count / L * L;
    if (p_.noise) {
      for (int64_t j = 0; j < rows; ++j) {
        const S noise = ((const S*)p_.noise)[(begin + j) % p_.noise_rows] * job_.strength;
        for (int64_t i = 0; i < c; ++i) add_[j * c + i] = (p_.b ? ((const S*)p_.b)[i] : S(0)) + noise;
      }
    }
    Run<T> run = run_at(begin, 1, whole);
    if (p_.sum_channels) run.out = out_;
    if (whole) job_.run_rows(job_, run);
    if (whole < count) last_vector(run, whole, count - whole);
    if (!p_.sum_channels) return;
    for (int64_t j = 0; j < rows; ++j) {
      S sum = 0;
      for (int64_t i = 0; i < c; ++i) sum += out_[j * c + i];
      ((S*)p_.sum_channels)[begin + j] = sum;
    }
  }

  // The n < L elements from i on, by way of copies that are a whole vector long.
  void last_vector(Run<T> run, int64_t i, int64_t n) {
    alignas(64) T x[L] = {}, ref[L] = {}, dy[L] = {}, aux[L] = {}, y[L];
    memcpy(x, run.x + i, n * sizeof(T));
    memcpy(ref, run.ref + i, n * sizeof(T));
    if (run.dy) memcpy(dy, run.dy + i, n * sizeof(T));
    if (run.aux) memcpy(aux, run.aux + i, n * sizeof(T));
    T* to = run.y + i;
    run.length = L;
    run.x = x, run.ref = ref, run.dy = dy, run.y = y;
    if (run.aux) run.aux = aux;
    run.scale += i, run.add += i, run.post_scale += i;
    S sum[L] = {}, sum_aux[L] = {};
    S *sums = run.sum ? run.sum + i : nullptr, *sums_aux = run.sum_aux ? run.sum_aux + i : nullptr;
    if (sums) run.sum = sum;
    if (sums_aux) run.sum_aux = sum_aux;
    if (run.out) run.out += i;
    run.stream = false;
    job_.run_rows(job_, run);
    memcpy(to, y, n * sizeof(T));
    for (int64_t j = 0; j < n; ++j) {
      if (sums) sums[j] += sum[j];
      if (sums_aux) sums_aux[j] += sum_aux[j];
    }
  }

  Job<T>& job_;
  const Params& p_;
  int64_t sample_, block_, width_;
  bool whole_;
  S *memory_, *scale_, *add_, *post_scale_, *sum_, *sum_aux_, *out_;
};

// Adds the units' sums in their order.
template <typename T>
void finish_sums(const Job<T>& job) {
  typedef typename Simd<T>::compute S;
  const Params& p = job.p;
  const int64_t samples = p.rows_per_sample ? p.rows / p.rows_per_sample : 0;
  for (int64_t c = 0; c < p.c; ++c) {
    double all = 0;
    for (int64_t n = 0; n < samples; ++n) {
      double one = 0;
      for (int64_t u = n * job.units.per_sample; u < (n + 1) * job.units.per_sample; ++u) {
        if (p.sum_rows) all += job.partial_rows[u * p.c + c];
        if (p.sum_aux) one += job.partial_aux[u * p.c + c];
      }
      if (p.sum_aux) ((S*)p.sum_aux)[n * p.c + c] = S(one);
    }
    if (p.sum_rows) ((S*)p.sum_rows)[c] = S(all);
  }
}

template <typename T, int act>
void choose(Job<T>& job) {
  void (*const modes[])(const Job<T>&, Run<T>) = {run_rows<T, act, 0>, run_rows<T, act, 1>, run_rows<T, act, 2>};
  job.run_rows = modes[job.p.mode];
}

template <typename T>
int run(const Params& p, const tf_stylegan_threads* threads) {
  void (*const activations[])(Job<T>&) = {
      choose<T, TF_STYLEGAN_LINEAR>,  choose<T, TF_STYLEGAN_RELU>,    choose<T, TF_STYLEGAN_LRELU>,
      choose<T, TF_STYLEGAN_TANH>,    choose<T, TF_STYLEGAN_SIGMOID>, choose<T, TF_STYLEGAN_ELU>,
      choose<T, TF_STYLEGAN_SELU>,    choose<T, TF_STYLEGAN_SOFTPLUS>, choose<T, TF_STYLEGAN_SWISH>,
  };
  Job<T> job(p);
  // A slope of 0 is relu's: 0 times minus infinity would be no number.
  activations[p.act == TF_STYLEGAN_LRELU && p.alpha == 0 ? (int)TF_STYLEGAN_RELU : p.act](job);
  // Cheap activations take less than a cycle an element in the cache; memory costs about as much.
  run_parallel(threads, job.units.total, job.units.rows * p.c * (p.act < TF_STYLEGAN_TANH ? 1 : 4), Worker<T>::work, &job);
  if (job.no_memory) return TF_STYLEGAN_NO_MEMORY;
  if (p.sum_rows || p.sum_aux) finish_sums(job);
  return TF_STYLEGAN_OK;
}

}  // namespace

int TF_STYLEGAN_FOR_ISA(fused_bias_act_cpu)(const Params* p, const tf_stylegan_threads* threads) {
  switch (p->dtype) {
    case TF_STYLEGAN_FLOAT32:
      return run<float>(*p, threads);
    case TF_STYLEGAN_BFLOAT16:
      return run<bfloat16>(*p, threads);
    case TF_STYLEGAN_FLOAT16:
      return run<float16>(*p, threads);
    default:
      return run<double>(*p, threads);
  }
}

#ifdef TF_STYLEGAN_IS_BASE

int fused_bias_act_cpu_avx2(const Params* p, const tf_stylegan_threads* threads);
int fused_bias_act_cpu_avx512(const Params* p, const tf_stylegan_threads* threads);

static int check(const Params* p) {
  int64_t elements;
  if (p->rows < 0 || p->c < 0 || p->dtype < 0 || p->dtype > TF_STYLEGAN_FLOAT64 || p->act < 0 ||
      p->act > TF_STYLEGAN_SWISH || p->mode < 0 || p->mode > 2 || p->stream < 0 || p->stream > 2) {
    return TF_STYLEGAN_BAD_ARGUMENT;
  }
  if (__builtin_mul_overflow(p->rows, p->c, &elements) || elements > INT64_MAX / 16) return TF_STYLEGAN_TOO_LARGE;
  if (elements == 0) return TF_STYLEGAN_OK;
  const bool sums = p->sum_rows || p->sum_aux;
  const bool needs_ref = p->mode > 0 && (p->act != TF_STYLEGAN_LINEAR || p->clamp >= 0);
  if (p->rows_per_sample < 1 || p->rows % p->rows_per_sample || !p->x || !p->y || (needs_ref && !p->ref) ||
      (p->mode == 2 && !p->dy) || (p->mode > 0 && (!(p->gain > 0) || p->alpha < 0)) ||
      (p->noise && (p->noise_rows < 1 || p->rows % p->noise_rows)) || (p->sum_aux && !p->aux) ||
      (sums && !p->workspace)) {
    return TF_STYLEGAN_BAD_ARGUMENT;
  }
  return TF_STYLEGAN_OK;
}

extern "C" int64_t tf_stylegan_fused_bias_act_workspace(const Params* p) {
  if (check(p) == TF_STYLEGAN_TOO_LARGE || p->rows_per_sample < 1) return 0;
  const int64_t arrays = (p->sum_rows != nullptr) + (p->sum_aux != nullptr);
  return arrays * Units(*p).total * p->c * (p->dtype == TF_STYLEGAN_FLOAT64 ? 8 : 4);
}

extern "C" int tf_stylegan_fused_bias_act_cpu(const Params* p, const tf_stylegan_threads* threads) {
  const int error = check(p), isa = resolve_isa(p->isa);
  if (error) return error;
  if (isa < 0) return TF_STYLEGAN_NO_SUCH_ISA;
  if (p->rows == 0 || p->c == 0) return TF_STYLEGAN_OK;
  return TF_STYLEGAN_CHOOSE(isa, fused_bias_act_cpu, p, threads);
}

#endif  // TF_STYLEGAN_IS_BASE
