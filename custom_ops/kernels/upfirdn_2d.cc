// upfirdn_2d on a CPU. One or two rows of the result at a time, and of these some neighbouring pixels: the rows of the
// input that they need are combined into one line for each (for a kernel that is no product of a column and a row:
// copied), the lines stay in the caches and are then filtered along themselves.
#include "upfirdn_2d.h"

#include "upfirdn_2d_few.h"
#include "upfirdn_2d_plan.h"

namespace {

enum { kMostRows = TF_STYLEGAN_MAX_TAPS };
// Of all lines together: the first fits the first-level cache, but pixels of many channels need more of them at a time.
const int64_t kLineElements = 8192, kLinePixels = 64;

int64_t whole_lines(int64_t n) { return (n + 15) / 16 * 16; }  // multiples of 64 bytes

// Some rows of the input.
template <typename T>
struct Rows {
  const T* row[kMostRows];
};

// lines[g][0 … n) = Σ over u of weights[g][u] · x.row[u][0 … n), for `count` rows u, added to what is there if `add`. U:
// the count where it is fixed, 0 where it is known at run time. The second of two lines begins D rows further down, and
// the first ends as many rows earlier: what a result does not see must not even meet a weight of zero, since it may be
// infinite.
template <int G, int U, int D, typename T, typename S>
void combine(S* lines, int64_t line, const Rows<T>& x, const S (*weights)[kMostRows], int64_t count, int64_t n, bool add) {
  typedef typename Simd<T>::V V;
  const int64_t L = Simd<T>::lanes, rows = U ? U : count;
  V w[G][U ? U : kMostRows];
  for (int64_t u = 0; u < rows; ++u) {
    for (int g = 0; g < G; ++g) w[g][u] = splat(weights[g][u]);
  }
  const auto sees = [](int g, int64_t u) { return G == 1 || (g ? u >= D : u < U - D); };
  for (int64_t i = 0; i < n; i += L) {
    V sums[G] = {};
    if (i + L <= n) {
      for (int g = 0; add && g < G; ++g) sums[g] = load(lines + g * line + i);
      for (int64_t u = 0; u < rows; ++u) {
        const V v = load(x.row[u] + i);
        for (int g = 0; g < G; ++g) sums[g] = sees(g, u) ? sums[g] + w[g][u] * v : sums[g];
      }
      for (int g = 0; g < G; ++g) store<false>(lines + g * line + i, sums[g]);
    } else {
      for (int g = 0; add && g < G; ++g) sums[g] = load_part(lines + g * line + i, n - i);
      for (int64_t u = 0; u < rows; ++u) {
        const V v = load_part(x.row[u] + i, n - i);
        for (int g = 0; g < G; ++g) sums[g] = sees(g, u) ? sums[g] + w[g][u] * v : sums[g];
      }
      for (int g = 0; g < G; ++g) store_part(lines + g * line + i, sums[g], n - i);
    }
  }
}

template <typename T, typename S>
struct Combine {
  typedef void (*Function)(S*, int64_t, const Rows<T>&, const S (*)[kMostRows], int64_t, int64_t, bool);
  // One line of so many rows.
  static Function of(int64_t rows) {
    static const Function table[] = {combine<1, 0, 0, T, S>, combine<1, 1, 0, T, S>, combine<1, 2, 0, T, S>,
                                     combine<1, 3, 0, T, S>, combine<1, 4, 0, T, S>, combine<1, 5, 0, T, S>,
                                     combine<1, 6, 0, T, S>, combine<1, 7, 0, T, S>, combine<1, 8, 0, T, S>};
    return table[rows <= 8 ? rows : 0];
  }
  // Two lines, `down` (1 or 2) rows apart, of `rows` (down + 1 to 8) rows together.
  static Function of_two(int64_t rows, int64_t down) {
    static const Function one[] = {combine<2, 2, 1, T, S>, combine<2, 3, 1, T, S>, combine<2, 4, 1, T, S>,
                                   combine<2, 5, 1, T, S>, combine<2, 6, 1, T, S>, combine<2, 7, 1, T, S>,
                                   combine<2, 8, 1, T, S>};
    static const Function two[] = {combine<2, 3, 2, T, S>, combine<2, 4, 2, T, S>, combine<2, 5, 2, T, S>,
                                   combine<2, 6, 2, T, S>, combine<2, 7, 2, T, S>, combine<2, 8, 2, T, S>};
    return down == 1 ? one[rows - 2] : two[rows - 3];
  }
};

template <typename T>
class Worker {
  typedef typename Simd<T>::compute S;
  typedef typename Simd<T>::V V;
  enum { L = Simd<T>::lanes };

