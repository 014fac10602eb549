// What candle's kernels say of CUDA's half precisions, for a C++ compiler: enough to compile those in float32, float64 and whole numbers, and
// to convert bfloat16, which is what they are used for here.
#pragma once

#include <cstdint>
#include <cstring>

#include "host.h"

#define __global__
#define __host__
#undef __device__
#define __device__ inline
#define __forceinline__
#define __launch_bounds__(...)
#define __CUDACC_VER_MAJOR__ 13
#define __CUDACC_VER_MINOR__ 0

using std::max;
using std::isnan;
using std::signbit;

template <class To, class From> To same_bits(From from) {
  To to;
  memcpy(&to, &from, sizeof(to));
  return to;
}
inline float __uint_as_float(unsigned x) { return same_bits<float>(x); }
inline unsigned __float_as_uint(float x) { return same_bits<unsigned>(x); }
inline float __int_as_float(int x) { return same_bits<float>(x); }
inline int __float_as_int(float x) { return same_bits<int>(x); }
inline double __longlong_as_double(long long x) { return same_bits<double>(x); }
inline long long __double_as_longlong(double x) { return same_bits<long long>(x); }
inline float normcdff(float x) { return 0.5f * std::erfc(-x * 0.70710678118654752440f); }
inline double normcdf(double x) { return 0.5 * std::erfc(-x * 0.70710678118654752440); }
inline float rsqrtf(float x) { return 1 / std::sqrt(x); }

// One thread runs at a time.
template <class T> T exchanged(T *at, T value) { T old = *at; *at = value; return old; }
inline float atomicAdd(float *at, float x) { return exchanged(at, *at + x); }
inline unsigned atomicAdd(unsigned *at, unsigned x) { return exchanged(at, *at + x); }
template <class T, class U, class V> T atomicCAS(T *at, U expected, V value) { return *at == T(expected) ? exchanged(at, T(value)) : *at; }
template <class T, class U> T atomicMax(T *at, U x) { return exchanged(at, std::max(*at, T(x))); }
template <class T, class U> T atomicMin(T *at, U x) { return exchanged(at, std::min(*at, T(x))); }

template <class T> T __shfl_xor_sync(unsigned, T, int, int = 32) { __builtin_trap(); }
struct float2 { float x, y; };
struct float4 { float x, y, z, w; };
inline float2 make_float2(float x, float y) { return {x, y}; }

// Numbers of 16 bits that are only moved about.
struct __half {
  uint16_t bits;
  __half() = default;
  __half(double) { __builtin_trap(); }
  operator float() const { __builtin_trap(); }
};
inline unsigned short __half_as_ushort(__half x) { return x.bits; }
inline __half __ushort_as_half(unsigned short) { __builtin_trap(); }
inline __half __hmax_nan(__half, __half) { __builtin_trap(); }
inline __half __hmin_nan(__half, __half) { __builtin_trap(); }
inline float __half2float(__half x) { return x; }
inline __half __float2half(float x) { return x; }
