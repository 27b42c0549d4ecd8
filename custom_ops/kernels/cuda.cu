// Whether the CUDA kernels can run, and words for errors.
#include "cuda.h"

__global__ void tf_stylegan_nothing() {}

extern "C" const char* tf_stylegan_cuda_error(int code) { return cudaGetErrorString((cudaError_t)code); }

extern "C" int tf_stylegan_cuda_zero(void* memory, int64_t bytes, void* stream) {
  const cudaError_t error = cudaMemsetAsync(memory, 0, bytes, (cudaStream_t)stream);
  if (error != cudaSuccess) cudaGetLastError();  // told here, and not again by the next launch
  return (int)error;
}

extern "C" int tf_stylegan_cuda_check(void) {
  int count = 0;
  cudaError_t error = cudaGetDeviceCount(&count);
  if (error != cudaSuccess) return (int)error;
  cudaFuncAttributes attributes;  // fails where there is neither code for this device nor PTX to make it from
  error = cudaFuncGetAttributes(&attributes, tf_stylegan_nothing);
  cudaGetLastError();  // what was asked here is nobody else's error
  return (int)error;
}
