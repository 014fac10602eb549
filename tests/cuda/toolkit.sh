#!/usr/bin/env bash
# A CUDA 13.0 toolkit from Python wheels, enough to compile and link for NVIDIA GPUs on a machine that has none.
#
#   eval "$(tests/cuda/toolkit.sh DIR)" && cargo build --release --features cuda
#
# libcuda.so, the driver's library, is in no wheel: a stub with its names stands in for linking. With DIR/stub in LD_LIBRARY_PATH the
# program starts here and runs on the CPU; any use of the device answers CUDA_ERROR_STUB_LIBRARY.
set -euo pipefail
dir=$(realpath -m "${1:?usage: toolkit.sh DIR}")
home=$dir/nvidia/cu13
# One that another version of this script made may lack something.
made=$dir/made.$(cksum < "$0" | cut -d ' ' -f 1)
if [[ ! -e $made ]]; then
  mkdir -p "$dir/wheels"
  python3 -m pip download -q --no-deps --only-binary=:all: -d "$dir/wheels" \
    nvidia-cuda-nvcc==13.0.88 nvidia-nvvm==13.0.88 nvidia-cuda-crt==13.0.88 nvidia-cuda-runtime==13.0.96 nvidia-cuda-cccl==13.0.85 \
    nvidia-cuda-nvrtc==13.0.88 nvidia-curand nvidia-cublas nvidia-cusolver nvidia-cusparse nvidia-nvjitlink nvidia-cudnn-cu13 >&2
  for wheel in "$dir"/wheels/*.whl; do python3 -m zipfile -e "$wheel" "$dir"; done
  rm -r "$dir/wheels"
  chmod +x "$home"/bin/* "$home"/nvvm/bin/*
  ln -sfn lib "$home/lib64"
  for lib in "$home"/lib/lib*.so.* "$dir"/nvidia/cudnn/lib/lib*.so.*; do
    name=$(basename "$lib"); ln -sfn "$lib" "$home/lib/${name%%.so*}.so"
  done
  [[ ! -d $dir/nvidia/cudnn/include ]] || cp -r "$dir"/nvidia/cudnn/include/. "$home/include/"
  mkdir -p "$dir/stub"
  { grep -oE '\bcu[A-Z][A-Za-z0-9_]*[[:space:]]*\(' "$home/include/cuda.h" | tr -d ' (\t'
    sed -nE 's/^#define[[:space:]]+cu[A-Za-z0-9_]+[[:space:]]+(cu[A-Za-z0-9_]+_v[0-9]+).*/\1/p' "$home/include/cuda.h"; } |
    sort -u | sed 's/.*/int &(void){return 34;}/' > "$dir/stub.c"
  cc -shared -o "$dir/stub/libcuda.so.1" -Wl,-soname,libcuda.so.1 "$dir/stub.c"
  ln -sfn "$dir/stub/libcuda.so.1" "$home/lib/libcuda.so"
  touch "$made"
fi
echo "export CUDA_HOME=$home CUDA_PATH=$home NVCC=$home/bin/nvcc PATH=$home/bin:\$PATH LIBRARY_PATH=$home/lib CUDA_COMPUTE_CAP=90 CUDA_STUB=$dir/stub CUDA_LIBS=$home/lib"
