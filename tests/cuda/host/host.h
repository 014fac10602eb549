// CUDA's words for a C++ compiler: blocks one after the other, the threads of a block as coroutines that take turns at barriers. Between two
// barriers they run in an order drawn anew each time, so that a result which needs a barrier that is not there differs from run to run.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <functional>
#include <string>
#include <tuple>
#include <type_traits>
#include <vector>

#define __device__
#define __shared__ static

using std::erf;
using std::exp;
using std::log;
using std::min;
using std::sqrt;

struct Dim {
  unsigned x, y;
};
extern Dim threadIdx, blockIdx, blockDim, gridDim;
void __syncthreads();

// What a parameter is, as the caller has to say it.
struct Parameter {
  enum Kind { Input, Output, Count, Number, Other } kind;
  char type;  // f, d or u
};

template <class T> constexpr char type_of() {
  return std::is_same<T, float>::value ? 'f' : std::is_same<T, double>::value ? 'd' : 'u';
}

template <class T> struct Read {
  static constexpr Parameter parameter{Parameter::Other, '?'};
};
template <class T> struct Read<const T *> {
  static constexpr Parameter parameter{Parameter::Input, type_of<T>()};
};
template <class T> struct Read<T *> {
  static constexpr Parameter parameter{Parameter::Output, type_of<T>()};
};
template <> struct Read<unsigned> {
  static constexpr Parameter parameter{Parameter::Count, 'u'};
};
template <> struct Read<double> {
  static constexpr Parameter parameter{Parameter::Number, 'd'};
};

// A kernel that takes its arguments as cuLaunchKernel does: by their addresses.
struct Kernel {
  std::vector<Parameter> parameters;
  std::function<void(void **)> run;
};

template <class... A, size_t... I> Kernel by_address(void (*kernel)(A...), std::index_sequence<I...>) {
  return {{Read<A>::parameter...}, [kernel](void **args) { kernel(*static_cast<A *>(args[I])...); }};
}

// The kernel of this name, or null.
const Kernel *find(const std::string &name);

// All blocks, in an order drawn anew.
void run(Dim grid, Dim block, const std::function<void()> &kernel);

// Ends the program.
[[noreturn]] void refuse(const std::string &why);

// Whether threads wait at barriers, as they do unless a test wants to see them missed.
extern bool barriers_hold;

struct Registered {
  Registered(const char *name, Kernel kernel);
  template <class... A>
  Registered(const char *name, void (*kernel)(A...)) : Registered(name, by_address(kernel, std::index_sequence_for<A...>())) {}
};

// A function of this name, which is known by it; the name may be another macro's.
#define HOST_KERNEL(name, ...) NAMED_KERNEL(name, __VA_ARGS__)
#define NAMED_KERNEL(name, ...)                           \
  static void name(__VA_ARGS__);                          \
  static Registered registered_##name(#name, name);       \
  static void name(__VA_ARGS__)
