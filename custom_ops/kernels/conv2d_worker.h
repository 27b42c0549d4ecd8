// The work of a convolution. A unit of work is a part of an image (or several small images) and some output channels:
// its weights are packed once, then tile by tile the input is copied with its zero borders and the style into a small
// buffer, multiplied, and finished. Everything between stays in the second-level cache.
#ifndef TF_STYLEGAN_KERNELS_CONV2D_WORKER_H_
#define TF_STYLEGAN_KERNELS_CONV2D_WORKER_H_

#include "conv2d_finish.h"
#include "conv2d_job.h"
#include "conv2d_tile.h"
#include "cpu.h"

namespace {

template <typename T, typename U>
class Worker {
 public:
  typedef typename U::Number Number;
  static void work(void* arg, int64_t begin, int64_t end) {
    Job<T, U>& job = *(Job<T, U>*)arg;
    Worker worker(job);
    if (!worker.tile_) {
      __atomic_store_n(&job.no_memory, 1, __ATOMIC_RELAXED);
      return;
    }
    for (int64_t unit = begin; unit < end; ++unit) worker.unit(unit);
    if (job.stream) finish_streaming();
  }

 private:
  explicit Worker(Job<T, U>& job) : job_(job), p_(job.p), group_(-1) {
    const Phases& f = job.phases;
    const int64_t columns = job.strips_x.longest() + job.fir.w - 1;
    mid_rows_ = job.tile_rows + job.fir.h - 1;
    width_ = job.group * kBlock;
    mid_width_ = columns * width_;
    const int64_t rows = (ceil_div(mid_rows_, f.up) + 1) * f.down + f.max_y - f.min_y;
    const int64_t width = (ceil_div(columns, f.up) + 2) * f.down + f.max_x - f.min_x;
    const int64_t mid = mid_rows_ * mid_width_;
    plane_ = rows * width * job.chunk;
    const int64_t tile = job.unit.planes() * plane_ * sizeof(Number);
    const int64_t panel = job.unit.planes() * f.taps * job.chunks * job.chunk * width_ * sizeof(Number);
    const int64_t room = 64;  // what follows starts at a line
    char* memory = arena().get(round_up(tile, room) + round_up(panel, room) +
                               (mid + 3 * mid_width_ + 2 * width_) * sizeof(float));
    tile_ = (Number*)memory;
    if (!memory) return;
    panel_ = (Number*)(memory + round_up(tile, room));
    mid_ = (float*)(memory + round_up(tile, room) + round_up(panel, room));
    rows_ = mid_ + mid, zeros_ = rows_ + 2 * mid_width_, scale_ = zeros_ + mid_width_, b_ = scale_ + width_;
    memset(zeros_, 0, mid_width_ * sizeof(float));
    job.unit.begin();
  }
  ~Worker() {
    if (tile_) job_.unit.end();
    arena().trim();
  }

  void unit(int64_t unit) {
    const int64_t sx = unit % job_.strips_x.parts, sy = unit / job_.strips_x.parts % job_.strips_y.parts;
    const int64_t rest = unit / job_.strips_x.parts / job_.strips_y.parts, s = rest % job_.samples.parts;
    const int64_t group = rest / job_.samples.parts;
    first_ = group * width_, outputs_ = at_most(width_, p_.out_c - first_);
    if (group != group_) pack();
    group_ = group;
    for (n_ = job_.samples.begin(s); n_ < job_.samples.end(s); ++n_) {
      for (int64_t o = 0; o < width_; ++o) {
        const int64_t all = first_ + o;
        scale_[o] = p_.out_scale && o < outputs_ ? p_.out_scale[n_ * p_.out_c + all] : 1.0f;
        b_[o] = p_.b && o < outputs_ ? p_.b[all] : 0.0f;
      }
      strip(job_.strips_y.begin(sy), job_.strips_y.end(sy), job_.strips_x.begin(sx), job_.strips_x.end(sx));
    }
  }

