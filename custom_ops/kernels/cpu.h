// How one source becomes one function per instruction set: it is compiled once for each with TF_STYLEGAN_ISA defined as
// base, avx2 or avx512, and `base` brings the function that chooses.
#ifndef TF_STYLEGAN_KERNELS_CPU_H_
#define TF_STYLEGAN_KERNELS_CPU_H_

#include "common.h"

#ifndef TF_STYLEGAN_ISA
#define TF_STYLEGAN_ISA base
#define TF_STYLEGAN_IS_BASE 1
#endif

#define TF_STYLEGAN_JOIN2(a, b) a##_##b
#define TF_STYLEGAN_JOIN(a, b) TF_STYLEGAN_JOIN2(a, b)
// fused_bias_act_cpu -> fused_bias_act_cpu_avx2
#define TF_STYLEGAN_FOR_ISA(name) TF_STYLEGAN_JOIN(name, TF_STYLEGAN_ISA)

#if defined(__x86_64__)
#define TF_STYLEGAN_CHOOSE(isa, name, ...)                                                     \
  ((isa) == TF_STYLEGAN_ISA_AVX512 ? name##_avx512(__VA_ARGS__)                                \
                                   : (isa) == TF_STYLEGAN_ISA_AVX2 ? name##_avx2(__VA_ARGS__) \
                                                                   : name##_base(__VA_ARGS__))
#else
#define TF_STYLEGAN_CHOOSE(isa, name, ...) name##_base(__VA_ARGS__)
#endif

// Where input and result together are at least this many bytes, the result is stored past the caches: it would not stay
// there anyway, and the processor need not read what it is going to overwrite.
static const int64_t kStreamBytes = int64_t(40) << 20;

// The ISA code that the environment's TF_STYLEGAN_MAX_ISA (base, avx2, avx512) allows at most; kNoLimit without it, and
// only then AMX and the dot products of AVX512_BF16 are used.
enum { kNoLimit = TF_STYLEGAN_ISA_AVX512 + 1 };
int cpu_limit(void);

// AUTO becomes the best; what the machine lacks becomes −1.
static inline int resolve_isa(int isa) {
  const int best = tf_stylegan_best_isa();
  return isa == TF_STYLEGAN_ISA_AUTO ? best : isa < TF_STYLEGAN_ISA_AUTO || isa > best ? -1 : isa;
}

static inline void run_parallel(const tf_stylegan_threads* threads, int64_t total, int64_t cost, tf_stylegan_work work,
                                void* arg) {
  if (total <= 0) return;
  if (threads && threads->parallel_for && total > 1) {
    threads->parallel_for(threads->context, total, cost, work, arg);
  } else {
    work(arg, 0, total);
  }
}

#endif  // TF_STYLEGAN_KERNELS_CPU_H_
