// Pad, upsample by zeros, filter and downsample channels-last images, optionally followed by scale, noise, bias, a
// (leaky) ReLU, gain and clamp before anything is stored. custom_ops/README.md has the definition.
#ifndef TF_STYLEGAN_KERNELS_UPFIRDN_2D_H_
#define TF_STYLEGAN_KERNELS_UPFIRDN_2D_H_

#include "common.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { TF_STYLEGAN_MAX_TAPS = 32 };

// y[n, oy, ox, c] = Σ over ty, tx of k[kh − 1 − ty, kw − 1 − tx] · u[n, oy · down_y + ty − pad_y, … x, c]
// where u is x with up − 1 zeros after each pixel, and zero outside. The padding after the image is what out_h and out_w
// leave; negative padding crops.
typedef struct {
  int64_t n, in_h, in_w, c;  // x [N, H, W, C]
  int64_t out_h, out_w;      // y [N, H', W', C]
  int64_t pad_y, pad_x;      // zeros before the upsampled image, in its pixels
  int32_t up_y, up_x, down_y, down_x;
  int32_t kh, kw;  // 1 to TF_STYLEGAN_MAX_TAPS each
  int32_t dtype;   // storage of x and y
  int32_t isa;     // CPU only
  int32_t stream;  // CPU only: stores past the caches: 0 as the size suggests, 1 never, 2 where possible
  // Whether y = clamp(lrelu(y · scale + b + noise · strength) · gain) follows. Its pointers may be null: scale 1, b 0, no
  // noise, strength 1.
  int32_t epilogue;
  const float* k;  // [kh, kw], always in the host's memory; convolved (turned by 180°), not correlated
  const void* x;   // [N, H, W, C]
  void* y;         // [N, H', W', C]
  double alpha;          // slope below zero: 1 linear, 0 relu, else lrelu
  double gain;
  double clamp;          // negative: none
  int64_t noise_n;       // 1 or N
  const void* scale;     // [N, C]
  const void* b;         // [C]
  const void* noise;     // [noise_n, H', W']
  const void* strength;  // [1]
} tf_stylegan_upfirdn_2d;

// Returns TF_STYLEGAN_OK or another code of common.h.
TF_STYLEGAN_API int tf_stylegan_upfirdn_2d_cpu(const tf_stylegan_upfirdn_2d* p, const tf_stylegan_threads* threads);

// Launches on a CUDA stream (a cudaStream_t) and returns a cudaError_t; all pointers but k are the device's. workspace:
// as many bytes of the device as the second function says.
TF_STYLEGAN_API int tf_stylegan_upfirdn_2d_cuda(const tf_stylegan_upfirdn_2d* p, void* workspace, void* stream);
TF_STYLEGAN_API int64_t tf_stylegan_upfirdn_2d_cuda_workspace(const tf_stylegan_upfirdn_2d* p);

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // TF_STYLEGAN_KERNELS_UPFIRDN_2D_H_
