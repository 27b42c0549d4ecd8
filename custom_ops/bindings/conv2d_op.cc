// TfStylegan>Conv2d and TfStylegan>Conv2dFilterGradient: custom_ops/kernels/conv2d.h as operations of TensorFlow, CPU only.
#include "../kernels/conv2d.h"

#include "common.h"

namespace tf_stylegan {
namespace {

// [N, H, W, C] of a tensor's shape and three sizes that attributes give.
absl::Status with_sizes(InferenceContext* c, const char* height, const char* width, const char* channels) {
  ShapeHandle x;
  TF_RETURN_IF_ERROR(c->WithRank(c->input(0), 4, &x));
  int h, w, o;
  TF_RETURN_IF_ERROR(c->GetAttr(height, &h));
  TF_RETURN_IF_ERROR(c->GetAttr(width, &w));
  TF_RETURN_IF_ERROR(c->GetAttr(channels, &o));
  c->set_output(0, c->MakeShape({c->Dim(x, 0), c->MakeDim(h), c->MakeDim(w), c->MakeDim(o)}));
  return absl::OkStatus();
}

#define TF_STYLEGAN_CONV_ATTRS(op)        \
  op.Attr("T: {float, bfloat16}")         \
      .Attr("up: int >= 1 = 1")           \
      .Attr("down: int >= 1 = 1")         \
      .Attr("pad_y: int = 0")             \
      .Attr("pad_x: int = 0")             \
      .Attr("w_turned: bool = false")     \
      .Attr("w_swapped: bool = false")    \
      .Attr("has_in_scale: int >= 0 = 0") \
      .Attr("has_out_scale: int >= 0 = 0")

TF_STYLEGAN_CONV_ATTRS(REGISTER_OP("TfStylegan>Conv2d")
                           .Input("x: T")
                           .Input("w: float")
                           .Input("strength: float")
                           .Input("in_scale: has_in_scale * float")
                           .Input("out_scale: has_out_scale * float")
                           .Input("b: has_b * float")
                           .Input("noise: has_noise * float")
                           .Output("y: T"))
    .Attr("has_b: int >= 0 = 0")
    .Attr("has_noise: int >= 0 = 0")
    .Attr("out_h: int >= 0")
    .Attr("out_w: int >= 0")
    .Attr("out_c: int >= 0")
    .Attr("fir: list(float) = []")
    .Attr("fir_h: int >= 0 = 0")
    .Attr("fir_w: int >= 0 = 0")
    .Attr("fir_pad_y: int = 0")
    .Attr("fir_pad_x: int = 0")
    .Attr("mid_h: int >= 0 = 0")
    .Attr("mid_w: int >= 0 = 0")
    .Attr("alpha: float = 1.0")
    .Attr("gain: float = 1.0")
    .Attr("clamp: float = -1.0")
    .SetShapeFn([](InferenceContext* c) { return with_sizes(c, "out_h", "out_w", "out_c"); })
    .Doc("Convolution of x [N, H, W, I] * in_scale [N, I] with w, then a FIR filter, out_scale [N, O], b [O], "
         "noise * strength, leaky ReLU (slope alpha), gain and clamp, in one pass: see custom_ops/README.md.");

TF_STYLEGAN_CONV_ATTRS(REGISTER_OP("TfStylegan>Conv2dFilterGradient")
                           .Input("x: T")
                           .Input("dy: T")
                           .Input("in_scale: has_in_scale * float")
                           .Input("out_scale: has_out_scale * float")
                           .Output("dw: float"))
    .Attr("kh: int >= 1")
    .Attr("kw: int >= 1")
    .SetShapeFn([](InferenceContext* c) {
      ShapeHandle x, dy;
      TF_RETURN_IF_ERROR(c->WithRank(c->input(0), 4, &x));
      TF_RETURN_IF_ERROR(c->WithRank(c->input(1), 4, &dy));
      int kh, kw;
      bool swapped;
      TF_RETURN_IF_ERROR(c->GetAttr("kh", &kh));
      TF_RETURN_IF_ERROR(c->GetAttr("kw", &kw));
      TF_RETURN_IF_ERROR(c->GetAttr("w_swapped", &swapped));
      const DimensionHandle in = c->Dim(x, 3), out = c->Dim(dy, 3);
      c->set_output(0, c->MakeShape({c->MakeDim(kh), c->MakeDim(kw), swapped ? out : in, swapped ? in : out}));
      return absl::OkStatus();
    })
    .Doc("The gradient of the sum of TfStylegan>Conv2d(x, w) * dy * out_scale, without filter and the rest, with "
         "respect to w.");

// Attributes and the two scales, which both operations have.
template <typename Params>
class ConvOp : public OpKernel {
 public:
  explicit ConvOp(OpKernelConstruction* context) : OpKernel(context) {
    OP_REQUIRES_OK(context, check_optional(context, {"in_scale", "out_scale"}));
    int up, down, pad_y, pad_x;
    bool turned, swapped;
    OP_REQUIRES_OK(context, context->GetAttr("up", &up));
    OP_REQUIRES_OK(context, context->GetAttr("down", &down));
    OP_REQUIRES_OK(context, context->GetAttr("pad_y", &pad_y));
    OP_REQUIRES_OK(context, context->GetAttr("pad_x", &pad_x));
    OP_REQUIRES_OK(context, context->GetAttr("w_turned", &turned));
    OP_REQUIRES_OK(context, context->GetAttr("w_swapped", &swapped));
    attrs_.up = up, attrs_.down = down, attrs_.pad_y = pad_y, attrs_.pad_x = pad_x;
    attrs_.w_turned = turned, attrs_.w_swapped = swapped;
  }

