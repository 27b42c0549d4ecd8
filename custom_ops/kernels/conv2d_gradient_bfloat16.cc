// The gradient of a convolution with respect to its weights with AMX.
#include "conv2d_units.h"

#if defined(__AMX_BF16__) && defined(__AVX512BF16__)

#include "conv2d_amx.h"
#include "conv2d_gradient_worker.h"
#include "conv2d_parts.h"

namespace {

// The sums run over pixels, 32 in a row of A: x is transposed to [channel, pixel], the pixels of a tile one after the
// other. There is a copy for each column of taps, shifted so that a row of taps is nothing but another place to start,
// which begins a line wherever 32 divides the tile's width: reads across lines would take twice as long.
template <typename T, int parts>
class AmxGradient {
 public:
  enum { kTilePixels = 512 };
  static int64_t width(int64_t out_c) { return at_most(128, round_up(out_c, kBlock)); }
  AmxGradient(const Gradient& p, int64_t rows, int64_t columns, int64_t depth, int64_t width)
      : p_(p), depth_(depth), width_(width) {
    const int64_t length = round_up(rows * columns, kTileDepth);
    // A channel's pixels and what the last taps read behind them; an odd number of lines, so that channels do not meet
    // in the same places of the caches.
    pitch_ = (round_up(length + p.kh / p.down * columns, 32) / 32 | 1) * 32;
    plane_ = kChannels * pitch_;
    part_ = p.kw * p.down * plane_;
    x_bytes_ = parts * part_ * sizeof(uint16_t);
    dy_bytes_ = parts * length * width * sizeof(uint16_t);
  }
  int64_t bytes() const { return x_bytes_ + dy_bytes_; }
  void begin(char* memory) { x_ = (uint16_t*)memory, dy_ = (uint16_t*)(memory + x_bytes_); }
  void end() { _tile_release(); }

  // Adds the tile's share of dw [kh, kw, depth, width].
  void add(const Task& t, float* sum) {
    const int64_t length = round_up(t.rows * t.columns, kTileDepth);
    for (int64_t q = 0; q < p_.down * p_.down; ++q) fill_x(t, q / p_.down, q % p_.down);
    fill_dy(t, length);
    int64_t offset;
    AmxCall call;
    call.a_row = pitch_ * 2, call.plane = part_ * 2;
    call.offsets = &offset, call.taps = 1, call.blocks = length / kTileDepth;
    call.to_row = width_ * sizeof(float), call.add = true;
    for (int64_t i = 0; i < t.inputs; i += 2 * kTileRows) {
      const int64_t rows0 = at_most(kTileRows, t.inputs - i), rows1 = at_most(kTileRows, t.inputs - i - rows0);
      shape_tiles(rows0, rows1);
      call.a0 = (const char*)(x_ + i * pitch_), call.a1 = call.a0 + kTileRows * pitch_ * 2;
      for (int64_t o = 0; o < t.outputs; o += kBlock) {
        call.b = (const char*)(dy_ + o * length * parts);
        for (int64_t tap = 0; tap < p_.kh * p_.kw; ++tap) {
          const int64_t ty = tap / p_.kw, tx = tap % p_.kw;
          offset = ((tx * p_.down + ty % p_.down) * plane_ + ty / p_.down * t.columns) * 2;
          call.to0 = sum + (tap * depth_ + i) * width_ + o, call.to1 = call.to0 + kTileRows * width_;
          amx_multiply<parts>(call, rows1 > 0, t.outputs - o > 16);
        }
      }
    }
  }

