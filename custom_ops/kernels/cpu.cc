// What the CPU kernels stand on: the machine's instruction set and the words for error codes.
#include "cpu.h"

#include <stdlib.h>
#include <string.h>

static int find_limit() {
  const char* name = getenv("TF_STYLEGAN_MAX_ISA");
  if (!name || !strcmp(name, "")) return kNoLimit;
  if (!strcmp(name, "avx512")) return TF_STYLEGAN_ISA_AVX512;
  if (!strcmp(name, "avx2")) return TF_STYLEGAN_ISA_AVX2;
  if (!strcmp(name, "base")) return TF_STYLEGAN_ISA_BASE;
  return kNoLimit;
}

int cpu_limit(void) {
  static const int limit = find_limit();
  return limit;
}

static int find_best() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return TF_STYLEGAN_ISA_BASE;
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  return avx512 ? TF_STYLEGAN_ISA_AVX512 : TF_STYLEGAN_ISA_AVX2;
#else
  return TF_STYLEGAN_ISA_BASE;
#endif
}

extern "C" int tf_stylegan_best_isa(void) {
  static const int best = find_best();
  return best < cpu_limit() ? best : cpu_limit();
}

extern "C" const char* tf_stylegan_error(int code) {
  switch (code) {
    case TF_STYLEGAN_OK:
      return "no error";
    case TF_STYLEGAN_BAD_ARGUMENT:
      return "an argument is out of range";
    case TF_STYLEGAN_TOO_LARGE:
      return "the tensor has more elements than can be counted";
    case TF_STYLEGAN_NO_MEMORY:
      return "out of memory";
    case TF_STYLEGAN_NO_SUCH_ISA:
      return "this machine lacks the instruction set asked for";
  }
  return "unknown error";
}
