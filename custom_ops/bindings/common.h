// What both bindings need of TensorFlow: its types, threads, streams and errors in the kernels' terms.
#ifndef TF_STYLEGAN_BINDINGS_COMMON_H_
#define TF_STYLEGAN_BINDINGS_COMMON_H_

#include <limits>
#include <string>
#include <vector>

#include "../kernels/common.h"
#include "tensorflow/core/framework/common_shape_fns.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/shape_inference.h"
#ifdef TF_STYLEGAN_CUDA
#include "xla/stream_executor/stream.h"
#endif

namespace tf_stylegan {

using tensorflow::OpInputList;
using tensorflow::OpKernel;
using tensorflow::OpKernelConstruction;
using tensorflow::OpKernelContext;
using tensorflow::Tensor;
using tensorflow::TensorShape;
using tensorflow::errors::InvalidArgument;
using tensorflow::shape_inference::DimensionHandle;
using tensorflow::shape_inference::InferenceContext;
using tensorflow::shape_inference::ShapeHandle;

// The kernels' code for a storage type that the ops allow.
inline int dtype_code(tensorflow::DataType dtype) {
  switch (dtype) {
    case tensorflow::DT_BFLOAT16:
      return TF_STYLEGAN_BFLOAT16;
    case tensorflow::DT_HALF:
      return TF_STYLEGAN_FLOAT16;
    case tensorflow::DT_DOUBLE:
      return TF_STYLEGAN_FLOAT64;
    default:
      return TF_STYLEGAN_FLOAT32;
  }
}

// Parameters (biases, noise, sums) have the type of the arithmetic: float64 for float64, else float32.
inline tensorflow::DataType parameter_dtype(tensorflow::DataType dtype) {
  return dtype == tensorflow::DT_DOUBLE ? tensorflow::DT_DOUBLE : tensorflow::DT_FLOAT;
}

// TensorFlow's own threads for the CPU kernels.
inline tf_stylegan_threads threads_of(OpKernelContext* context) {
  tf_stylegan_threads threads;
  threads.context = context->device()->tensorflow_cpu_worker_threads()->workers;
  threads.parallel_for = [](void* pool, int64_t total, int64_t cost, tf_stylegan_work work, void* arg) {
    static_cast<tensorflow::thread::ThreadPool*>(pool)->ParallelFor(
        total, cost, [=](int64_t begin, int64_t end) { work(arg, begin, end); });
  };
  return threads;
}

// How many they are.
inline int thread_count(OpKernelContext* context) {
  return context->device()->tensorflow_cpu_worker_threads()->workers->NumThreads();
}

inline absl::Status cpu_status(const char* op, int code) {
  if (code == TF_STYLEGAN_OK) return absl::OkStatus();
  if (code == TF_STYLEGAN_NO_MEMORY) return tensorflow::errors::ResourceExhausted(op, ": ", tf_stylegan_error(code));
  return InvalidArgument(op, ": ", tf_stylegan_error(code));
}

#ifdef TF_STYLEGAN_CUDA
// The stream that TensorFlow computes on: what is launched there needs no waiting.
inline void* stream_of(OpKernelContext* context) {
  return context->op_device_context()->stream()->platform_specific_handle().stream;
}

inline absl::Status cuda_status(const char* op, int code) {
  if (code == 0) return absl::OkStatus();
  return tensorflow::errors::Internal(op, ": ", tf_stylegan_cuda_error(code));
}
#endif

// The one tensor of an optional input (a list of none or one), or null.
inline const Tensor* optional_input(OpKernelContext* context, const char* name) {
  OpInputList list;
  if (!context->input_list(name, &list).ok() || list.size() == 0) return nullptr;
  return &list[0];
}

// Optional inputs are lists of none or one: operations refuse more when they are made.
inline absl::Status check_optional(OpKernelConstruction* context, const std::vector<const char*>& names) {
  for (const char* name : names) {
    int count;
    TF_RETURN_IF_ERROR(context->GetAttr(std::string("has_") + name, &count));
    if (count > 1) return InvalidArgument(context->def().op(), ": ", name, " must be one tensor or none, got ", count);
  }
  return absl::OkStatus();
}

inline const void* data_of(const Tensor* tensor) { return tensor ? tensor->data() : nullptr; }

}  // namespace tf_stylegan

#endif  // TF_STYLEGAN_BINDINGS_COMMON_H_