 private:
  // x [part, tx, qy, channel, pixel]: pixel (r, c) is x at row r · down + qy and column c · down + tx of the tile.
  // Fills those with the rows qy, qy + down, … and the taps tx = qx, qx + down, ….
  void fill_x(const Task& t, int64_t qy, int64_t qx) {
    const Image<T> image = x_of<T>(p_, t);
    const float* scale = in_scale_of(p_, t);
    const int64_t rows = t.rows + (p_.kh - 1) / p_.down, row = t.columns + (p_.kw - 1) / p_.down;
    for (int64_t r = 0; r < rows; ++r) {
      const int64_t y = (t.y + r) * p_.down + qy - p_.pad_y;
      for (int64_t i = 0; i < row; i += kLanes) {
        // 16 pixels, of which [begin, end) lie in the image.
        const int64_t x = (t.x + i) * p_.down + qx - p_.pad_x, pixels = at_most(kLanes, row - i);
        const int64_t begin = at_most(pixels, at_least(0, ceil_div(-x, p_.down)));
        const int64_t end = y >= 0 && y < image.h ? at_most(pixels, ceil_div(image.w - x, p_.down)) : 0;
        const T* first = image.data + (y * image.w + x) * image.pitch;
        for (int64_t j = begin; j < end; ++j) prefetch(first + (j + kLanes) * p_.down * image.pitch, t.inputs);
        for (int64_t c = 0; c < t.inputs; c += kLanes) {
          const int64_t lanes = at_most(kLanes, t.inputs - c);
          const vf s = scale ? load_some(scale + c, lanes) : splat(1.0f);
          vf v[kLanes] = {};
          for (int64_t j = begin; j < end; ++j) {
            const T* from = first + j * p_.down * image.pitch + c;
            v[j] = (lanes == kLanes ? load(from) : load_some(from, lanes)) * s;
          }
          transpose(v);
          for (int64_t tx = qx; tx < p_.kw; tx += p_.down) {
            const int64_t from = at_least(0, tx / p_.down - i), to = at_most(kLanes, t.columns + tx / p_.down - i);
            if (from >= to) continue;
            const uint32_t mask = (1u << to) - (1u << from);
            uint16_t* at = plane_of(tx, qy) + c * pitch_ + r * t.columns + i - tx / p_.down;
            if (mask == 0xffff) {
              for (int64_t j = 0; j < kLanes; ++j) store_parts<parts>(at + j * pitch_, part_, v[j]);
            } else {
              for (int64_t j = 0; j < kLanes; ++j) store_parts<parts>(at + j * pitch_, part_, v[j], (__mmask16)mask);
            }
          }
        }
      }
    }
    // What is read behind the last pixel meets zeros of dy, and must be a number.
    const int64_t end = rows * t.columns;
    for (int64_t tx = qx; tx < p_.kw; tx += p_.down) {
      for (int64_t c = 0; c < round_up(t.inputs, kLanes); ++c) {
        uint16_t* at = plane_of(tx, qy) + c * pitch_ + end;
        for (int i = 0; i < parts; ++i) memset(at + i * part_, 0, (pitch_ - end) * sizeof(uint16_t));
      }
    }
  }
  uint16_t* plane_of(int64_t tx, int64_t qy) const { return x_ + (tx * p_.down + qy) * plane_; }

  // dy [block of kBlock channels, length / kTileDepth, part, 2, kTileDepth / 2, 16 channels, 2 pixels]
  void fill_dy(const Task& t, int64_t length) {
    const Image<T> image = dy_of<T>(p_, t);
    const float* scale = out_scale_of(p_, t);
    const int64_t width = round_up(t.outputs, kBlock);
    int64_t y = 0, x = 0;
    for (int64_t i = 0; i < length; i += 2) {
      const T* from[2];
      for (int j = 0; j < 2; ++j) {
        const bool inside = y < t.rows;
        from[j] = inside ? image.data + ((t.y + y) * image.w + t.x + x) * image.pitch : nullptr;
        if (inside) prefetch(from[j] + kAhead * image.pitch, t.outputs);
        if (++x == t.columns) x = 0, ++y;
      }
      for (int64_t c = 0; c < width; c += kLanes) {
        const int64_t lanes = at_least(0, at_most(kLanes, t.outputs - c));
        const vf s = scale && lanes ? load_some(scale + c, lanes) : splat(1.0f);
        vf pair[2] = {};
        for (int j = 0; j < 2; ++j) {
          if (from[j] && lanes) pair[j] = (lanes == kLanes ? load(from[j] + c) : load_some(from[j] + c, lanes)) * s;
        }
        uint16_t* to = dy_ + c / kBlock * (kBlock * length * parts) + c % kBlock / 16 * (kTileBytes / 2);
        store_pairs<parts>(to + i / kTileDepth * (parts * kTileBytes) + i % kTileDepth / 2 * 32, pair[0], pair[1]);
      }
    }
  }

  const Gradient& p_;
  const int64_t depth_, width_;
  int64_t pitch_, plane_, part_, x_bytes_, dy_bytes_;
  uint16_t *x_, *dy_;
};

}  // namespace

int conv2d_filter_gradient_cpu_bfloat16(const Gradient* p, const tf_stylegan_threads* threads, int) {
  if (p->dtype == TF_STYLEGAN_BFLOAT16) return run<bfloat16, AmxGradient<bfloat16, 1>>(*p, threads);
  return run<float, AmxGradient<float, 3>>(*p, threads);
}

#else

int conv2d_filter_gradient_cpu_bfloat16(const tf_stylegan_conv2d_filter_gradient*, const tf_stylegan_threads*, int) {
  return TF_STYLEGAN_NO_SUCH_ISA;
}

#endif
