// The work of a convolution's gradient with respect to its weights. A unit of work owns a block of input and output
// channels, for all taps, and sums over the pixels of some tiles; where there are few blocks the pixels are split too,
// and the parts are added in their order. Only the size of blocks depends on how many threads there are, and no sum
// crosses blocks: the result does not depend on the threads.
#ifndef TF_STYLEGAN_KERNELS_CONV2D_GRADIENT_WORKER_H_
#define TF_STYLEGAN_KERNELS_CONV2D_GRADIENT_WORKER_H_

#include <stdlib.h>

#include "conv2d.h"
#include "conv2d_plan.h"
#include "conv2d_tile.h"
#include "cpu.h"

namespace {

typedef tf_stylegan_conv2d_filter_gradient Gradient;

const int64_t kTileColumns = 64;   // of dy, at most
const int64_t kEnoughUnits = 16;   // where there are fewer blocks of channels, pixels are split
enum { kChannels = 64 };           // input channels of a block, at most
enum { kFewestChannels = 32 };     // of a block, on either side

// Part of dy, with the channels of both sides.
struct Task {
  int64_t n, y, rows, x, columns, first_in, inputs, first_out, outputs;
};

// What all pieces of a call share. T: storage; U: what multiplies, for example FmaGradient.
template <typename T, typename U>
struct Job {
  const Gradient& p;
  int64_t depth, width;     // input and output channels of a block, as stored
  int64_t inputs, outputs;  // blocks of channels
  int64_t splits;           // of the pixels
  int64_t block;            // numbers of a block: [kh, kw, depth, width]
  Pieces tiles_y, tiles_x;
  float* parts;             // [inputs, outputs, splits, block] if splits > 1
  int no_memory;

  explicit Job(const Gradient& params)
      : p(params),
        depth(kChannels),
        width(U::width(p.out_c)),
        inputs(ceil_div(p.in_c, depth)),
        outputs(ceil_div(p.out_c, width)),
        splits(1),
        tiles_y(1, 1),
        tiles_x(p.out_w, kTileColumns),
        parts(nullptr),
        no_memory(0) {
    tiles_y = Pieces(p.out_h, at_least(1, U::kTilePixels / tiles_x.longest()));
    if (inputs * outputs < kEnoughUnits) splits = at_most(tiles(), ceil_div(kEnoughUnits, inputs * outputs));
    const int64_t enough = enough_units(sums(), p.thread_count, 2);
    while (inputs * outputs * splits < enough && cut()) {
    }
    block = (int64_t)p.kh * p.kw * depth * width;
    if (splits > 1) parts = (float*)malloc(inputs * outputs * splits * block * sizeof(float));
    no_memory = splits > 1 && !parts;
  }
  ~Job() { free(parts); }
  double sums() const { return (double)p.n * p.out_h * p.out_w * p.kh * p.kw * p.in_c * p.out_c; }
  int64_t tiles() const { return p.n * tiles_y.parts * tiles_x.parts; }

