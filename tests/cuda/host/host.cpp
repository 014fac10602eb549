// The check that glibc makes of jumps knows of one stack only.
#undef _FORTIFY_SOURCE
#include "host.h"

#include <setjmp.h>
#include <ucontext.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <random>

Dim threadIdx, blockIdx, blockDim, gridDim;
bool barriers_hold = true;

namespace {

std::map<std::string, Kernel> &kernels() {
  static std::map<std::string, Kernel> all;
  return all;
}

std::mt19937 chance(1);

// The threads of a block. Each is started once, by a context of its own, and then goes from block to block; it is left and entered by jumps,
// because a change of contexts calls the kernel of the operating system.
struct Thread {
  std::unique_ptr<char[]> stack;
  jmp_buf place;
  bool started, done;
};
enum { STACK = 1 << 16 };
std::vector<Thread> threads;
jmp_buf scheduler;
Thread *running;
bool barriers;
const std::function<void()> *body;

void leave() {
  if (!_setjmp(running->place)) _longjmp(scheduler, 1);
}

void thread_main() {
  for (;;) {
    (*body)();
    running->done = true;
    leave();
  }
}

// Until the thread leaves.
__attribute__((noinline)) void enter(Thread &thread) {
  running = &thread;
  if (_setjmp(scheduler)) return;
  if (thread.started) _longjmp(thread.place, 1);
  thread.started = true;
  static ucontext_t own, other;
  getcontext(&own);
  own.uc_stack.ss_sp = thread.stack.get();
  own.uc_stack.ss_size = STACK;
  makecontext(&own, thread_main, 0);
  swapcontext(&other, &own);
}

// A block whose threads meet at barriers.
void run_together() {
  unsigned count = blockDim.x * blockDim.y;
  // A place that is jumped to must not move.
  threads.reserve(1024);
  while (threads.size() < count) {
    threads.emplace_back();
    threads.back().stack.reset(new char[STACK]);
  }
  std::vector<unsigned> order(count);
  for (unsigned i = 0; i < count; ++i) {
    threads[i].done = false;
    order[i] = i;
  }
  for (unsigned done = 0; done == 0;) {
    std::shuffle(order.begin(), order.end(), chance);
    for (unsigned i : order) {
      threadIdx = {i % blockDim.x, i / blockDim.x};
      enter(threads[i]);
    }
    for (unsigned i = 0; i < count; ++i) done += threads[i].done;
    if (done != 0 && done != count) refuse("some threads of a block wait at a barrier and others have ended");
  }
}

}  // namespace

Registered::Registered(const char *name, Kernel kernel) {
  if (!kernels().emplace(name, std::move(kernel)).second) refuse(std::string("two kernels are called ") + name);
}

void __syncthreads() {
  if (!barriers_hold) return;
  if (!running) refuse("a barrier where the first block had none");
  barriers = true;
  Dim index = threadIdx;
  leave();
  threadIdx = index;
}

const Kernel *find(const std::string &name) {
  auto found = kernels().find(name);
  return found == kernels().end() ? nullptr : &found->second;
}

void refuse(const std::string &why) {
  fprintf(stderr, "%s\n", why.c_str());
  exit(1);
}

void run(Dim grid, Dim block, const std::function<void()> &kernel) {
  gridDim = grid;
  blockDim = block;
  body = &kernel;
  std::vector<unsigned> order(size_t(gridDim.x) * gridDim.y);
  for (unsigned i = 0; i < order.size(); ++i) order[i] = i;
  std::shuffle(order.begin(), order.end(), chance);
  // The first block tells whether threads meet at all; where they do not, a loop will do.
  barriers = false;
  for (size_t at = 0; at < order.size(); ++at) {
    blockIdx = {order[at] % gridDim.x, order[at] / gridDim.x};
    if (at == 0 || barriers) {
      run_together();
      continue;
    }
    for (unsigned i = 0; i < blockDim.x * blockDim.y; ++i) {
      running = nullptr;
      threadIdx = {i % blockDim.x, i / blockDim.x};
      kernel();
    }
  }
}

