// Scale, noise, bias, activation, gain and clamp of channels-last tensors in one pass over memory, with the forms that
// its first and second order gradients need. custom_ops/README.md says how they fit together.
//
//   in           = x[r, c] · scale[n, c] + b[c] + noise[r mod noise_rows] · strength
//   mode 0: out  = clamp(act(in) · gain)
//   mode 1: out  = in · S(ref)
//   mode 2: out  = in · dy · S'(ref)
//   y[r, c]      = out · post_scale[n, c]
//
// r counts rows (pixels of all samples), n = r / rows_per_sample. `ref` is what mode 0 returned, before post_scale; for
// swish it is mode 0's `in`. S(ref) is the derivative of mode 0 written as a function of ref, 0 where the clamp cut.
#ifndef TF_STYLEGAN_KERNELS_FUSED_BIAS_ACT_H_
#define TF_STYLEGAN_KERNELS_FUSED_BIAS_ACT_H_

#include "common.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
  TF_STYLEGAN_LINEAR = 0,
  TF_STYLEGAN_RELU = 1,
  TF_STYLEGAN_LRELU = 2,
  TF_STYLEGAN_TANH = 3,
  TF_STYLEGAN_SIGMOID = 4,
  TF_STYLEGAN_ELU = 5,
  TF_STYLEGAN_SELU = 6,
  TF_STYLEGAN_SOFTPLUS = 7,
  TF_STYLEGAN_SWISH = 8
};

typedef struct {
  int64_t rows;             // R: all pixels of all samples
  int64_t rows_per_sample;  // R / N; R where samples do not matter
  int64_t c;                // C
  int64_t noise_rows;       // how many numbers `noise` has: a divisor of R
  int32_t dtype;            // storage of x, ref, dy, aux and y
  int32_t act;
  int32_t mode;        // 0, 1 or 2
  int32_t isa;         // CPU only
  int32_t stream;      // CPU only: stores past the caches: 0 as the size suggests, 1 never, 2 where possible
  double alpha;        // slope of lrelu below zero; not negative in modes 1 and 2
  double gain;         // positive in modes 1 and 2
  double clamp;        // negative: none
  const void* x;       // [R, C]
  const void* ref;     // [R, C], modes 1 and 2; null for linear without clamp
  const void* dy;      // [R, C], mode 2
  const void* aux;     // [R, C], for sum_aux
  void* y;             // [R, C]; may be x, ref or dy itself
  const void* scale;       // [N, C] or null: 1
  const void* post_scale;  // [N, C] or null: 1
  const void* b;           // [C] or null: 0
  const void* noise;       // [noise_rows] or null: 0
  const void* strength;    // [1]; null: 1
  // Sums are left alone where R or C is 0.
  void* sum_rows;      // [C]     Σ over r of out, or null
  void* sum_channels;  // [R]     Σ over c of out, or null
  void* sum_aux;       // [N, C]  Σ over the sample's r of out · aux, or null
  void* workspace;     // as many bytes as the function below says; null where it says 0
} tf_stylegan_fused_bias_act;

// Bytes of workspace for the sums; 0 without sums.
TF_STYLEGAN_API int64_t tf_stylegan_fused_bias_act_workspace(const tf_stylegan_fused_bias_act* p);

// Returns TF_STYLEGAN_OK or another code of common.h. Sums do not depend on the number of threads.
TF_STYLEGAN_API int tf_stylegan_fused_bias_act_cpu(const tf_stylegan_fused_bias_act* p, const tf_stylegan_threads* threads);

// Launches on a CUDA stream (a cudaStream_t) and returns a cudaError_t; all pointers are the device's.
TF_STYLEGAN_API int tf_stylegan_fused_bias_act_cuda(const tf_stylegan_fused_bias_act* p, void* stream);
TF_STYLEGAN_API int64_t tf_stylegan_fused_bias_act_cuda_workspace(const tf_stylegan_fused_bias_act* p);

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // TF_STYLEGAN_KERNELS_FUSED_BIAS_ACT_H_