  // Brings the unit's weights into the order in which they are used: [chunk, block, tap, as the unit likes it].
  void pack() {
    Number* to = panel_;
    const int64_t taps = job_.phases.taps, blocks = ceil_div(outputs_, kBlock);
    for (int64_t chunk = 0; chunk < job_.chunks; ++chunk) {
      const int64_t depth = job_.depth(chunk), in = chunk * job_.chunk, inputs = at_most(depth, p_.in_c - in);
      for (int64_t t = 0; t < taps; ++t) {
        for (int64_t i = 0; i < blocks; ++i) {
          const int64_t out = first_ + i * kBlock, outputs = at_most(kBlock, p_.out_c - out);
          int64_t place = job_.phases.tap[t].place * p_.in_c * p_.out_c;
          place += p_.w_swapped ? out * p_.in_c + in : in * p_.out_c + out;
          const Matrix matrix = {p_.w + place, p_.w_swapped ? p_.in_c : p_.out_c, p_.w_swapped != 0, inputs, outputs};
          job_.unit.pack(to + (i * taps + t) * job_.unit.panel(depth), matrix, depth);
        }
      }
      to += blocks * taps * job_.unit.panel(depth);
    }
  }

  // Results [y0, y1) × [x0, x1) of sample n_. Row i of mid_ holds row base + i of v, its column 0 column left_ of v.
  void strip(int64_t y0, int64_t y1, int64_t x0, int64_t x1) {
    const int64_t fir_h = job_.fir.h, pad_y = p_.fir ? p_.fir_pad_y : 0;
    left_ = x0 - (p_.fir ? p_.fir_pad_x : 0);
    const int64_t right = at_most(job_.v_w, left_ + x1 - x0 + job_.fir.w - 1);
    const int64_t last = at_most(job_.v_h, y1 - pad_y + fir_h - 1);
    if (left_ < 0 || right < left_ + x1 - x0 + job_.fir.w - 1) {  // zeros beside v
      memset(mid_, 0, mid_rows_ * mid_width_ * sizeof(float));
    }
    base_ = y0 - pad_y;
    int64_t have = at_least(0, base_);
    for (int64_t y = y0; y < y1;) {
      const int64_t stop = at_most(base_ + mid_rows_, last);
      if (stop > have) {
        convolve(have, stop, at_least(0, left_), right);
        have = stop;
      }
      const int64_t until = at_most(y1, base_ + mid_rows_ + pad_y - fir_h + 1);
      for (; y < until; ++y) finish(y, x0, x1);
      const int64_t base = y - pad_y;
      if (have > base) memmove(mid_, mid_ + (base - base_) * mid_width_, (have - base) * mid_width_ * sizeof(float));
      base_ = base, have = at_least(have, at_least(0, base));
    }
  }

  // Computes rows [y0, y1) and columns [x0, x1) of v.
  void convolve(int64_t y0, int64_t y1, int64_t x0, int64_t x1) {
    if (x0 >= x1) return;
    if (job_.chunks == 0) {  // the sum over no channels
      memset(mid_ + (y0 - base_) * mid_width_, 0, (y1 - y0) * mid_width_ * sizeof(float));
      return;
    }
    const Phases& f = job_.phases;
    const int64_t r0 = ceil_div(y0 - f.up + 1, f.up), r1 = ceil_div(y1, f.up);
    const int64_t c0 = ceil_div(x0 - f.up + 1, f.up), c1 = ceil_div(x1, f.up);
    const int64_t top = r0 * f.down + f.min_y, rows = (r1 - 1 - r0) * f.down + f.max_y - f.min_y + 1;
    const int64_t left = c0 * f.down + f.min_x, width = (c1 - 1 - c0) * f.down + f.max_x - f.min_x + 1;
    const int64_t pitch = job_.chunk;
    int64_t offsets[TF_STYLEGAN_CONV_MAX_TAPS * TF_STYLEGAN_CONV_MAX_TAPS];
    for (int64_t t = 0; t < f.taps; ++t) offsets[t] = (f.tap[t].y * width + f.tap[t].x) * pitch;
    const Number* panel = panel_;
    for (int64_t chunk = 0; chunk < job_.chunks; ++chunk) {
      const int64_t depth = job_.depth(chunk), first = chunk * pitch;
      const Image<T> image = {(const T*)p_.x + n_ * p_.in_h * p_.in_w * p_.in_c + first, p_.in_h, p_.in_w, p_.in_c};
      const Window window = {top, rows, left, width};
      job_.unit.fill(tile_, plane_, pitch, image, at_most(pitch, p_.in_c - first), window,
                     p_.in_scale ? p_.in_scale + n_ * p_.in_c + first : nullptr);
      for (int64_t o = 0; o < outputs_; o += kBlock) {
        for (int64_t i = 0; i < f.count; ++i) {
          const Phase& phase = f.phase[i];
          const int64_t r = ceil_div(y0 - phase.y, f.up), c = ceil_div(x0 - phase.x, f.up);
          Product<Number> m;
          m.rows = ceil_div(y1 - phase.y, f.up) - r, m.columns = ceil_div(x1 - phase.x, f.up) - c;
          if (m.rows <= 0 || m.columns <= 0) continue;
          m.x = tile_ + ((r * f.down - top) * width + c * f.down - left) * pitch;
          m.x_pixel = f.down * pitch, m.x_row = f.down * width * pitch, m.plane = plane_;
          m.offsets = offsets + phase.first, m.taps = phase.taps, m.depth = depth;
          m.w = panel + phase.first * job_.unit.panel(depth);
          m.outputs = at_most(kBlock, outputs_ - o);
          m.to = mid_ + (phase.y + r * f.up - base_) * mid_width_ + (phase.x + c * f.up - left_) * width_ + o;
          m.to_pixel = f.up * width_, m.to_row = f.up * mid_width_;
          m.add = chunk > 0;
          job_.unit.multiply(m);
        }
        panel += f.taps * job_.unit.panel(depth);
      }
    }
  }

