// Convolutions of channels-last images, optionally with everything that StyleGAN2 puts around them in the same pass
// over memory: the style on the input, and a FIR filter, demodulation, noise, bias and activation on the output.
// custom_ops/README.md has the definitions; tf_stylegan/ops/conv.py has what the networks ask for.
#ifndef TF_STYLEGAN_KERNELS_CONV2D_H_
#define TF_STYLEGAN_KERNELS_CONV2D_H_

#include "common.h"
#include "fused_bias_act.h"

#ifdef __cplusplus
extern "C" {
#endif

// What multiplies. AUTO takes the fastest that is there and is as exact as the storage (float32: errors like those of
// float32 sums). FMA: float32 multiply-add. DOT: AVX512_BF16's products of pairs, for bfloat16 images only; filter
// gradients, which have no such form, take FMA. AMX: tiles of bfloat16, into three of which a float32 number is cut.
enum { TF_STYLEGAN_CONV_AUTO = 0, TF_STYLEGAN_CONV_FMA = 1, TF_STYLEGAN_CONV_DOT = 2, TF_STYLEGAN_CONV_AMX = 3 };

//   u[n, i·up, j·up, c] = x[n, i, j, c] · in_scale[n, c], zero elsewhere
//   v[n, oy, ox, o]     = Σ over ty, tx, c of W[ty, tx, c, o] · u[n, oy·down + ty − pad_y, ox·down + tx − pad_x, c]
//   f[n, oy, ox, o]     = v without `fir`; otherwise, as upfirdn_2d filters,
//                         Σ over ty, tx of fir[fir_h − 1 − ty, fir_w − 1 − tx] ·
//                                          v[n, oy + ty − fir_pad_y, ox + tx − fir_pad_x, o]
//   y = clamp(act(f · out_scale[n, o] + b[o] + noise[n, oy, ox] · strength) · gain)
//
// W[ty, tx] is w[ty, tx], or w[kh − 1 − ty, kw − 1 − tx] where w_turned; it is [I, O], or stored as [O, I] where
// w_swapped. So, for a convolution (up, down, pad_y) with w, the gradient with respect to x is a convolution of dy with
// the same w, turned and swapped, up and down exchanged, and kh − 1 − pad_y for pad_y.
// TensorFlow's conv2d_transpose(x, f) with stride 2 and VALID: up = 2, pad = kh − 1, w = f, turned and swapped.
typedef struct {
  int64_t n, in_h, in_w, in_c;  // x [N, H, W, I]
  int64_t mid_h, mid_w;         // v [N, H", W", O]: only with fir
  int64_t out_h, out_w, out_c;  // y [N, H', W', O]
  int64_t pad_y, pad_x;         // the padding after the image is what the sizes leave; may be negative
  int64_t fir_pad_y, fir_pad_x;
  int64_t noise_n;  // 1 or N
  int32_t kh, kw;   // 1 to TF_STYLEGAN_CONV_MAX_TAPS each
  int32_t up, down;  // 1 or 2, not both 2
  int32_t fir_h, fir_w;  // 1 to TF_STYLEGAN_CONV_MAX_TAPS each
  int32_t w_turned, w_swapped;
  int32_t dtype;  // of x and y: float32 or bfloat16
  int32_t isa;
  int32_t unit;  // one of TF_STYLEGAN_CONV_…
  int32_t thread_count;  // how many threads the caller has: work is cut up for them; at most 1: for the calling one
  int32_t act;           // TF_STYLEGAN_LINEAR, TF_STYLEGAN_RELU or TF_STYLEGAN_LRELU
  double alpha;   // slope of lrelu below zero
  double gain;
  double clamp;   // negative: none
  const void* x;
  const float* w;         // [kh, kw, I, O], or [kh, kw, O, I] if w_swapped
  const float* in_scale;  // [N, I] or null: 1
  const float* fir;       // [fir_h, fir_w] or null: none
  const float* out_scale;  // [N, O] or null: 1
  const float* b;          // [O] or null: 0
  const float* noise;      // [noise_n, H', W'] or null: 0
  const float* strength;   // [1] or null: 1
  void* y;
} tf_stylegan_conv2d;

enum { TF_STYLEGAN_CONV_MAX_TAPS = 16 };

// Returns TF_STYLEGAN_OK or another code of common.h. The result does not depend on the number of threads.
TF_STYLEGAN_API int tf_stylegan_conv2d_cpu(const tf_stylegan_conv2d* p, const tf_stylegan_threads* threads);

// The gradient of Σ v · dy (v as above, without fir) with respect to W:
//   dW[ty, tx, c, o] = Σ over n, oy, ox of u[n, oy·down + ty − pad_y, ox·down + tx − pad_x, c] ·
//                                          dy[n, oy, ox, o] · out_scale[n, o]
typedef struct {
  int64_t n, in_h, in_w, in_c;  // x [N, H, W, I]
  int64_t out_h, out_w, out_c;  // dy [N, H', W', O]
  int64_t pad_y, pad_x;
  int32_t kh, kw;
  int32_t up, down;              // 1 or 2, not both 2
  int32_t w_turned, w_swapped;   // how dw is stored, as w above
  int32_t dtype;                 // of x and dy: float32 or bfloat16; dw is float32
  int32_t isa;
  int32_t unit;
  int32_t thread_count;  // as above
  const void* x;
  const void* dy;
  const float* in_scale;   // [N, I] or null: 1
  const float* out_scale;  // [N, O] or null: 1
  float* dw;               // [kh, kw, I, O], or [kh, kw, O, I] if w_swapped
} tf_stylegan_conv2d_filter_gradient;

// Returns TF_STYLEGAN_OK or another code of common.h. The result does not depend on the number of threads.
TF_STYLEGAN_API int tf_stylegan_conv2d_filter_gradient_cpu(const tf_stylegan_conv2d_filter_gradient* p,
                                                           const tf_stylegan_threads* threads);

// The unit that AUTO takes on this machine for storage `dtype` and instruction set `isa`: one of TF_STYLEGAN_CONV_….
TF_STYLEGAN_API int tf_stylegan_conv2d_unit(int dtype, int isa);

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // TF_STYLEGAN_KERNELS_CONV2D_H_
