// TfStylegan>Upfirdn2d and TfStylegan>Upfirdn2dAct: custom_ops/kernels/upfirdn_2d.h as operations of TensorFlow.
#include "../kernels/upfirdn_2d.h"

#include "common.h"

namespace tf_stylegan {
namespace {

// (size · up + before + after − taps) / down + 1, at least 0.
int64_t out_size(int64_t size, int64_t up, int64_t before, int64_t after, int64_t taps, int64_t down) {
  const int64_t rest = size * up + before + after - taps;
  return rest < 0 ? 0 : rest / down + 1;
}

absl::Status get_ints(InferenceContext* c, const std::vector<const char*>& names, int64_t* values) {
  for (const char* name : names) {
    int value;
    TF_RETURN_IF_ERROR(c->GetAttr(name, &value));
    *values++ = value;
  }
  return absl::OkStatus();
}

// y from the shape of x and, where they are known, the paddings.
absl::Status shape_of_y(InferenceContext* c) {
  ShapeHandle x, ignored;
  TF_RETURN_IF_ERROR(c->WithRank(c->input(0), 4, &x));
  TF_RETURN_IF_ERROR(c->WithRank(c->input(1), 1, &ignored));
  int64_t v[6];
  TF_RETURN_IF_ERROR(get_ints(c, {"up_y", "down_y", "kh", "up_x", "down_x", "kw"}, v));
  DimensionHandle size[2] = {c->UnknownDim(), c->UnknownDim()};
  const Tensor* pad = c->input_tensor(1);
  for (int axis = 0; axis < 2; ++axis) {
    const int64_t *a = v + 3 * axis, in = c->Value(c->Dim(x, 1 + axis));
    if (!pad || in < 0) continue;
    const auto p = pad->flat<int32_t>();
    if (p.size() != 4) return InvalidArgument("Upfirdn2d: pad must be [4], got [", p.size(), "]");
    size[axis] = c->MakeDim(out_size(in, a[0], p(2 * axis), p(2 * axis + 1), a[2], a[1]));
  }
  c->set_output(0, c->MakeShape({c->Dim(x, 0), size[0], size[1], c->Dim(x, 3)}));
  return absl::OkStatus();
}

#define TF_STYLEGAN_FILTER_ATTRS(op) \
  op.Attr("k: list(float)")          \
      .Attr("kh: int >= 1")          \
      .Attr("kw: int >= 1")          \
      .Attr("up_y: int >= 1 = 1")    \
      .Attr("up_x: int >= 1 = 1")    \
      .Attr("down_y: int >= 1 = 1")  \
      .Attr("down_x: int >= 1 = 1")

TF_STYLEGAN_FILTER_ATTRS(REGISTER_OP("TfStylegan>Upfirdn2d")
                             .Input("x: T")
                             .Input("pad: int32")
                             .Output("y: T")
                             .Attr("T: {float, bfloat16, half, double}"))
    .SetShapeFn(shape_of_y)
    .Doc("x [N, H, W, C] upsampled by zeros, padded (pad: before and after H, before and after W; negative crops), "
         "convolved with k [kh, kw] and downsampled. The padding lies in the host's memory.");

TF_STYLEGAN_FILTER_ATTRS(REGISTER_OP("TfStylegan>Upfirdn2dAct")
                             .Input("x: T")
                             .Input("pad: int32")
                             .Input("strength: U")  // before the lists: an empty list cannot say what U is
                             .Input("scale: has_scale * U")
                             .Input("b: has_b * U")
                             .Input("noise: has_noise * U")
                             .Output("y: T")
                             .Attr("T: {float, bfloat16, half, double}")
                             .Attr("U: {float, double}")
                             .Attr("has_scale: int >= 0")
                             .Attr("has_b: int >= 0")
                             .Attr("has_noise: int >= 0"))
    .Attr("alpha: float = 1.0")
    .Attr("gain: float = 1.0")
    .Attr("clamp: float = -1.0")
    .SetShapeFn(shape_of_y)
    .Doc("Upfirdn2d followed by clamp(lrelu(y * scale + b + noise * strength, alpha) * gain) in the same pass.");

// Attributes and checks that both operations have in common; `gpu` says where tensors lie.
template <bool gpu, bool epilogue>
class Upfirdn2dOp : public OpKernel {
 public:
  explicit Upfirdn2dOp(OpKernelConstruction* context) : OpKernel(context) {
    OP_REQUIRES_OK(context, context->GetAttr("k", &k_));
    const std::vector<std::pair<const char*, int32_t*>> numbers = {
        {"kh", &attrs_.kh},     {"kw", &attrs_.kw},         {"up_y", &attrs_.up_y},
        {"up_x", &attrs_.up_x}, {"down_y", &attrs_.down_y}, {"down_x", &attrs_.down_x}};
    for (const auto& number : numbers) OP_REQUIRES_OK(context, context->GetAttr(number.first, number.second));
    OP_REQUIRES(context, static_cast<int64_t>(k_.size()) == int64_t{attrs_.kh} * attrs_.kw,
                InvalidArgument("Upfirdn2d: k has ", k_.size(), " numbers, not ", attrs_.kh, " x ", attrs_.kw));
    OP_REQUIRES(context, attrs_.kh <= TF_STYLEGAN_MAX_TAPS && attrs_.kw <= TF_STYLEGAN_MAX_TAPS,
                InvalidArgument("Upfirdn2d: k is larger than ", int{TF_STYLEGAN_MAX_TAPS}, " taps"));
    attrs_.epilogue = epilogue;
    if (!epilogue) return;
    OP_REQUIRES_OK(context, check_optional(context, {"scale", "b", "noise"}));
    float alpha, gain, clamp;
    OP_REQUIRES_OK(context, context->GetAttr("alpha", &alpha));
    OP_REQUIRES_OK(context, context->GetAttr("gain", &gain));
    OP_REQUIRES_OK(context, context->GetAttr("clamp", &clamp));
    attrs_.alpha = alpha, attrs_.gain = gain, attrs_.clamp = clamp;
  }

