// How a convolution is cut up, the same way for every instruction set. Everything has internal linkage, see simd.h.
#ifndef TF_STYLEGAN_KERNELS_CONV2D_PLAN_H_
#define TF_STYLEGAN_KERNELS_CONV2D_PLAN_H_

#include <stdlib.h>

#include "conv2d.h"

namespace {

inline int64_t at_least(int64_t a, int64_t b) { return a > b ? a : b; }
inline int64_t at_most(int64_t a, int64_t b) { return a < b ? a : b; }
inline int64_t ceil_div(int64_t a, int64_t b) { return a >= 0 ? (a + b - 1) / b : -(-a / b); }
inline int64_t floor_div(int64_t a, int64_t b) { return -ceil_div(-a, b); }
inline int64_t round_up(int64_t a, int64_t b) { return ceil_div(a, b) * b; }

const int64_t kFar = INT64_C(1) << 40;  // padding and sizes up to this keep places within 64 bits

// a · b · c · d, at most what can be counted and measured in bytes; false if it is more.
inline bool countable(int64_t a, int64_t b, int64_t c, int64_t d) {
  int64_t ab, abc, abcd;
  return !__builtin_mul_overflow(a, b, &ab) && !__builtin_mul_overflow(ab, c, &abc) &&
         !__builtin_mul_overflow(abc, d, &abcd) && abcd <= INT64_MAX / 16;
}

inline bool within(int64_t low, int64_t x, int64_t high) { return low <= x && x <= high; }

// A weight that a phase uses: result (r, c) of the phase meets pixel (r · down + y, c · down + x) of the input.
struct Tap {
  int64_t y, x;
  int64_t place;  // of its matrix in w, in matrices
};

// The results (y + r · up, x + c · up), which all use the same taps.
struct Phase {
  int64_t y, x;
  int64_t first, taps;
};

// Inserting zeros and convolving is up² convolutions without zeros, each giving every up-th result.
struct Phases {
  int64_t count, up, down;
  Phase phase[4];
  Tap tap[TF_STYLEGAN_CONV_MAX_TAPS * TF_STYLEGAN_CONV_MAX_TAPS];
  int64_t taps;
  int64_t min_y, max_y, min_x, max_x;  // of the taps' offsets

  Phases(int64_t kh, int64_t kw, int64_t up, int64_t down, int64_t pad_y, int64_t pad_x, bool turned)
      : count(0), up(up), down(down), taps(0), min_y(INT64_MAX), max_y(INT64_MIN), min_x(INT64_MAX), max_x(INT64_MIN) {
    for (int64_t py = 0; py < up; ++py) {
      for (int64_t px = 0; px < up; ++px) {
        Phase& one = phase[count++];
        one.y = py, one.x = px, one.first = taps;
        for (int64_t ty = 0; ty < kh; ++ty) {
          for (int64_t tx = 0; tx < kw; ++tx) {
            const int64_t y = py + ty - pad_y, x = px + tx - pad_x;
            if (floor_div(y, up) * up != y || floor_div(x, up) * up != x) continue;  // meets an inserted zero
            Tap& t = tap[taps++];
            t.y = floor_div(y, up), t.x = floor_div(x, up);
            t.place = turned ? (kh - 1 - ty) * kw + kw - 1 - tx : ty * kw + tx;
            min_y = at_most(min_y, t.y), max_y = at_least(max_y, t.y);
            min_x = at_most(min_x, t.x), max_x = at_least(max_x, t.x);
          }
        }
        one.taps = taps - one.first;
      }
    }
  }
};

// [0, total) in `parts` pieces that differ by at most one.
struct Pieces {
  int64_t total, parts;
  Pieces(int64_t total, int64_t most) : total(total), parts(at_least(1, ceil_div(total, most))) {}
  int64_t begin(int64_t i) const { return i * (total / parts) + at_most(i, total % parts); }
  int64_t end(int64_t i) const { return begin(i + 1); }
  int64_t longest() const { return ceil_div(total, parts); }
};

// Into how many units work of so many multiply-adds is to be cut: `each` for a thread, so that none waits long for
// another's last one, but none so small that waking a thread for it takes as long.
inline int64_t enough_units(double sums, int64_t threads, int64_t each) {
  const double large = sums / (8 << 20), wanted = (double)each * threads;
  return threads > 1 ? (int64_t)(large < wanted ? large : wanted) : 1;
}

// Memory of one thread, kept between calls: getting and clearing pages anew would cost more than many a convolution.
struct Arena {
  char* memory;
  size_t bytes;
  Arena() : memory(nullptr), bytes(0) {}
  ~Arena() { free(memory); }
  char* get(size_t wanted) {
    if (wanted <= bytes) return memory;
    free(memory);
    void* got = nullptr;
    bytes = posix_memalign(&got, 4096, wanted) ? 0 : wanted;
    return memory = bytes ? (char*)got : nullptr;
  }
  // Gives back what only an unusual call wants.
  void trim() {
    if (bytes <= size_t(64) << 20) return;
    free(memory);
    memory = nullptr, bytes = 0;
  }
};

inline Arena& arena() {
  static thread_local Arena one;
  return one;
}

// For parallel_for: cycles of a unit from its multiply-adds; in float64, which does not overflow.
inline int64_t cost_of(double sums, double units, double lanes) {
  const double cycles = sums / (units * 2 * lanes);
  return cycles < 1 ? 1 : cycles > 1e15 ? (int64_t)1e15 : (int64_t)cycles;
}

}  // namespace

#endif  // TF_STYLEGAN_KERNELS_CONV2D_PLAN_H_
