// What conv2d.cc, conv2d_gradient.cc and conv2d_bfloat16.cc know of each other.
#ifndef TF_STYLEGAN_KERNELS_CONV2D_UNITS_H_
#define TF_STYLEGAN_KERNELS_CONV2D_UNITS_H_

#include "conv2d.h"

// Whether `unit` is one of TF_STYLEGAN_CONV_… that takes images of type `dtype`.
bool conv2d_has_unit(int dtype, int unit);

// What multiplies in a call, one of TF_STYLEGAN_CONV_…; negative if the machine lacks what is asked for.
int conv2d_choose_unit(int dtype, int isa, int unit, int64_t in_c, int64_t out_c);

// The machine's bfloat16 units, as bits 1 << TF_STYLEGAN_CONV_…; 0 where the compiler did not know them.
int conv2d_bfloat16_units(void);

int conv2d_cpu_bfloat16(const tf_stylegan_conv2d* p, const tf_stylegan_threads* threads, int unit);
int conv2d_filter_gradient_cpu_bfloat16(const tf_stylegan_conv2d_filter_gradient* p, const tf_stylegan_threads* threads,
                                        int unit);

#endif  // TF_STYLEGAN_KERNELS_CONV2D_UNITS_H_