 protected:
  // Fills in a list of none or one tensor of float32 and a certain number of elements.
  absl::Status take(OpKernelContext* context, const char* name, int64_t count, const float** target) const {
    const Tensor* tensor = optional_input(context, name);
    if (!tensor) return absl::OkStatus();
    if (tensor->NumElements() != count) {
      return InvalidArgument("Conv2d: ", name, " must have ", count, " numbers, got ", tensor->shape().DebugString());
    }
    *target = tensor->flat<float>().data();
    return absl::OkStatus();
  }

  Params attrs_{};
};

class Conv2dOp : public ConvOp<tf_stylegan_conv2d> {
 public:
  explicit Conv2dOp(OpKernelConstruction* context) : ConvOp(context) {
    OP_REQUIRES_OK(context, check_optional(context, {"b", "noise"}));
    int v[9];
    const char* names[9] = {"out_h", "out_w", "out_c", "fir_h", "fir_w", "fir_pad_y", "fir_pad_x", "mid_h", "mid_w"};
    for (int i = 0; i < 9; ++i) OP_REQUIRES_OK(context, context->GetAttr(names[i], v + i));
    auto& p = attrs_;
    p.out_h = v[0], p.out_w = v[1], p.out_c = v[2], p.fir_h = v[3], p.fir_w = v[4];
    p.fir_pad_y = v[5], p.fir_pad_x = v[6], p.mid_h = v[7], p.mid_w = v[8];
    float alpha, gain, clamp;
    OP_REQUIRES_OK(context, context->GetAttr("alpha", &alpha));
    OP_REQUIRES_OK(context, context->GetAttr("gain", &gain));
    OP_REQUIRES_OK(context, context->GetAttr("clamp", &clamp));
    OP_REQUIRES_OK(context, context->GetAttr("fir", &fir_));
    OP_REQUIRES(context, static_cast<int64_t>(fir_.size()) == int64_t{p.fir_h} * p.fir_w,
                InvalidArgument("Conv2d: fir has ", fir_.size(), " numbers, not ", p.fir_h, " x ", p.fir_w));
    p.alpha = alpha, p.gain = gain, p.clamp = clamp;
    p.act = alpha == 1 ? TF_STYLEGAN_LINEAR : alpha == 0 ? TF_STYLEGAN_RELU : TF_STYLEGAN_LRELU;
    p.fir = fir_.empty() ? nullptr : fir_.data();
  }