 public:
  static void work(void* arg, int64_t begin, int64_t end) {
    Job<T>& job = *(Job<T>*)arg;
    const Gather<T> gather(job);
    Worker worker(job, gather);
    if (!worker.memory_) {
      __atomic_store_n(&job.no_memory, 1, __ATOMIC_RELAXED);
      return;
    }
    for (int64_t row = begin; row < end;) {
      const int64_t oy = row % job.p.out_h;
      // At the borders of the image rows are done alone, with those of their rows that there are.
      const bool inside = job.ay.first(oy) >= 0 && job.ay.first(oy + 1) + job.ay.taps <= job.p.in_h;
      const int64_t rows = job.group == 2 && inside && at_most(end - row, job.p.out_h - oy) >= 2 ? 2 : 1;
      worker.rows(row / job.p.out_h, oy, rows);
      row += rows;
    }
    finish_streaming();
  }

 private:
  Worker(Job<T>& job, const Gather<T>& gather) : job_(job), p_(job.p), ax_(job.ax), ay_(job.ay), gather_(gather) {
    const int64_t c = p_.c;
    // How many pixels of the result, whole periods of phases, fit into the lines with the taps around them.
    const int64_t room = at_least(kLineElements / c, kLinePixels) / job.lines - job.taps;
    const int64_t all = (p_.out_w + ax_.up - 1) / ax_.up;
    periods_ = at_most(all, at_least(at_least(1, room / ax_.down), (8 + ax_.up - 1) / ax_.up));
    if (c < L && periods_ < all) periods_ = at_least(1, periods_ / L) * L;  // rounds that begin where vectors may
    width_ = periods_ * ax_.down + job.taps + 1;                             // pixels of a line
    line_ = whole_lines(width_ * c);
    // The last three are for few channels where results cannot be gathered: see there. All begin at cache lines.
    const int64_t sorted = whole_lines(job.lines * (width_ + ax_.down) * c + 1);
    phase_size_ = whole_lines(periods_ * c + 1);
    int64_t few = gather_.beyond();
    if (c < L && !gather_.possible()) few = sorted + ax_.up * phase_size_ + periods_ * ax_.up * c + 1;
    memory_ = allocate<S>(job.lines * line_ + few);
    lines_ = memory_, sorted_ = lines_ + job.lines * line_, phases_ = sorted_ + sorted;
    result_ = phases_ + ax_.up * phase_size_;
  }
  ~Worker() { free(memory_); }

