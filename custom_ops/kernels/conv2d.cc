// Convolutions on a CPU: the choice of what multiplies. conv2d_worker.h has the work.
#include "conv2d.h"

#include "conv2d_fma.h"
#include "conv2d_units.h"
#include "conv2d_worker.h"
#include "cpu.h"

int TF_STYLEGAN_FOR_ISA(conv2d_cpu)(const tf_stylegan_conv2d* p, const tf_stylegan_threads* threads) {
  return p->dtype == TF_STYLEGAN_FLOAT32 ? run<float>(*p, FmaUnit(), threads) : run<bfloat16>(*p, FmaUnit(), threads);
}

#ifdef TF_STYLEGAN_IS_BASE

typedef tf_stylegan_conv2d Params;

int conv2d_cpu_avx2(const Params* p, const tf_stylegan_threads* threads);
int conv2d_cpu_avx512(const Params* p, const tf_stylegan_threads* threads);

static int check(const Params* p) {
  const int64_t far = kFar, taps = TF_STYLEGAN_CONV_MAX_TAPS;
  if (p->n < 0 || p->in_h < 0 || p->in_w < 0 || p->in_c < 0 || p->out_h < 0 || p->out_w < 0 || p->out_c < 0 ||
      !within(1, p->kh, taps) || !within(1, p->kw, taps) || !within(1, p->up, 2) || !within(1, p->down, 2) ||
      p->up + p->down == 4 || !within(-far, p->pad_y, far) || !within(-far, p->pad_x, far) ||
      (p->dtype != TF_STYLEGAN_FLOAT32 && p->dtype != TF_STYLEGAN_BFLOAT16) ||
      !conv2d_has_unit(p->dtype, p->unit) || !within(TF_STYLEGAN_LINEAR, p->act, TF_STYLEGAN_LRELU)) {
    return TF_STYLEGAN_BAD_ARGUMENT;
  }
  if (p->fir && (!within(1, p->fir_h, taps) || !within(1, p->fir_w, taps) || !within(-far, p->fir_pad_y, far) ||
                 !within(-far, p->fir_pad_x, far) || p->mid_h < 0 || p->mid_w < 0)) {
    return TF_STYLEGAN_BAD_ARGUMENT;
  }
  if (!countable(p->n, at_least(p->in_h, 1), at_least(p->in_w, 1), p->in_c) || p->in_h > far || p->in_w > far ||
      !countable(p->n, at_least(p->out_h, 1), at_least(p->out_w, 1), p->out_c) || p->out_h > far || p->out_w > far ||
      !countable(p->kh, p->kw, p->in_c, p->out_c) || (p->fir && (p->mid_h > far || p->mid_w > far))) {
    return TF_STYLEGAN_TOO_LARGE;
  }
  const bool input = p->n && p->in_h && p->in_w && p->in_c, output = p->n && p->out_h && p->out_w && p->out_c;
  if ((output && (!p->y || (p->in_c && !p->w) || (input && !p->x))) || (p->noise && p->noise_n != 1 && p->noise_n != p->n)) {
    return TF_STYLEGAN_BAD_ARGUMENT;
  }
  return TF_STYLEGAN_OK;
}

bool conv2d_has_unit(int dtype, int unit) {
  return within(TF_STYLEGAN_CONV_AUTO, unit, TF_STYLEGAN_CONV_AMX) &&
         (unit != TF_STYLEGAN_CONV_DOT || dtype == TF_STYLEGAN_BFLOAT16);
}

// Few channels fill AMX's tiles badly, and memory is the limit anyway.
int conv2d_choose_unit(int dtype, int isa, int unit, int64_t in_c, int64_t out_c) {
  const int units = isa == TF_STYLEGAN_ISA_AVX512 ? conv2d_bfloat16_units() : 0;
  const bool amx = units >> TF_STYLEGAN_CONV_AMX & 1, dot = units >> TF_STYLEGAN_CONV_DOT & 1;
  if (unit == TF_STYLEGAN_CONV_AUTO) {
    if (amx && in_c >= 16 && out_c >= 8) return TF_STYLEGAN_CONV_AMX;
    return dot && dtype == TF_STYLEGAN_BFLOAT16 && in_c >= 16 ? TF_STYLEGAN_CONV_DOT : TF_STYLEGAN_CONV_FMA;
  }
  return unit == TF_STYLEGAN_CONV_FMA || (units >> unit & 1) ? unit : -1;
}

extern "C" int tf_stylegan_conv2d_unit(int dtype, int isa) {
  isa = resolve_isa(isa);
  return isa < 0 ? TF_STYLEGAN_CONV_FMA : conv2d_choose_unit(dtype, isa, TF_STYLEGAN_CONV_AUTO, 64, 64);
}

extern "C" int tf_stylegan_conv2d_cpu(const Params* p, const tf_stylegan_threads* threads) {
  const int error = check(p), isa = resolve_isa(p->isa);
  if (error) return error;
  if (isa < 0) return TF_STYLEGAN_NO_SUCH_ISA;
  if (p->n == 0 || p->out_h == 0 || p->out_w == 0 || p->out_c == 0) return TF_STYLEGAN_OK;
  const int unit = conv2d_choose_unit(p->dtype, isa, p->unit, p->in_c, p->out_c);
  if (unit < 0) return TF_STYLEGAN_NO_SUCH_ISA;
  if (unit != TF_STYLEGAN_CONV_FMA) return conv2d_cpu_bfloat16(p, threads, unit);
  return TF_STYLEGAN_CHOOSE(isa, conv2d_cpu, p, threads);
}

#endif  // TF_STYLEGAN_IS_BASE