  // Row y of the result from the rows of v.
  void finish(int64_t y, int64_t x0, int64_t x1) {
    const Fir& fir = job_.fir;
    Row<T> row;
    row.pixels = x1 - x0, row.width = width_, row.outputs = outputs_;
    row.scale = scale_, row.b = b_, row.strength = job_.strength;
    const int64_t place = (n_ * p_.out_h + y) * p_.out_w + x0, plane = p_.out_h * p_.out_w;
    row.noise = p_.noise ? p_.noise + (p_.noise_n == 1 ? place - n_ * plane : place) : nullptr;
    row.pitch = p_.out_c;
    row.stream = job_.stream;
    row.y = (T*)p_.y + place * p_.out_c + first_;
    if (!p_.fir) {
      row.from = mid_ + (y - base_) * mid_width_;
      return finish_row(p_.act, row, nullptr, job_.settings);
    }
    if (fir.separable && fir.h == 4 && fir.w == 4) {
      Filtered filtered = {{}, fir.column, fir.row};
      for (int64_t t = 0; t < 4; ++t) {
        const int64_t at = y - p_.fir_pad_y + t;
        filtered.rows[t] = at < 0 || at >= job_.v_h ? zeros_ : mid_ + (at - base_) * mid_width_;
      }
      return finish_row(p_.act, row, &filtered, job_.settings);
    }
    const float* from[TF_STYLEGAN_CONV_MAX_TAPS];
    int64_t rows = 0, which[TF_STYLEGAN_CONV_MAX_TAPS];
    for (int64_t t = 0; t < fir.h; ++t) {
      const int64_t at = y - p_.fir_pad_y + t;
      if (at < 0 || at >= job_.v_h) continue;
      which[rows] = t;
      from[rows++] = mid_ + (at - base_) * mid_width_;
    }
    float weights[TF_STYLEGAN_CONV_MAX_TAPS];
    float* filtered = rows_ + mid_width_;
    if (fir.separable) {
      for (int64_t j = 0; j < rows; ++j) weights[j] = fir.column[which[j]];
      combine_rows(rows_, from, weights, rows, (row.pixels + fir.w - 1) * width_, false);
      filter_along(filtered, rows_, fir.row, fir.w, row.pixels, width_);
    } else {
      for (int64_t x = 0; x < fir.w; ++x) {
        const float* shifted[TF_STYLEGAN_CONV_MAX_TAPS];
        for (int64_t j = 0; j < rows; ++j) {
          weights[j] = fir.k[which[j] * fir.w + x];
          shifted[j] = from[j] + x * width_;
        }
        combine_rows(filtered, shifted, weights, rows, row.pixels * width_, x > 0);
      }
    }
    row.from = filtered;
    finish_row(p_.act, row, nullptr, job_.settings);
  }

  Job<T, U>& job_;
  const Convolution& p_;
  int64_t group_, first_, outputs_, width_, n_, base_, left_, mid_rows_, mid_width_, plane_;
  Number *tile_, *panel_;
  float *mid_, *rows_, *zeros_, *scale_, *b_;
};

template <typename T, typename U>
int run(const Convolution& p, const U& unit, const tf_stylegan_threads* threads) {
  Job<T, U> job(p, unit);
  const int64_t units = job.units();
  run_parallel(threads, units, cost_of(job.sums(), (double)units, kLanes), Worker<T, U>::work, &job);
  return job.no_memory ? TF_STYLEGAN_NO_MEMORY : TF_STYLEGAN_OK;
}

}  // namespace

#endif  // TF_STYLEGAN_KERNELS_CONV2D_WORKER_H_