  // Computes one row of the result, oy, of sample n; or two that have all their rows within the image.
  void rows(int64_t n, int64_t oy, int64_t group) {
    n_ = n;
    const int64_t first = ay_.first(oy), last = ay_.first(oy + group - 1) + ay_.count(ay_.phase(oy + group - 1));
    first_row_ = at_least(0, first);
    num_rows_ = at_least(0, at_most(p_.in_h, last) - first_row_);
    for (int64_t g = 0; g < group; ++g) {
      const int64_t phase = ay_.phase(oy + g), begin = ay_.first(oy + g);
      for (int64_t u = 0; job_.separable && u < num_rows_; ++u) {
        const int64_t tap = first_row_ + u - begin;  // of this phase
        column_[g][u] = tap >= 0 && tap < ay_.count(phase) ? job_.column[phase + tap * ay_.up] : S(0);
      }
    }
    for (int64_t ox = 0; ox < p_.out_w; ox += periods_ * ax_.up) {
      const int64_t end = at_most(ox + periods_ * ax_.up, p_.out_w);
      begin_in_ = ax_.first(ox), end_in_ = ax_.first(end - 1) + job_.taps;
      fill(job_.separable ? group : num_rows_);
      for (int64_t g = 0; g < group; ++g) finish_row(oy + g, g, ox, end);
    }
  }

  // Row g of the group, [begin, end) of it, from the lines.
  void finish_row(int64_t oy, int64_t g, int64_t begin, int64_t end) {
    oy_ = oy;
    y_ = (T*)p_.y + (n_ * p_.out_h + oy) * p_.out_w * p_.c;
    if (job_.separable) {
      from_ = lines_ + g * line_, weights_ = job_.weights, taps_y_ = 1;
    } else {
      const int64_t phase = ay_.phase(oy), skipped = first_row_ - ay_.first(oy);  // rows above the image
      from_ = lines_, taps_y_ = num_rows_;
      weights_ = job_.weights + (phase * ay_.most() + skipped) * ax_.up * job_.taps;
    }
    if (p_.c >= L) {
      many_channels(begin, end);
    } else if (gather_.possible()) {
      gather_.run(y_ + begin * p_.c, from_, (end - begin) * p_.c, job_.stream);
    } else {
      few_channels(begin, end);
    }
  }

  // Brings the columns [begin_in_, end_in_) of the input into the lines, zeros where they are outside of the image.
  void fill(int64_t lines) {
    const int64_t inside = at_least(begin_in_, at_most(0, end_in_));
    const int64_t outside = at_most(end_in_, at_least(p_.in_w, inside));
    for (int64_t j = 0; j < lines; ++j) {
      S* line = lines_ + j * line_;
      memset(line, 0, (inside - begin_in_) * p_.c * sizeof(S));
      memset(line + (outside - begin_in_) * p_.c, 0, (end_in_ - outside) * p_.c * sizeof(S));
      if (num_rows_ == 0) memset(line, 0, (end_in_ - begin_in_) * p_.c * sizeof(S));
    }
    if (inside >= outside || num_rows_ == 0) return;
    S* to = lines_ + (inside - begin_in_) * p_.c;
    const int64_t n = (outside - inside) * p_.c;
    Rows<T> x;
    for (int64_t u = 0; u < num_rows_; ++u) {
      x.row[u] = (const T*)p_.x + ((n_ * p_.in_h + first_row_ + u) * p_.in_w + inside) * p_.c;
    }
    if (job_.separable) {
      const auto run = lines == 2 ? Combine<T, S>::of_two(num_rows_, ay_.down) : Combine<T, S>::of(num_rows_);
      return run(to, line_, x, column_, num_rows_, n, false);
    }
    const S one[1][kMostRows] = {{S(1)}};
    for (int64_t u = 0; u < num_rows_; ++u) combine<1, 1, 0>(to + u * line_, line_, Rows<T>{{x.row[u]}}, one, 1, n, false);
  }

  void many_channels(int64_t begin, int64_t end) {
    const bool stream = job_.stream && p_.c % L == 0 && (uintptr_t)y_ % (L * sizeof(T)) == 0;
    const bool four = job_.separable && job_.taps == 4;
    if (p_.epilogue) return four ? many_channels<4, true>(begin, end, stream) : many_channels<0, true>(begin, end, stream);
    switch (job_.separable ? job_.taps : 0) {
      case 1:
        return many_channels<1, false>(begin, end, stream);
      case 2:
        return many_channels<2, false>(begin, end, stream);
      case 3:
        return many_channels<3, false>(begin, end, stream);
      case 4:
        return many_channels<4, false>(begin, end, stream);
      default:
        return many_channels<0, false>(begin, end, stream);
    }
  }

