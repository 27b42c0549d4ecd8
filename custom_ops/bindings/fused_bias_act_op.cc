// TfStylegan>FusedBiasAct: custom_ops/kernels/fused_bias_act.h as an operation of TensorFlow.
#include "../kernels/fused_bias_act.h"

#include <string.h>

#include "common.h"
#ifndef TF_STYLEGAN_BUILT_FOR
#include "custom_ops/bindings/built_for.h"  // made by Bazel
#endif

// Read by the loader before it lets TensorFlow open the library.
extern "C" __attribute__((visibility("default"), used)) const char tf_stylegan_built_for[] =
    "TF_STYLEGAN_BUILT_FOR{" TF_STYLEGAN_BUILT_FOR "}";

namespace tf_stylegan {
namespace {

REGISTER_OP("TfStylegan>FusedBiasAct")
    .Input("x: T")
    .Input("strength: U")  // before the lists: an empty list cannot say what U is
    .Input("ref: has_ref * T")
    .Input("dy: has_dy * T")
    .Input("aux: has_aux * T")
    .Input("scale: has_scale * U")
    .Input("post_scale: has_post_scale * U")
    .Input("b: has_b * U")
    .Input("noise: has_noise * U")
    .Output("y: T")
    .Output("sum_rows: U")
    .Output("sum_channels: U")
    .Output("sum_aux: U")
    .Attr("T: {float, bfloat16, half, double}")
    .Attr("U: {float, double}")
    .Attr("has_ref: int >= 0")
    .Attr("has_dy: int >= 0")
    .Attr("has_aux: int >= 0")
    .Attr("has_scale: int >= 0")
    .Attr("has_post_scale: int >= 0")
    .Attr("has_b: int >= 0")
    .Attr("has_noise: int >= 0")
    .Attr("act: {'linear', 'relu', 'lrelu', 'tanh', 'sigmoid', 'elu', 'selu', 'softplus', 'swish'}")
    .Attr("mode: int >= 0 = 0")
    .Attr("alpha: float = 0.2")
    .Attr("gain: float = 1.0")
    .Attr("clamp: float = -1.0")
    .Attr("want_sum_rows: bool = false")
    .Attr("want_sum_channels: bool = false")
    .SetShapeFn([](InferenceContext* c) {
      ShapeHandle x, rows;
      bool want_rows, want_channels;
      int has_aux;
      TF_RETURN_IF_ERROR(c->WithRankAtLeast(c->input(0), 1, &x));
      TF_RETURN_IF_ERROR(c->GetAttr("want_sum_rows", &want_rows));
      TF_RETURN_IF_ERROR(c->GetAttr("want_sum_channels", &want_channels));
      TF_RETURN_IF_ERROR(c->GetAttr("has_aux", &has_aux));
      const ShapeHandle none = c->Vector(0);
      for (int i = 0; i < 4; ++i) c->set_output(i, none);
      c->set_output(0, x);
      if (want_rows) c->set_output(1, c->Vector(c->Dim(x, -1)));
      if (want_channels) {
        TF_RETURN_IF_ERROR(c->Subshape(x, 0, -1, &rows));
        c->set_output(2, rows);
      }
      if (has_aux) c->set_output(3, c->Matrix(c->Dim(x, 0), c->Dim(x, -1)));
      return absl::OkStatus();
    })
    .Doc("One pass over x [N, ..., C]: scale, noise, bias, activation, gain and clamp (mode 0) or what their first (1) "
         "and second (2) order gradients need; sums that were not asked for are empty. See custom_ops/README.md.");

const char* const kActivations[] = {"linear", "relu", "lrelu", "tanh", "sigmoid", "elu", "selu", "softplus", "swish"};

template <bool gpu>
class FusedBiasActOp : public OpKernel {
 public:
  explicit FusedBiasActOp(OpKernelConstruction* context) : OpKernel(context) {
    OP_REQUIRES_OK(context,
                   check_optional(context, {"ref", "dy", "aux", "scale", "post_scale", "b", "noise"}));
    std::string act;
    float alpha, gain, clamp;
    OP_REQUIRES_OK(context, context->GetAttr("act", &act));
    OP_REQUIRES_OK(context, context->GetAttr("mode", &attrs_.mode));
    OP_REQUIRES_OK(context, context->GetAttr("alpha", &alpha));
    OP_REQUIRES_OK(context, context->GetAttr("gain", &gain));
    OP_REQUIRES_OK(context, context->GetAttr("clamp", &clamp));
    OP_REQUIRES_OK(context, context->GetAttr("want_sum_rows", &want_rows_));
    OP_REQUIRES_OK(context, context->GetAttr("want_sum_channels", &want_channels_));
    attrs_.alpha = alpha, attrs_.gain = gain, attrs_.clamp = clamp;
    while (act != kActivations[attrs_.act]) ++attrs_.act;
  }

