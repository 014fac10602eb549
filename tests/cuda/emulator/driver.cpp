// CUDA's driver for a machine without a GPU: device memory is the host's, kernels are those compiled for the host, and all is done when a call
// returns. What the program under test does not call is not here: the stub below answers for it, by name.
//
// EMULATED_MEMORY is how many bytes there are; EMULATED_ERROR which of cuInit, cuDeviceGet and cuModuleLoadData fails, and how:
// `cuModuleLoadData=222`.
#include <cuda.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>

#include "host.h"

namespace {

std::mutex turn;
std::map<CUdeviceptr, size_t> allocations;
size_t used;

size_t memory() {
  const char *bytes = getenv("EMULATED_MEMORY");
  return bytes ? strtoull(bytes, nullptr, 10) : size_t(8) << 30;
}

CUresult told(const char *function) {
  const char *errors = getenv("EMULATED_ERROR");
  size_t length = strlen(function);
  bool meant = errors && !strncmp(errors, function, length) && errors[length] == '=';
  return CUresult(meant ? atoi(errors + length + 1) : 0);
}

CUresult allocate(CUdeviceptr *at, size_t bytes) {
  std::lock_guard<std::mutex> lock(turn);
  if (used + bytes > memory()) return CUDA_ERROR_OUT_OF_MEMORY;
  void *memory = aligned_alloc(256, (bytes + 511) / 256 * 256);
  // Whatever is read before it is written is not a number.
  memset(memory, 0xff, bytes);
  *at = CUdeviceptr(memory);
  allocations[*at] = bytes;
  used += bytes;
  return CUDA_SUCCESS;
}

CUresult release(CUdeviceptr at) {
  std::lock_guard<std::mutex> lock(turn);
  auto found = allocations.find(at);
  if (found == allocations.end()) return CUDA_ERROR_INVALID_VALUE;
  used -= found->second;
  free(reinterpret_cast<void *>(at));
  allocations.erase(found);
  return CUDA_SUCCESS;
}

CUresult copy(void *to, const void *from, size_t bytes) {
  memmove(to, from, bytes);
  return CUDA_SUCCESS;
}

void *at(CUdeviceptr pointer) { return reinterpret_cast<void *>(pointer); }

// A handle to something of which there is only one.
template <class Handle> CUresult one(Handle *handle) {
  static char thing;
  *handle = reinterpret_cast<Handle>(&thing);
  return CUDA_SUCCESS;
}

}  // namespace

extern "C" {

CUresult cuInit(unsigned) { return told("cuInit"); }
CUresult cuDriverGetVersion(int *version) { *version = CUDA_VERSION; return CUDA_SUCCESS; }
CUresult cuDeviceGetCount(int *count) { *count = 1; return CUDA_SUCCESS; }
CUresult cuDeviceGet(CUdevice *device, int ordinal) { *device = ordinal; return ordinal == 0 ? told("cuDeviceGet") : CUDA_ERROR_INVALID_DEVICE; }
CUresult cuDeviceGetAttribute(int *value, CUdevice_attribute, CUdevice) { *value = 0; return CUDA_SUCCESS; }
CUresult cuDeviceGetName(char *name, int length, CUdevice) { snprintf(name, length, "emulated"); return CUDA_SUCCESS; }
CUresult cuDeviceTotalMem(size_t *bytes, CUdevice) { *bytes = memory(); return CUDA_SUCCESS; }
CUresult cuMemGetInfo(size_t *left, size_t *all) { *all = memory(); *left = *all - used; return CUDA_SUCCESS; }
CUresult cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice) { return one(context); }
CUresult cuDevicePrimaryCtxRelease(CUdevice) { return CUDA_SUCCESS; }
CUresult cuCtxSetCurrent(CUcontext) { return CUDA_SUCCESS; }
CUresult cuCtxGetCurrent(CUcontext *context) { return one(context); }
CUresult cuCtxSynchronize() { return CUDA_SUCCESS; }