  // Filters along the lines, a pixel at a time: vectors run along the channels. fixed: the number of taps in a single
  // line, 0 where it is only known at run time.
  template <int fixed, bool epilogue>
  void many_channels(int64_t begin, int64_t end, bool stream) {
    const int64_t c = p_.c, taps = fixed ? fixed : job_.taps, taps_y = fixed ? 1 : taps_y_;
    int64_t first = ax_.first(begin), phase = ax_.phase(begin);
    T* y = y_ + begin * p_.c;
    for (int64_t ox = begin; ox < end; ++ox, y += p_.c) {
      const S* from = from_ + (first - begin_in_) * c;
      const S* weights = weights_ + phase * taps;
      V w[fixed ? fixed : 1];
      for (int t = 0; t < fixed; ++t) w[t] = splat(weights[t]);
      const S noise = epilogue ? noise_of(ox) : S(0);
      const auto vector = [&](int64_t i) __attribute__((always_inline)) {
        V sum{};
        for (int t = 0; t < fixed; ++t) sum += w[t] * load(from + t * c + i);
        for (int64_t j = 0; !fixed && j < taps_y; ++j) {
          for (int64_t t = 0; t < taps; ++t) sum += weights[j * ax_.up * taps + t] * load(from + j * line_ + t * c + i);
        }
        if (epilogue) sum = finish(sum, i, noise);
        if (stream) {
          store<true>(y + i, sum);
        } else {
          store<false>(y + i, sum);
        }
      };
      int64_t i = 0;
      for (; i + L <= c; i += L) vector(i);
      if (i < c) vector(c - L);  // does some channels again
      phase -= ax_.down;         // the next result lies `down` further: so many inserted zeros less to the first pixel
      while (phase < 0) phase += ax_.up, ++first;
    }
  }

  S noise_of(int64_t ox) const {
    if (!p_.noise) return S(0);
    return ((const S*)p_.noise)[((p_.noise_n == 1 ? 0 : n_) * p_.out_h + oy_) * p_.out_w + ox] * job_.strength;
  }

  SIMD_INLINE V lrelu(V in, S alpha, S gain, S clamp) {
    const V below = alpha == 0 ? (in != in ? in : V{}) : in * alpha;  // 0 times infinity is no number
    V y = (in > 0 ? in : below) * gain;
    if (clamp < 0) return y;
    y = y > clamp ? splat(clamp) : y;
    return y < -clamp ? splat(-clamp) : y;
  }

  V finish(V sum, int64_t i, S noise) const {
    if (p_.scale) sum *= load((const S*)p_.scale + n_ * p_.c + i);
    if (p_.b) sum += load((const S*)p_.b + i);
    return lrelu(sum + noise, job_.alpha, job_.gain, job_.clamp);
  }

