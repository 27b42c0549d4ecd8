// The activations of fused_bias_act on a GPU, as activations.h has them for the CPU.
#ifndef TF_STYLEGAN_KERNELS_FUSED_BIAS_ACT_CUDA_H_
#define TF_STYLEGAN_KERNELS_FUSED_BIAS_ACT_CUDA_H_

#include <math.h>

#include "cuda.h"
#include "fused_bias_act.h"

namespace {

// The numbers of a call. alpha: 1 for linear, 0 for relu.
template <typename S>
struct Settings {
  S alpha, gain, most, undo_gain;  // most: what results are cut to, infinity where they are not
  S negative;                      // alpha · gain
  int act, mode;
  bool clamped;
};

template <typename T>
Settings<typename Real<T>::type> settings_of(const tf_stylegan_fused_bias_act& p) {
  typedef typename Real<T>::type S;
  Settings<S> s = {S(p.alpha), S(p.gain), S(INFINITY), S(1) / S(p.gain), S(0), p.act, p.mode, p.clamp >= 0};
  if (p.act == TF_STYLEGAN_LINEAR) s.alpha = S(1);
  if (p.act == TF_STYLEGAN_RELU) s.alpha = S(0);
  s.negative = s.alpha * s.gain;
  if (p.clamp >= 0) {  // as it is stored, so that a stored result can be recognised as cut
    T stored;
    narrow(S(p.clamp), &stored);
    s.most = widen(stored);
  }
  return s;
}

__device__ inline float exp_of(float x) { return expf(x); }
__device__ inline double exp_of(double x) { return exp(x); }
__device__ inline float expm1_of(float x) { return expm1f(x); }
__device__ inline double expm1_of(double x) { return expm1(x); }
__device__ inline float log1p_of(float x) { return log1pf(x); }
__device__ inline double log1p_of(double x) { return log1p(x); }
__device__ inline float tanh_of(float x) { return tanhf(x); }
__device__ inline double tanh_of(double x) { return tanh(x); }
template <typename S>
__device__ inline S abs_of(S x) {
  return x < 0 ? -x : x;
}
template <typename S>
__device__ inline S sigmoid(S x) {
  return 1 / (1 + exp_of(-x));
}

#define TF_STYLEGAN_SELU_SCALE S(1.0507009873554804934193349852946)
#define TF_STYLEGAN_SELU_PRODUCT (S(1.0507009873554804934193349852946) * S(1.6732632423543772848170429916717))

// act(x); its derivative from a = act(x) (for swish from a = x); the derivative of that. `bent`: whether the activation
// is another one than linear, relu and lrelu. Which one is the same for all threads, and asking for it at run time costs
// less than a kernel for each.
template <bool bent, typename S>
__device__ inline S activate(S x, const Settings<S>& s) {
  if (!bent) return x > 0 ? x : s.alpha == 0 && x == x ? S(0) : x * s.alpha;
  switch (s.act) {
    case TF_STYLEGAN_TANH:
      return tanh_of(x);
    case TF_STYLEGAN_SIGMOID:
      return sigmoid(x);
    case TF_STYLEGAN_ELU:
      return x < 0 ? expm1_of(x) : x;
    case TF_STYLEGAN_SELU:
      return x < 0 ? expm1_of(x) * TF_STYLEGAN_SELU_PRODUCT : x * TF_STYLEGAN_SELU_SCALE;
    case TF_STYLEGAN_SOFTPLUS:
      return log1p_of(exp_of(-abs_of(x))) + (x > 0 ? x : x != x ? x : S(0));
    case TF_STYLEGAN_SWISH:
      return x * sigmoid(x);
  }
  return x;
}

template <bool bent, typename S>
__device__ inline S slope(S a, const Settings<S>& s) {
  if (!bent) return a > 0 ? S(1) : s.alpha;
  switch (s.act) {
    case TF_STYLEGAN_TANH:
      return 1 - a * a;
    case TF_STYLEGAN_SIGMOID:
      return a * (1 - a);
    case TF_STYLEGAN_ELU:
      return a < 0 ? a + 1 : S(1);
    case TF_STYLEGAN_SELU:
      return a < 0 ? a + TF_STYLEGAN_SELU_PRODUCT : TF_STYLEGAN_SELU_SCALE;
    case TF_STYLEGAN_SOFTPLUS:
      return 1 - exp_of(-a);
    case TF_STYLEGAN_SWISH: {
      const S y = sigmoid(a);
      return y * (1 + a * (1 - y));
    }
  }
  return S(1);
}

template <bool bent, typename S>
__device__ inline S bend(S a, const Settings<S>& s) {
  if (!bent) return S(0);
  switch (s.act) {
    case TF_STYLEGAN_TANH:
      return -2 * a;
    case TF_STYLEGAN_SIGMOID:
      return 1 - 2 * a;
    case TF_STYLEGAN_ELU:
    case TF_STYLEGAN_SELU:
      return a < 0 ? S(1) : S(0);
    case TF_STYLEGAN_SOFTPLUS:
      return exp_of(-a);
    case TF_STYLEGAN_SWISH: {
      const S y = sigmoid(a);
      return y * (1 - y) * (2 + a * (1 - 2 * y));
    }
  }
  return S(0);
}

// `out` of fused_bias_act.h from `in`, for any mode.
template <bool bent, typename S>
__device__ inline S transform(S in, S ref, S dy, const Settings<S>& s) {
  if (s.mode == 0) return cut(activate<bent>(in, s) * s.gain, s.most);
  const bool from_x = bent && s.act == TF_STYLEGAN_SWISH;
  const S a = from_x ? ref : ref * s.undo_gain;
  const S out = s.mode == 1 ? in * slope<bent>(a, s) * s.gain : in * dy * bend<bent>(a, s) * (from_x ? s.gain : S(1));
  if (!s.clamped) return out;
  const S y = from_x ? activate<bent>(ref, s) * s.gain : ref;
  return abs_of(y) < s.most ? out : S(0);
}

}  // namespace

#endif  // TF_STYLEGAN_KERNELS_FUSED_BIAS_ACT_CUDA_H_
