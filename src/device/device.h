// What kernels are written against. Each file is compiled twice, with `f64` or without: for float64, and for float32. nvcc knows CUDA's words
// itself; another compiler has them from tests/cuda/host/host.h.
#pragma once

#ifdef f64
typedef double real;
#define TYPED(name) name##_f64
#else
typedef float real;
#define TYPED(name) name##_f32
#endif

#ifdef __CUDACC__
#define KERNEL(name, ...) extern "C" __global__ void TYPED(name)(__VA_ARGS__)
#else
#include "host.h"
#define KERNEL(name, ...) HOST_KERNEL(TYPED(name), __VA_ARGS__)
#endif

// The element that is this thread's, where each has one.
static __device__ inline unsigned own_element() { return blockIdx.x * blockDim.x + threadIdx.x; }

// The sum over the threads of a block in a row of so many, a power of two, for each of them.
template <unsigned THREADS> static __device__ double over_threads(double value) {
  __shared__ double threads[THREADS];
  __syncthreads();
  threads[threadIdx.x] = value;
  for (unsigned half = THREADS / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.x < half) threads[threadIdx.x] += threads[threadIdx.x + half];
  }
  __syncthreads();
  return threads[0];
}