  // Fewer channels than a vector has elements, where results cannot be gathered. Pixels of one residue of `down` are
  // brought together, so that each phase of the result is a filter over neighbouring numbers; the phases are dealt out
  // at the end.
  void few_channels(int64_t begin, int64_t end) {
    const int64_t c = p_.c, up = ax_.up, down = ax_.down, width = width_ / down + 1;  // pixels of one residue
    for (int64_t j = 0; down > 1 && j < taps_y_; ++j) {
      for (int64_t r = 0; r < at_most(down, end_in_ - begin_in_); ++r) {
        const int64_t count = (end_in_ - begin_in_ - r + down - 1) / down;
        copy_pixels(sorted_ + (j * down + r) * width * c, from_ + j * line_ + r * c, 1, 0, down, count);
      }
    }
    const int64_t n = (end - begin) * c;
    for (int64_t px = 0; px < at_most(up, end - begin); ++px) {
      // The results begin + px, begin + px + up, …: their first input pixels are `down` apart.
      const int64_t count = (end - begin - px + up - 1) / up;
      const int64_t first = ax_.first(begin + px) - begin_in_, phase = ax_.phase(begin + px);
      S* to = up == 1 ? result_ : phases_ + px * phase_size_;
      if (taps_y_ == 0) memset(to, 0, count * c * sizeof(S));
      for (int64_t j = 0; j < taps_y_; ++j) {
        S weights[1][kMostRows];
        Rows<S> x;
        for (int64_t t = 0; t < job_.taps; ++t) {
          const int64_t q = first + t;
          weights[0][t] = weights_[(j * up + phase) * job_.taps + t];
          x.row[t] = down == 1 ? from_ + j * line_ + q * c : sorted_ + ((j * down + q % down) * width + q / down) * c;
        }
        Combine<S, S>::of(job_.taps)(to, 0, x, weights, job_.taps, count * c, j > 0);
      }
    }
    if (up > 1) copy_pixels(result_, phases_, up, phase_size_, 1, end - begin);
    if (p_.epilogue) finish_few(begin, end);
    T* y = y_ + begin * c;
    int64_t i = 0;
    if (job_.stream && (uintptr_t)y % (L * sizeof(T)) == 0) {
      for (; i + L <= n; i += L) store<true>(y + i, load(result_ + i));
    }
    for (; i + L <= n; i += L) store<false>(y + i, load(result_ + i));
    if (i < n) store_part(y + i, load_part(result_ + i, n - i), n - i);
  }

  // Copies `count` pixels to neighbouring places, from `sources` runs of pixels in turn that are `run` elements apart;
  // within a run pixels are `step` pixels apart.
  void copy_pixels(S* to, const S* from, int64_t sources, int64_t run, int64_t step, int64_t count) {
    switch (p_.c) {
      case 1:
        return copy_pixels<1, 1>(to, from, sources, run, step, count);
      case 3:  // four for three: what is too much is overwritten by the next, or lies past the end
        return copy_pixels<3, 4>(to, from, sources, run, step, count);
      default:
        return copy_pixels<0, 0>(to, from, sources, run, step, count);
    }
  }

  template <int fixed, int moved>
  void copy_pixels(S* to, const S* from, int64_t sources, int64_t run, int64_t step, int64_t count) {
    const int64_t c = fixed ? fixed : p_.c;
    for (int64_t i = 0; i < count; from += step * c) {
      for (int64_t source = 0; source < sources && i < count; ++source, ++i, to += c) {
        if (fixed) {
          memcpy(to, from + source * run, moved * sizeof(S));
        } else {
          for (int64_t j = 0; j < c; ++j) to[j] = from[source * run + j];
        }
      }
    }
  }

  void finish_few(int64_t begin, int64_t end) {
    const int64_t c = p_.c;
    for (int64_t ox = begin; ox < end; ++ox) {
      const S noise = noise_of(ox);
      for (int64_t i = 0; i < c; ++i) {
        S v = result_[(ox - begin) * c + i];
        if (p_.scale) v *= ((const S*)p_.scale)[n_ * c + i];
        if (p_.b) v += ((const S*)p_.b)[i];
        result_[(ox - begin) * c + i] = lrelu(splat(v + noise), job_.alpha, job_.gain, job_.clamp)[0];
      }
    }
  }