  void Compute(OpKernelContext* context) override {
    tf_stylegan_upfirdn_2d p = attrs_;
    const Tensor& x = context->input(0);
    const Tensor& pad = context->input(1);
    OP_REQUIRES(context, x.dims() == 4, InvalidArgument("Upfirdn2d: x must be [N, H, W, C], got ", x.shape().DebugString()));
    OP_REQUIRES(context, pad.NumElements() == 4,
                InvalidArgument("Upfirdn2d: pad must be [4], got ", pad.shape().DebugString()));
    const auto pads = pad.flat<int32_t>();
    p.n = x.dim_size(0), p.in_h = x.dim_size(1), p.in_w = x.dim_size(2), p.c = x.dim_size(3);
    p.dtype = dtype_code(x.dtype());
    p.pad_y = pads(0), p.pad_x = pads(2);
    p.out_h = out_size(p.in_h, p.up_y, pads(0), pads(1), p.kh, p.down_y);
    p.out_w = out_size(p.in_w, p.up_x, pads(2), pads(3), p.kw, p.down_x);
    p.k = k_.data();
    p.x = x.data();
    TensorShape shape;
    OP_REQUIRES_OK(context, TensorShape::BuildTensorShape({p.n, p.out_h, p.out_w, p.c}, &shape));
    Tensor* y;
    OP_REQUIRES_OK(context, context->allocate_output(0, shape, &y));
    p.y = y->data();
    if (epilogue) OP_REQUIRES_OK(context, add_epilogue(context, &p));
    if (y->NumElements() == 0) return;
    run(context, p);
  }

