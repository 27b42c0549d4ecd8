// upfirdn_2d on a CPU, few channels: how vectors of the result are gathered from the line that they are filtered from.
#ifndef TF_STYLEGAN_KERNELS_UPFIRDN_2D_FEW_H_
#define TF_STYLEGAN_KERNELS_UPFIRDN_2D_FEW_H_

#include "upfirdn_2d_plan.h"

namespace {

// A vector of the result begins and ends anywhere in a pixel. For each tap its elements come from one or two vectors of
// the line, picked by a mask, and have the weights of their phases. Masks, weights and places repeat as soon as whole
// vectors hold whole periods of phases: after three vectors of 16 for three channels and up 2.
template <typename T>
class Gather {
  typedef typename Simd<T>::compute S;
  typedef typename Simd<T>::V V;
  typedef typename Simd<T>::I I;
  enum { L = Simd<T>::lanes, kMostVectors = 2 * L, kMostWeights = 128 };

 public:
  // Worked out for rounds that begin with a whole period, and lines that begin with the first pixel needed.
  explicit Gather(const Job<T>& job)
      : c_(job.p.c), taps_(job.taps), up_(job.ax.up), loads_(-1), vectors_(1), beyond_(L), memory_(nullptr) {
    const Axis& ax = job.ax;
    const bool picking = up_ > 1 || ax.down > 1;
    if (c_ >= L || !job.separable || job.p.epilogue || (picking && !Simd<T>::picks)) return;
    if (up_ > kMostVectors || ax.down > kMostVectors) return;
    while (picking && vectors_ * L % (up_ * c_)) ++vectors_;  // vectors that pick nothing are all the same
    if (vectors_ > kMostVectors || vectors_ * taps_ > kMostWeights) return;
    advance_ = vectors_ * L / up_ * ax.down;
    memory_ = allocate<S>(vectors_ * (taps_ + 1) * L);
    if (!memory_) return;
    weights_ = memory_ + vectors_ * L;
    int loads = picking ? 1 : 0;
    int64_t channel = 0, pixel = 0, phase = ax.phase(0);  // of the result's next element: its own, its first pixel's
    for (int64_t k = 0; k < vectors_; ++k) {
      int64_t from[L], first = INT64_MAX, last = 0;
      for (int64_t l = 0; l < L; ++l) {
        from[l] = pixel * c_ + channel;
        first = at_most(first, from[l]), last = at_least(last, from[l]);
        for (int64_t t = 0; t < taps_; ++t) weights_[(k * taps_ + t) * L + l] = job.weights[phase * taps_ + t];
        if (++channel < c_) continue;
        channel = 0, phase -= ax.down;
        while (phase < 0) phase += up_, ++pixel;
      }
      at_[k][0] = first, at_[k][1] = at_least(first, last - L + 1);  // what is left out between them may not be wanted
      beyond_ = at_least(beyond_, at_[k][1] - first + L);
      I mask;
      for (int64_t l = 0; l < L; ++l) {
        const bool second = from[l] >= first + L;
        if (second && from[l] < at_[k][1]) return;
        if (second) loads = 2;
        mask[l] = second ? L + from[l] - at_[k][1] : from[l] - first;
      }
      memcpy(memory_ + k * L, &mask, sizeof mask);
    }
    loads_ = loads;
  }
  ~Gather() { free(memory_); }
  Gather(const Gather&) = delete;

  // Whether this call can be done so.
  bool possible() const { return loads_ >= 0; }

  // How far behind the last number needed lines are read, at most.
  int64_t beyond() const { return beyond_; }

  // y[0 … n), the beginning of a round, from the line for it. stream: y is better not kept in the caches. Never
  // inlined: the compiler would inline less of the rest, which costs calls that are done otherwise up to a fifth.
  __attribute__((noinline)) void run(T* y, const S* line, int64_t n, bool stream) const {
    stream = stream && (uintptr_t)y % (L * sizeof(T)) == 0;
    switch (loads_) {
      case 0:
        return taps_ == 4 ? run<0, 4>(y, line, n, stream) : run<0, 0>(y, line, n, stream);
      case 1:
        return taps_ == 2 ? run<1, 2>(y, line, n, stream) : run<1, 0>(y, line, n, stream);
      default:
        return taps_ == 4 && up_ == 1 ? run<2, 4>(y, line, n, stream) : run<2, 0>(y, line, n, stream);
    }
  }

 private:
  // loads: vectors that elements are picked from, 0 where they are wanted as they are. fixed: the number of taps, 0
  // where it is known at run time.
  template <int loads, int fixed>
  void run(T* y, const S* line, int64_t n, bool stream) const {
    const int64_t c = c_, taps = fixed ? fixed : taps_;
    const bool same = fixed && loads != 1;  // one phase only: weights stay in registers
    V weights[same ? fixed : 1];
    for (int t = 0; same && t < fixed; ++t) weights[t] = load(weights_ + t * L);
    for (int64_t i = 0, k = 0; i < n; i += L) {
      const S *a = line + at_[k][0], *b = line + at_[k][1];
      I mask;
      memcpy(&mask, memory_ + k * L, sizeof mask);
      V sum{};
      for (int64_t t = 0; t < taps; ++t) {
        const V v = load(a + t * c), w = same ? weights[same ? t : 0] : load(weights_ + (k * taps + t) * L);
        sum += w * (loads == 0 ? v : loads == 1 ? pick(v, mask) : pick(v, load(b + t * c), mask));
      }
      if (i + L > n) return store_part(y + i, sum, n - i);
      if (stream) {
        store<true>(y + i, sum);
      } else {
        store<false>(y + i, sum);
      }
      if (++k == vectors_) k = 0, line += advance_;
    }
  }

  const int64_t c_, taps_, up_;
  int loads_;                    // −1: not possible
  int64_t vectors_, advance_;    // how many until everything repeats; elements of the line from then to then
  int64_t beyond_;
  int64_t at_[kMostVectors][2];  // of each vector: where the vectors of the line begin
  S *memory_, *weights_;         // masks, then weights of each tap
};

}  // namespace

#endif  // TF_STYLEGAN_KERNELS_UPFIRDN_2D_FEW_H_