  Job<T>& job_;
  const Params& p_;
  const Axis ax_, ay_;
  const Gather<T>& gather_;  // not a part: calling it would keep this whole object in memory
  int64_t periods_;         // of phases in one line
  int64_t width_, line_;    // pixels that a line has room for; elements from one line to the next
  int64_t n_, oy_;                                    // what is being done: sample, row of the result,
  int64_t begin_in_, end_in_, first_row_, num_rows_;  // columns and rows of the input
  S column_[2][kMostRows];
  const S *weights_, *from_;  // for the row being finished
  int64_t taps_y_;            // lines that go into it
  T* y_;
  int64_t phase_size_;        // elements from one phase to the next, see few_channels
  S *memory_, *lines_, *sorted_, *phases_, *result_;
};

template <typename T>
int run(const Params& p, const tf_stylegan_threads* threads) {
  Job<T> job(p);
  if (!job.weights) return TF_STYLEGAN_NO_MEMORY;
  const int64_t work = p.out_w * p.c * (job.separable ? job.taps + 4 : job.taps * job.lines);
  run_parallel(threads, p.n * p.out_h, at_least(1, work / 4), Worker<T>::work, &job);
  return job.no_memory ? TF_STYLEGAN_NO_MEMORY : TF_STYLEGAN_OK;
}

}  // namespace

int TF_STYLEGAN_FOR_ISA(upfirdn_2d_cpu)(const Params* p, const tf_stylegan_threads* threads) {
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

int upfirdn_2d_cpu_avx2(const Params* p, const tf_stylegan_threads* threads);
int upfirdn_2d_cpu_avx512(const Params* p, const tf_stylegan_threads* threads);

// a · b · c · d, at most what can be counted and measured in bytes; false if it is more.
static bool countable(int64_t a, int64_t b, int64_t c, int64_t d) {
  int64_t ab, abc, abcd;
  return !__builtin_mul_overflow(a, b, &ab) && !__builtin_mul_overflow(ab, c, &abc) &&
         !__builtin_mul_overflow(abc, d, &abcd) && abcd <= INT64_MAX / 16;
}

static int check(const Params* p) {
  const int64_t far = INT64_C(1) << 40;  // keeps the arithmetic on places within 64 bits
  if (p->n < 0 || p->in_h < 0 || p->in_w < 0 || p->c < 0 || p->out_h < 0 || p->out_w < 0 || p->up_y < 1 || p->up_x < 1 ||
      p->down_y < 1 || p->down_x < 1 || p->kh < 1 || p->kh > TF_STYLEGAN_MAX_TAPS || p->kw < 1 ||
      p->kw > TF_STYLEGAN_MAX_TAPS || p->dtype < 0 || p->dtype > TF_STYLEGAN_FLOAT64 || p->stream < 0 || p->stream > 2 ||
      !p->k || p->pad_y > far || p->pad_y < -far || p->pad_x > far || p->pad_x < -far) {
    return TF_STYLEGAN_BAD_ARGUMENT;
  }
  if (!countable(p->n, at_least(p->in_h, 1), at_least(p->in_w, 1), p->c) || p->in_h > far || p->in_w > far ||
      !countable(p->n, at_least(p->out_h, 1), at_least(p->out_w, 1), p->c) || p->out_h > far || p->out_w > far) {
    return TF_STYLEGAN_TOO_LARGE;
  }
  const bool input = p->n && p->in_h && p->in_w && p->c, output = p->n && p->out_h && p->out_w && p->c;
  if ((output && !p->y) || (input && !p->x) ||
      (p->epilogue && p->noise && p->noise_n != 1 && p->noise_n != p->n)) {
    return TF_STYLEGAN_BAD_ARGUMENT;
  }
  return TF_STYLEGAN_OK;
}

extern "C" int tf_stylegan_upfirdn_2d_cpu(const Params* p, const tf_stylegan_threads* threads) {
  const int error = check(p), isa = resolve_isa(p->isa);
  if (error) return error;
  if (isa < 0) return TF_STYLEGAN_NO_SUCH_ISA;
  if (p->n == 0 || p->out_h == 0 || p->out_w == 0 || p->c == 0) return TF_STYLEGAN_OK;
  return TF_STYLEGAN_CHOOSE(isa, upfirdn_2d_cpu, p, threads);
}

#endif  // TF_STYLEGAN_IS_BASE