 private:
  static absl::Status add_epilogue(OpKernelContext* context, tf_stylegan_upfirdn_2d* p) {
    const Tensor *scale = optional_input(context, "scale"), *b = optional_input(context, "b");
    const Tensor *noise = optional_input(context, "noise"), *strength = &context->input(2);
    for (const Tensor* tensor : {scale, b, noise, strength}) {
      if (tensor && tensor->dtype() != parameter_dtype(context->input(0).dtype())) {
        return InvalidArgument("Upfirdn2dAct: scale, b, noise and strength must be ",
                               DataTypeString(parameter_dtype(context->input(0).dtype())));
      }
    }
    const int64_t map = p->out_h * p->out_w;
    p->noise_n = noise && map ? noise->NumElements() / map : 1;
    if ((scale && scale->NumElements() != p->n * p->c) || (b && b->NumElements() != p->c) ||
        strength->NumElements() != 1 ||
        (noise && (noise->NumElements() != p->noise_n * map || (p->noise_n != 1 && p->noise_n != p->n)))) {
      return InvalidArgument("Upfirdn2dAct: scale must be [N, C], b [C], noise [1 or N, H', W', 1] and strength a scalar");
    }
    p->scale = data_of(scale), p->b = data_of(b), p->noise = data_of(noise), p->strength = data_of(strength);
    return absl::OkStatus();
  }

  void run(OpKernelContext* context, const tf_stylegan_upfirdn_2d& p) {
#ifdef TF_STYLEGAN_CUDA
    if (gpu) {
      Tensor workspace;
      const int64_t bytes = tf_stylegan_upfirdn_2d_cuda_workspace(&p);
      OP_REQUIRES_OK(context, context->allocate_temp(tensorflow::DT_UINT8, TensorShape({bytes}), &workspace));
      const int code = tf_stylegan_upfirdn_2d_cuda(&p, workspace.data(), stream_of(context));
      OP_REQUIRES_OK(context, cuda_status("Upfirdn2d", code));
      return;
    }
#endif
    const tf_stylegan_threads threads = threads_of(context);
    OP_REQUIRES_OK(context, cpu_status("Upfirdn2d", tf_stylegan_upfirdn_2d_cpu(&p, &threads)));
  }

  std::vector<float> k_;
  tf_stylegan_upfirdn_2d attrs_{};
};

#define TF_STYLEGAN_CPU(T)                                                                                       \
  REGISTER_KERNEL_BUILDER(                                                                                       \
      Name("TfStylegan>Upfirdn2d").Device(tensorflow::DEVICE_CPU).TypeConstraint<T>("T"), Upfirdn2dOp<false, false>); \
  REGISTER_KERNEL_BUILDER(                                                                                       \
      Name("TfStylegan>Upfirdn2dAct").Device(tensorflow::DEVICE_CPU).TypeConstraint<T>("T"), Upfirdn2dOp<false, true>);
TF_STYLEGAN_CPU(float)
TF_STYLEGAN_CPU(double)
TF_STYLEGAN_CPU(Eigen::half)
TF_STYLEGAN_CPU(Eigen::bfloat16)

#ifdef TF_STYLEGAN_CUDA
#define TF_STYLEGAN_GPU(T)                                                                                             \
  REGISTER_KERNEL_BUILDER(                                                                                             \
      Name("TfStylegan>Upfirdn2d").Device(tensorflow::DEVICE_GPU).HostMemory("pad").TypeConstraint<T>("T"),            \
      Upfirdn2dOp<true, false>);                                                                                       \
  REGISTER_KERNEL_BUILDER(                                                                                             \
      Name("TfStylegan>Upfirdn2dAct").Device(tensorflow::DEVICE_GPU).HostMemory("pad").TypeConstraint<T>("T"),         \
      Upfirdn2dOp<true, true>);
TF_STYLEGAN_GPU(float)
TF_STYLEGAN_GPU(double)
TF_STYLEGAN_GPU(Eigen::half)
TF_STYLEGAN_GPU(Eigen::bfloat16)
#endif

}  // namespace
}  // namespace tf_stylegan