  void Compute(OpKernelContext* context) override {
    const Tensor& x = context->input(0);
    const Tensor *ref = optional_input(context, "ref"), *dy = optional_input(context, "dy");
    const Tensor *aux = optional_input(context, "aux"), *scale = optional_input(context, "scale");
    const Tensor *post_scale = optional_input(context, "post_scale"), *b = optional_input(context, "b");
    const Tensor *noise = optional_input(context, "noise"), *strength = &context->input(1);
    OP_REQUIRES(context, x.dims() >= 1, InvalidArgument("FusedBiasAct: x must have channels"));
    for (const Tensor* like : {ref, dy, aux}) {
      OP_REQUIRES(context, !like || like->shape() == x.shape(),
                  InvalidArgument("FusedBiasAct: ref, dy and aux must be ", x.shape().DebugString(), ", got ",
                                  like ? like->shape().DebugString() : ""));
    }
    const tensorflow::DataType real = parameter_dtype(x.dtype());
    for (const Tensor* tensor : {scale, post_scale, b, noise, strength}) {
      OP_REQUIRES(context, !tensor || tensor->dtype() == real,
                  InvalidArgument("FusedBiasAct: scales, b, noise and strength must be ", DataTypeString(real)));
    }
    tf_stylegan_fused_bias_act p = attrs_;
    const int64_t n = x.dim_size(0);
    p.c = x.dim_size(x.dims() - 1);
    p.rows = p.c ? x.NumElements() / p.c : 0;
    const bool samples = x.dims() > 1;  // of a vector, the one axis is that of the channels
    p.rows_per_sample = samples && n ? p.rows / n : p.rows;
    p.noise_rows = noise ? noise->NumElements() : 0;
    OP_REQUIRES(context, !b || b->NumElements() == p.c,
                InvalidArgument("FusedBiasAct: b must be [", p.c, "], got ", b ? b->shape().DebugString() : ""));
    for (const Tensor* tensor : {scale, post_scale}) {
      OP_REQUIRES(context, !tensor || (samples && tensor->NumElements() == n * p.c),
                  InvalidArgument("FusedBiasAct: scales must be [", n, ", ", p.c, "]"));
    }
    OP_REQUIRES(context, !noise || p.rows == 0 || p.noise_rows == p.rows || p.noise_rows == p.rows_per_sample,
                InvalidArgument("FusedBiasAct: noise must have one number for each pixel of the batch or of a sample, ",
                                p.rows, " or ", p.rows_per_sample, ", got ", p.noise_rows));
    OP_REQUIRES(context, strength->NumElements() == 1,
                InvalidArgument("FusedBiasAct: strength must be a scalar"));

    std::vector<int> reusable = {0};
    if (ref) reusable.push_back(2);
    if (dy) reusable.push_back(ref ? 3 : 2);
    Tensor* outputs[4];
    OP_REQUIRES_OK(context, context->forward_input_or_allocate_output(reusable, 0, x.shape(), &outputs[0]));
    // Of an x without elements even these may have more than can be counted.
    const auto sizes = x.shape().dim_sizes();
    TensorShape pixels, per_sample;
    OP_REQUIRES_OK(context, TensorShape::BuildTensorShape(absl::MakeSpan(sizes).subspan(0, sizes.size() - 1), &pixels));
    OP_REQUIRES_OK(context, TensorShape::BuildTensorShape({n, p.c}, &per_sample));
    const TensorShape none({0});
    const bool want_aux = aux != nullptr;
    OP_REQUIRES_OK(context, context->allocate_output(1, want_rows_ ? TensorShape({p.c}) : none, &outputs[1]));
    OP_REQUIRES_OK(context, context->allocate_output(2, want_channels_ ? pixels : none, &outputs[2]));
    OP_REQUIRES_OK(context, context->allocate_output(3, want_aux ? per_sample : none, &outputs[3]));

    p.dtype = dtype_code(x.dtype());
    p.x = x.data(), p.ref = data_of(ref), p.dy = data_of(dy), p.aux = data_of(aux);
    p.y = outputs[0]->data();
    p.scale = data_of(scale), p.post_scale = data_of(post_scale);
    p.b = data_of(b), p.noise = data_of(noise), p.strength = data_of(strength);
    if (want_rows_) p.sum_rows = outputs[1]->data();
    if (want_channels_) p.sum_channels = outputs[2]->data();
    if (want_aux) p.sum_aux = outputs[3]->data();
    if (x.NumElements() > 0) {
      run(context, p);
    } else {
      for (int i = 1; i < 4; ++i) fill_with_zeros(context, outputs[i]);  // sums of nothing
    }
  }