  // Makes blocks smaller, or returns false where they are small already.
  bool cut() {
    if (width > kFewestChannels) {
      width = round_up(width / 2, kFewestChannels);
    } else if (depth > kFewestChannels) {
      depth /= 2;
    } else {
      return false;
    }
    inputs = ceil_div(p.in_c, depth), outputs = ceil_div(p.out_c, width);
    return true;
  }
};

// Stores a block, or the sum of its parts, where it belongs in dw.
template <typename T, typename U>
void store_block(const Job<T, U>& job, const float* parts, int64_t input, int64_t output) {
  const Gradient& p = job.p;
  const int64_t first_in = input * job.depth, inputs = at_most(job.depth, p.in_c - first_in);
  const int64_t first_out = output * job.width, outputs = at_most(job.width, p.out_c - first_out);
  for (int64_t t = 0; t < p.kh * p.kw; ++t) {
    float* dw = p.dw + (p.w_turned ? p.kh * p.kw - 1 - t : t) * p.in_c * p.out_c;
    for (int64_t i = 0; i < inputs; ++i) {
      const float* from = parts + (t * job.depth + i) * job.width;
      for (int64_t o = 0; o < outputs; o += kLanes) {
        vf sum = load(from + o);
        for (int64_t s = 1; s < job.splits; ++s) sum += load(from + s * job.block + o);
        const int64_t lanes = at_most(kLanes, outputs - o), in = first_in + i, out = first_out + o;
        if (p.w_swapped) {
          for (int64_t j = 0; j < lanes; ++j) dw[(out + j) * p.in_c + in] = sum[j];
        } else if (lanes == kLanes) {
          store<false>(dw + in * p.out_c + out, sum);
        } else {
          store_some(dw + in * p.out_c + out, sum, lanes);
        }
      }
    }
  }
}

template <typename T, typename U>
class Worker {
 public:
  static void work(void* arg, int64_t begin, int64_t end) {
    Job<T, U>& job = *(Job<T, U>*)arg;
    U unit(job.p, job.tiles_y.longest(), job.tiles_x.longest(), job.depth, job.width);
    char* memory = arena().get(unit.bytes() + job.block * sizeof(float));
    if (!memory) {
      __atomic_store_n(&job.no_memory, 1, __ATOMIC_RELAXED);
      return;
    }
    unit.begin(memory);
    for (int64_t i = begin; i < end; ++i) {
      const int64_t split = i % job.splits, output = i / job.splits % job.outputs, input = i / job.splits / job.outputs;
      float* sum = job.splits > 1 ? job.parts + i * job.block : (float*)(memory + unit.bytes());
      memset(sum, 0, job.block * sizeof(float));
      const int64_t tiles = job.tiles();
      for (int64_t t = tiles * split / job.splits; t < tiles * (split + 1) / job.splits; ++t) {
        unit.add(task(job, t, input, output), sum);
      }
      if (job.splits == 1) store_block(job, sum, input, output);
    }
    unit.end();
    arena().trim();
  }

  static void add(void* arg, int64_t begin, int64_t end) {
    const Job<T, U>& job = *(const Job<T, U>*)arg;
    for (int64_t i = begin; i < end; ++i) {
      store_block(job, job.parts + i * job.splits * job.block, i / job.outputs, i % job.outputs);
    }
  }

 private:
  static Task task(const Job<T, U>& job, int64_t t, int64_t input, int64_t output) {
    const int64_t tx = t % job.tiles_x.parts, ty = t / job.tiles_x.parts % job.tiles_y.parts;
    Task task;
    task.n = t / job.tiles_x.parts / job.tiles_y.parts;
    task.y = job.tiles_y.begin(ty), task.rows = job.tiles_y.end(ty) - task.y;
    task.x = job.tiles_x.begin(tx), task.columns = job.tiles_x.end(tx) - task.x;
    task.first_in = input * job.depth, task.inputs = at_most(job.depth, job.p.in_c - task.first_in);
    task.first_out = output * job.width, task.outputs = at_most(job.width, job.p.out_c - task.first_out);
    return task;
  }
};

template <typename T>
Image<T> x_of(const Gradient& p, const Task& t) {
  return {(const T*)p.x + t.n * p.in_h * p.in_w * p.in_c + t.first_in, p.in_h, p.in_w, p.in_c};
}
template <typename T>
Image<T> dy_of(const Gradient& p, const Task& t) {
  return {(const T*)p.dy + t.n * p.out_h * p.out_w * p.out_c + t.first_out, p.out_h, p.out_w, p.out_c};
}
inline const float* in_scale_of(const Gradient& p, const Task& t) {
  return p.in_scale ? p.in_scale + t.n * p.in_c + t.first_in : nullptr;
}
inline const float* out_scale_of(const Gradient& p, const Task& t) {
  return p.out_scale ? p.out_scale + t.n * p.out_c + t.first_out : nullptr;
}

template <typename T, typename U>
int run(const Gradient& p, const tf_stylegan_threads* threads) {
  Job<T, U> job(p);
  if (job.no_memory) return TF_STYLEGAN_NO_MEMORY;
  const int64_t blocks = job.inputs * job.outputs, units = blocks * job.splits;
  run_parallel(threads, units, cost_of(job.sums(), (double)units, kLanes), Worker<T, U>::work, &job);
  if (job.no_memory) return TF_STYLEGAN_NO_MEMORY;
  if (job.splits > 1) run_parallel(threads, blocks, job.block * job.splits, Worker<T, U>::add, &job);
  return TF_STYLEGAN_OK;
}

}  // namespace

#endif  // TF_STYLEGAN_KERNELS_CONV2D_GRADIENT_WORKER_H_