CUresult cuMemAlloc(CUdeviceptr *at, size_t bytes) { return allocate(at, bytes); }
CUresult cuMemAllocAsync(CUdeviceptr *at, size_t bytes, CUstream) { return allocate(at, bytes); }
CUresult cuMemFree(CUdeviceptr at) { return release(at); }
CUresult cuMemFreeAsync(CUdeviceptr at, CUstream) { return release(at); }
CUresult cuMemcpyHtoD(CUdeviceptr to, const void *from, size_t bytes) { return copy(at(to), from, bytes); }
CUresult cuMemcpyHtoDAsync(CUdeviceptr to, const void *from, size_t bytes, CUstream) { return copy(at(to), from, bytes); }
CUresult cuMemcpyDtoH(void *to, CUdeviceptr from, size_t bytes) { return copy(to, at(from), bytes); }
CUresult cuMemcpyDtoHAsync(void *to, CUdeviceptr from, size_t bytes, CUstream) { return copy(to, at(from), bytes); }
CUresult cuMemcpyDtoD(CUdeviceptr to, CUdeviceptr from, size_t bytes) { return copy(at(to), at(from), bytes); }
CUresult cuMemcpyDtoDAsync(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream) { return copy(at(to), at(from), bytes); }
CUresult cuMemsetD8(CUdeviceptr to, unsigned char byte, size_t bytes) { memset(at(to), byte, bytes); return CUDA_SUCCESS; }
CUresult cuMemsetD8Async(CUdeviceptr to, unsigned char byte, size_t bytes, CUstream) { return cuMemsetD8(to, byte, bytes); }

CUresult cuStreamCreate(CUstream *stream, unsigned) { return one(stream); }
CUresult cuStreamCreateWithPriority(CUstream *stream, unsigned, int) { return one(stream); }
CUresult cuStreamDestroy(CUstream) { return CUDA_SUCCESS; }
CUresult cuStreamSynchronize(CUstream) { return CUDA_SUCCESS; }
CUresult cuStreamWaitEvent(CUstream, CUevent, unsigned) { return CUDA_SUCCESS; }
CUresult cuStreamIsCapturing(CUstream, CUstreamCaptureStatus *status) { *status = CU_STREAM_CAPTURE_STATUS_NONE; return CUDA_SUCCESS; }
CUresult cuEventCreate(CUevent *event, unsigned) { return one(event); }
CUresult cuEventDestroy(CUevent) { return CUDA_SUCCESS; }
CUresult cuEventRecord(CUevent, CUstream) { return CUDA_SUCCESS; }
CUresult cuEventQuery(CUevent) { return CUDA_SUCCESS; }
CUresult cuEventSynchronize(CUevent) { return CUDA_SUCCESS; }

CUresult cuModuleLoadData(CUmodule *module, const void *) { one(module); return told("cuModuleLoadData"); }
CUresult cuModuleUnload(CUmodule) { return CUDA_SUCCESS; }

CUresult cuModuleGetFunction(CUfunction *function, CUmodule, const char *name) {
  const Kernel *kernel = find(name);
  if (!kernel) fprintf(stderr, "emulator: there is no kernel `%s`\n", name);
  *function = reinterpret_cast<CUfunction>(const_cast<Kernel *>(kernel));
  return kernel ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND;
}

CUresult cuLaunchKernel(CUfunction function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x, unsigned block_y, unsigned block_z,
                        unsigned, CUstream, void **parameters, void **) {
  bool is_valid = grid_x > 0 && grid_y > 0 && block_x > 0 && block_y > 0 && block_x * block_y <= 1024 && grid_y <= 65535;
  if (!is_valid || grid_z != 1 || block_z != 1) return CUDA_ERROR_INVALID_VALUE;
  std::lock_guard<std::mutex> lock(turn);
  const Kernel *kernel = reinterpret_cast<const Kernel *>(function);
  run({grid_x, grid_y}, {block_x, block_y}, [&] { kernel->run(parameters); });
  return CUDA_SUCCESS;
}

CUresult cuGetErrorName(CUresult error, const char **name) {
  static thread_local char text[32];
  snprintf(text, sizeof text, "error %d", int(error));
  *name = text;
  return CUDA_SUCCESS;
}
CUresult cuGetErrorString(CUresult error, const char **text) { return cuGetErrorName(error, text); }

}  // extern "C"