 private:
  void fill_with_zeros(OpKernelContext* context, Tensor* tensor) {
    if (tensor->TotalBytes() == 0) return;
#ifdef TF_STYLEGAN_CUDA
    if (gpu) {
      const int code = tf_stylegan_cuda_zero(tensor->data(), tensor->TotalBytes(), stream_of(context));
      OP_REQUIRES_OK(context, cuda_status("FusedBiasAct", code));
      return;
    }
#endif
    memset(tensor->data(), 0, tensor->TotalBytes());
  }

  void run(OpKernelContext* context, tf_stylegan_fused_bias_act p) {
    Tensor workspace;
#ifdef TF_STYLEGAN_CUDA
    if (gpu) {
      const int64_t bytes = tf_stylegan_fused_bias_act_cuda_workspace(&p);
      OP_REQUIRES_OK(context, context->allocate_temp(tensorflow::DT_UINT8, TensorShape({bytes}), &workspace));
      p.workspace = workspace.data();
      OP_REQUIRES_OK(context, cuda_status("FusedBiasAct", tf_stylegan_fused_bias_act_cuda(&p, stream_of(context))));
      return;
    }
#endif
    const int64_t bytes = tf_stylegan_fused_bias_act_workspace(&p);
    OP_REQUIRES_OK(context, context->allocate_temp(tensorflow::DT_UINT8, TensorShape({bytes}), &workspace));
    p.workspace = workspace.data();
    const tf_stylegan_threads threads = threads_of(context);
    OP_REQUIRES_OK(context, cpu_status("FusedBiasAct", tf_stylegan_fused_bias_act_cpu(&p, &threads)));
  }

  tf_stylegan_fused_bias_act attrs_{};
  bool want_rows_ = false, want_channels_ = false;
};

#define TF_STYLEGAN_CPU(T)                                                                            \
  REGISTER_KERNEL_BUILDER(                                                                            \
      Name("TfStylegan>FusedBiasAct").Device(tensorflow::DEVICE_CPU).TypeConstraint<T>("T"), FusedBiasActOp<false>);
TF_STYLEGAN_CPU(float)
TF_STYLEGAN_CPU(double)
TF_STYLEGAN_CPU(Eigen::half)
TF_STYLEGAN_CPU(Eigen::bfloat16)

#ifdef TF_STYLEGAN_CUDA
#define TF_STYLEGAN_GPU(T)                                                                            \
  REGISTER_KERNEL_BUILDER(                                                                            \
      Name("TfStylegan>FusedBiasAct").Device(tensorflow::DEVICE_GPU).TypeConstraint<T>("T"), FusedBiasActOp<true>);
TF_STYLEGAN_GPU(float)
TF_STYLEGAN_GPU(double)
TF_STYLEGAN_GPU(Eigen::half)
TF_STYLEGAN_GPU(Eigen::bfloat16)
#endif

}  // namespace
}  // namespace tf_stylegan
