// The nine activations and their derivatives, for one vector of the CPU kernels.
#ifndef TF_STYLEGAN_KERNELS_ACTIVATIONS_H_
#define TF_STYLEGAN_KERNELS_ACTIVATIONS_H_

#include "fused_bias_act.h"
#include "simd.h"

static const double kSeluScale = 1.0507009873554804934193349852946, kSeluAlpha = 1.6732632423543772848170429916717;

template <typename V>
SIMD_INLINE V sigmoid(V x) {
  return 1 / (1 + vexp(-x));
}

// The numbers of a call, spread over vectors' elements by the compiler.
template <typename S>
struct Settings {
  S alpha, gain, clamp;
  S undo_gain;  // 1 / gain
};

// act(x)
template <int act, typename V, typename S>
SIMD_INLINE V activate(V x, const Settings<S>& s) {
  const V negative = x < 0 ? x : V{};
  switch (act) {
    case TF_STYLEGAN_RELU:
      return x > 0 ? x : x != x ? x : V{};
    case TF_STYLEGAN_LRELU:
      return x > 0 ? x : x * s.alpha;
    case TF_STYLEGAN_TANH:
      return vtanh(x);
    case TF_STYLEGAN_SIGMOID:
      return sigmoid(x);
    case TF_STYLEGAN_ELU:
      return x < 0 ? vexpm1_negative(negative) : x;
    case TF_STYLEGAN_SELU:
      return x < 0 ? vexpm1_negative(negative) * S(kSeluScale * kSeluAlpha) : x * S(kSeluScale);
    case TF_STYLEGAN_SOFTPLUS:
      return vlog1p(vexp(-vabs(x))) + (x > 0 ? x : x != x ? x : V{});
    case TF_STYLEGAN_SWISH:
      return x * sigmoid(x);
  }
  return x;
}

// act'(x) from a = act(x); for swish from a = x.
template <int act, typename V, typename S>
SIMD_INLINE V slope(V a, const Settings<S>& s) {
  switch (act) {
    case TF_STYLEGAN_RELU:
      return a > 0 ? splat(S(1)) : V{};
    case TF_STYLEGAN_LRELU:
      return a > 0 ? splat(S(1)) : splat(s.alpha);
    case TF_STYLEGAN_TANH:
      return 1 - a * a;
    case TF_STYLEGAN_SIGMOID:
      return a * (1 - a);
    case TF_STYLEGAN_ELU:
      return a < 0 ? a + 1 : splat(S(1));
    case TF_STYLEGAN_SELU:
      return a < 0 ? a + S(kSeluScale * kSeluAlpha) : splat(S(kSeluScale));
    case TF_STYLEGAN_SOFTPLUS:
      return 1 - vexp(-a);
    case TF_STYLEGAN_SWISH: {
      const V y = sigmoid(a);
      return y * (1 + a * (1 - y));
    }
  }
  return splat(S(1));
}

// The derivative of slope(a).
template <int act, typename V, typename S>
SIMD_INLINE V bend(V a, const Settings<S>&) {
  switch (act) {
    case TF_STYLEGAN_TANH:
      return -2 * a;
    case TF_STYLEGAN_SIGMOID:
      return 1 - 2 * a;
    case TF_STYLEGAN_ELU:
    case TF_STYLEGAN_SELU:
      return a < 0 ? splat(S(1)) : V{};
    case TF_STYLEGAN_SOFTPLUS:
      return vexp(-a);
    case TF_STYLEGAN_SWISH: {
      const V y = sigmoid(a);
      return y * (1 - y) * (2 + a * (1 - 2 * y));
    }
  }
  return V{};
}

template <typename V, typename S>
SIMD_INLINE V cut(V y, S clamp) {
  if (clamp < 0) return y;
  y = y > clamp ? splat(clamp) : y;
  return y < -clamp ? splat(-clamp) : y;
}

// `out` of fused_bias_act.h from `in`.
template <int act, int mode, typename V, typename S>
SIMD_INLINE V transform(V in, V ref, V dy, const Settings<S>& s) {
  if (mode == 0) return cut(activate<act>(in, s) * s.gain, s.clamp);
  const bool from_x = act == TF_STYLEGAN_SWISH;
  const V a = from_x || act == TF_STYLEGAN_LINEAR ? ref : ref * s.undo_gain;
  // What is asked for is slope(a) · gain as a function of ref, and its derivative: where a is ref / gain, gains cancel.
  const V bent = mode == 2 ? bend<act>(a, s) * (from_x ? s.gain : S(1)) : V{};
  const V out = mode == 1 ? in * slope<act>(a, s) * s.gain : in * dy * bent;
  if (s.clamp < 0) return out;
  const V y = from_x ? activate<act>(ref, s) * s.gain : ref;
  return vabs(y) < s.clamp ? out : V{};
}

#endif  // TF_STYLEGAN_KERNELS_ACTIVATIONS_H_