  void Compute(OpKernelContext* context) override {
    tf_stylegan_conv2d p = attrs_;
    const Tensor &x = context->input(0), &w = context->input(1), &strength = context->input(2);
    OP_REQUIRES(context, x.dims() == 4, InvalidArgument("Conv2d: x must be [N, H, W, C], got ", x.shape().DebugString()));
    OP_REQUIRES(context, w.dims() == 4, InvalidArgument("Conv2d: w must be of rank 4, got ", w.shape().DebugString()));
    p.n = x.dim_size(0), p.in_h = x.dim_size(1), p.in_w = x.dim_size(2), p.in_c = x.dim_size(3);
    p.kh = w.dim_size(0), p.kw = w.dim_size(1);
    OP_REQUIRES(context, w.dim_size(p.w_swapped ? 3 : 2) == p.in_c && w.dim_size(p.w_swapped ? 2 : 3) == p.out_c,
                InvalidArgument("Conv2d: w ", w.shape().DebugString(), " does not fit ", p.in_c, " channels in and ",
                                p.out_c, " out"));
    OP_REQUIRES(context, strength.NumElements() == 1, InvalidArgument("Conv2d: strength must be a scalar"));
    OP_REQUIRES_OK(context, take(context, "in_scale", p.n * p.in_c, &p.in_scale));
    OP_REQUIRES_OK(context, take(context, "out_scale", p.n * p.out_c, &p.out_scale));
    OP_REQUIRES_OK(context, take(context, "b", p.out_c, &p.b));
    const Tensor* noise = optional_input(context, "noise");
    p.noise_n = 1;
    if (noise) {
      const int64_t map = p.out_h * p.out_w;
      p.noise_n = map ? noise->NumElements() / map : 1;
      OP_REQUIRES(context, noise->NumElements() == p.noise_n * map && (p.noise_n == 1 || p.noise_n == p.n),
                  InvalidArgument("Conv2d: noise must be [1 or N, H', W', 1], got ", noise->shape().DebugString()));
      p.noise = noise->flat<float>().data();
    }
    p.strength = strength.flat<float>().data();
    TensorShape shape;
    OP_REQUIRES_OK(context, TensorShape::BuildTensorShape({p.n, p.out_h, p.out_w, p.out_c}, &shape));
    Tensor* y;
    OP_REQUIRES_OK(context, context->allocate_output(0, shape, &y));
    if (y->NumElements() == 0) return;
    p.dtype = dtype_code(x.dtype()), p.thread_count = thread_count(context);
    p.x = x.data(), p.w = w.flat<float>().data(), p.y = y->data();
    const tf_stylegan_threads threads = threads_of(context);
    OP_REQUIRES_OK(context, cpu_status("Conv2d", tf_stylegan_conv2d_cpu(&p, &threads)));
  }

 private:
  std::vector<float> fir_;
};

class Conv2dFilterGradientOp : public ConvOp<tf_stylegan_conv2d_filter_gradient> {
 public:
  explicit Conv2dFilterGradientOp(OpKernelConstruction* context) : ConvOp(context) {
    OP_REQUIRES_OK(context, context->GetAttr("kh", &attrs_.kh));
    OP_REQUIRES_OK(context, context->GetAttr("kw", &attrs_.kw));
  }

  void Compute(OpKernelContext* context) override {
    tf_stylegan_conv2d_filter_gradient p = attrs_;
    const Tensor &x = context->input(0), &dy = context->input(1);
    OP_REQUIRES(context, x.dims() == 4 && dy.dims() == 4 && x.dim_size(0) == dy.dim_size(0),
                InvalidArgument("Conv2dFilterGradient: x and dy must be [N, H, W, C] of as many samples, got ",
                                x.shape().DebugString(), " and ", dy.shape().DebugString()));
    p.n = x.dim_size(0), p.in_h = x.dim_size(1), p.in_w = x.dim_size(2), p.in_c = x.dim_size(3);
    p.out_h = dy.dim_size(1), p.out_w = dy.dim_size(2), p.out_c = dy.dim_size(3);
    OP_REQUIRES_OK(context, take(context, "in_scale", p.n * p.in_c, &p.in_scale));
    OP_REQUIRES_OK(context, take(context, "out_scale", p.n * p.out_c, &p.out_scale));
    TensorShape shape;
    OP_REQUIRES_OK(context, TensorShape::BuildTensorShape(
                                {p.kh, p.kw, p.w_swapped ? p.out_c : p.in_c, p.w_swapped ? p.in_c : p.out_c}, &shape));
    Tensor* dw;
    OP_REQUIRES_OK(context, context->allocate_output(0, shape, &dw));
    if (dw->NumElements() == 0) return;
    p.dtype = dtype_code(x.dtype()), p.thread_count = thread_count(context);
    p.x = x.data(), p.dy = dy.data(), p.dw = dw->flat<float>().data();
    const tf_stylegan_threads threads = threads_of(context);
    const int code = tf_stylegan_conv2d_filter_gradient_cpu(&p, &threads);
    OP_REQUIRES_OK(context, cpu_status("Conv2dFilterGradient", code));
  }
};

#define TF_STYLEGAN_CPU(T)                                                                                  \
  REGISTER_KERNEL_BUILDER(Name("TfStylegan>Conv2d").Device(tensorflow::DEVICE_CPU).TypeConstraint<T>("T"), Conv2dOp); \
  REGISTER_KERNEL_BUILDER(                                                                                  \
      Name("TfStylegan>Conv2dFilterGradient").Device(tensorflow::DEVICE_CPU).TypeConstraint<T>("T"), Conv2dFilterGradientOp);
TF_STYLEGAN_CPU(float)
TF_STYLEGAN_CPU(Eigen::bfloat16)

}  // namespace
}  // namespace tf_stylegan
