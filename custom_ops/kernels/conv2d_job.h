// How a convolution is cut into units of work: parts of an image, or several small images, and some output channels.
// conv2d_worker.h does them.
#ifndef TF_STYLEGAN_KERNELS_CONV2D_JOB_H_
#define TF_STYLEGAN_KERNELS_CONV2D_JOB_H_

#include "conv2d.h"
#include "conv2d_finish.h"
#include "conv2d_plan.h"
#include "cpu.h"

namespace {

typedef tf_stylegan_conv2d Convolution;

const int64_t kTilePixels = 1024;      // of the input, at most
const int64_t kMidNumbers = 96 << 10;  // of v that a tile gives, about
const int64_t kUnitPixels = 4096;      // of the result, about
const int64_t kStripColumns = 128;     // of a tile, in pixels of the input

// What all units of a call share. T: storage; U: what multiplies, for example FmaUnit.
template <typename T, typename U>
struct Job {
  const U unit;
  const Convolution& p;
  Phases phases;
  Fir fir;
  Settings<float> settings;
  float strength;
  int64_t v_h, v_w;                   // of the convolution's result
  int64_t chunk, chunks, last_chunk;  // channels of a chunk as stored; how many; those of the last, rounded up
  int64_t group, groups;              // blocks of output channels that a unit handles; how many units beside each other
  int64_t tile_rows;                  // of v
  Pieces strips_y, strips_x, samples;
  bool stream;
  int no_memory;

  Job(const Convolution& params, const U& what)
      : unit(what),
        p(params),
        phases(p.kh, p.kw, p.up, p.down, p.pad_y, p.pad_x, p.w_turned),
        fir(p),
        strength(p.strength ? *p.strength : 1.0f),
        v_h(p.fir ? p.mid_h : p.out_h),
        v_w(p.fir ? p.mid_w : p.out_w),
        chunk(at_least(1, unit.chunk(p.in_c, p.up, p.down))),
        chunks(ceil_div(p.in_c, chunk)),
        group(at_most(unit.group(), ceil_div(p.out_c, kBlock))),
        groups(ceil_div(p.out_c, group * kBlock)),
        strips_y(1, 1),
        strips_x(1, 1),
        samples(1, 1),
        no_memory(0) {
    const int64_t line = kLanes * sizeof(T), bytes = p.n * p.out_h * p.out_w * p.out_c * (int64_t)sizeof(T);
    stream = bytes >= kStreamBytes && p.out_c % kLanes == 0 && (uintptr_t)p.y % line == 0;
    settings.alpha = (float)p.alpha, settings.gain = (float)p.gain, settings.clamp = (float)p.clamp;
    settings.undo_gain = 0;
    last_chunk = round_up(p.in_c - (chunks - 1) * chunk, U::kDepth);
    strips_x = Pieces(p.out_w, kStripColumns * (p.fir ? 1 : p.up));
    const int64_t columns = strips_x.longest();
    const int64_t pixels = at_most(kTilePixels, kMidNumbers / (group * kBlock) / (p.up * p.up));
    tile_rows = at_least(2, at_most(ceil_div(v_h, p.up), pixels / ceil_div(columns, p.up))) * p.up;
    // Where a filter follows, rows at a unit's border are computed twice: its units are higher.
    const int64_t rows = at_least(1, kUnitPixels * (p.fir ? 4 : 1) / columns);
    strips_y = Pieces(p.out_h, round_up(rows, tile_rows));
    samples = Pieces(p.n, strips_y.parts > 1 || strips_x.parts > 1 ? 1 : at_least(1, rows / p.out_h));
    // Two threads hardly wait for each other: less is packed, copied and filtered twice for them.
    const int64_t enough = enough_units(sums(), p.thread_count, p.thread_count > 2 ? 4 : 2);
    while (units() < enough && cut()) {
    }
    tile_rows = at_most(tile_rows, round_up(strips_y.longest(), p.up));
  }

  // Cuts each unit in about two, or returns false where that would not pay. Units with the same channels pack the same
  // weights, units with the same pixels copy the same input: whichever costs less. No sum crosses units, so results stay
  // the same.
  bool cut() {
    const int64_t pixels = samples.longest() * strips_y.longest() * strips_x.longest() / (p.up * p.up);
    if (pixels > phases.taps * group * kBlock && cut_pixels(pixels)) return true;
    if (group == 1) return cut_pixels(pixels);
    group = ceil_div(group, 2);
    groups = ceil_div(p.out_c, group * kBlock);
    return true;
  }
  bool cut_pixels(int64_t pixels) {
    if (pixels < 2 * U::kFewestPixels) return false;
    if (samples.longest() > 1) {
      samples.parts = at_most(p.n, 2 * samples.parts);
      return true;
    }
    // Rows that a filter needs on both sides of a cut are computed twice.
    if (strips_y.longest() < 2 * at_least(p.up, 4 * (fir.h - 1))) return false;
    strips_y.parts *= 2;
    return true;
  }
  double sums() const { return (double)p.n * v_h * v_w / (p.up * p.up) * p.kh * p.kw * p.in_c * p.out_c; }
  int64_t units() const { return groups * samples.parts * strips_y.parts * strips_x.parts; }
  int64_t depth(int64_t i) const { return i + 1 < chunks ? chunk : last_chunk; }
};

}  // namespace

#endif  // TF_STYLEGAN_KERNELS_CONV2D_JOB_H_
