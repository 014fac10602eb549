// Runs kernels as told on standard input, by tests/it/device.rs: name, grid, block and arguments, for which it writes what the kernel wrote, or
// why it would not run it. With an argument of `unordered` no barrier holds.
#include <cstdint>
#include <cstdio>
#include <cstring>

#include "host.h"

namespace {

template <class T> bool read(T *to, size_t count = 1) { return fread(to, sizeof(T), count, stdin) == count; }

template <class T> T expect() {
  T value;
  if (!read(&value)) refuse("the call ends too early");
  return value;
}

// An argument: a tensor among numbers that are none, where a kernel that goes too far is noticed.
struct Argument {
  enum { GUARD = 512 };
  std::vector<unsigned char> memory;
  uint64_t bytes = 0;
  union {
    void *pointer;
    unsigned count;
    double number;
  } value;

  void hold(uint64_t size) {
    bytes = size;
    memory.assign(size + 2 * GUARD, 0xff);
    value.pointer = memory.data() + GUARD;
  }
  bool is_guarded() const {
    auto untouched = [](unsigned char byte) { return byte == 0xff; };
    return std::all_of(memory.begin(), memory.begin() + GUARD, untouched) && std::all_of(memory.end() - GUARD, memory.end(), untouched);
  }
};

void call(const std::string &name) {
  const Kernel *found = find(name);
  if (!found) refuse("no kernel `" + name + "`");
  const Kernel &kernel = *found;
  Dim grid = expect<Dim>(), block = expect<Dim>();
  if (block.x * block.y > 1024 || grid.y > 65535) refuse(name + ": more threads or blocks than CUDA has");
  uint32_t count = expect<uint32_t>();
  if (count != kernel.parameters.size()) refuse(name + ": another number of arguments");
  std::vector<Argument> arguments(count);
  std::vector<void *> addresses(count);
  for (uint32_t i = 0; i < count; ++i) {
    Parameter parameter = kernel.parameters[i];
    Argument &argument = arguments[i];
    char kind = expect<char>(), type = expect<char>();
    if (kind != "iocn"[parameter.kind] || type != parameter.type) refuse(name + ": argument " + std::to_string(i) + " is of another type");
    if (parameter.kind == Parameter::Count) argument.value.count = expect<uint32_t>();
    if (parameter.kind == Parameter::Number) argument.value.number = expect<double>();
    if (parameter.kind == Parameter::Input || parameter.kind == Parameter::Output) argument.hold(expect<uint64_t>());
    if (parameter.kind == Parameter::Input && !read(argument.memory.data() + Argument::GUARD, argument.bytes)) refuse("the call ends too early");
    addresses[i] = &argument.value;
  }
  run(grid, block, [&] { kernel.run(addresses.data()); });
  for (uint32_t i = 0; i < count; ++i) {
    bool holds = !arguments[i].memory.empty();
    if (holds && !arguments[i].is_guarded()) refuse(name + ": wrote behind argument " + std::to_string(i));
    if (kernel.parameters[i].kind == Parameter::Output) fwrite(arguments[i].value.pointer, 1, arguments[i].bytes, stdout);
  }
  fflush(stdout);
}

}  // namespace

int main(int count, char **words) {
  barriers_hold = count < 2 || strcmp(words[1], "unordered") != 0;
  for (uint32_t length; read(&length);) {
    std::string name(length, 0);
    if (!read(&name[0], length)) refuse("the call ends too early");
    call(name);
  }
}
