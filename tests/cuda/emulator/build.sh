#!/usr/bin/env bash
# CUDA's libraries for a machine without a GPU: device memory is the host's, and kernels, candle's too, are compiled for the host.
#
#   tests/cuda/emulator/build.sh DIR
#
# With DIR first in LD_LIBRARY_PATH the CUDA program computes as on a GPU: slowly, and with the same launches. Needs the variables of toolkit.sh,
# and a C++ compiler.
set -euo pipefail
here=$(dirname "$(realpath "$0")")
root=$here/../../..
dir=$(realpath -m "${1:?usage: build.sh DIR}")
candle=$(echo "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*/candle-kernels-0.11.1/src)
mkdir -p "$dir"

build() { "${CXX:-c++}" -std=c++17 -O2 -fPIC -I"$here/../host" "$@"; }

build -c "$here/../host/host.cpp" -o "$dir/host.o"
for source in "$root"/src/device/*.cu; do
  for real in f32 f64; do
    build -D$real -x c++ -c "$source" -o "$dir/own.$(basename "$source" .cu).$real.o"
  done
done
# candle's say nothing of their names: those are what an object file has that is not C++'s own.
for family in affine binary cast fill indexing reduce ternary unary; do
  words=(-w -I"$here/words" -I"$candle" -idirafter "$CUDA_HOME/include")
  build "${words[@]}" -O0 -x c++ -c "$candle/$family.cu" -o "$dir/names.o"
  { printf '#include "%s.cu"\nstatic Registered kernels[] = {\n' "$family"
    nm --defined-only "$dir/names.o" | sed -nE 's/.* T ([a-z][A-Za-z0-9_]*)$/  {"\1", \1},/p'
    printf '};\n'; } > "$dir/$family.cpp"
  build "${words[@]}" -c "$dir/$family.cpp" -o "$dir/candle.$family.o"
done
sed 's/^int/__attribute__((weak)) int/' "$CUDA_STUB/../stub.c" > "$dir/stub.c"
cc -fPIC -w -c "$dir/stub.c" -o "$dir/stub.o"
build -I"$CUDA_HOME/include" -c "$here/driver.cpp" -o "$dir/driver.o"
# The names of the versions that NVIDIA's libraries have, or the loader complains.
echo 'libcublas.so.13 { global: cublas*; }; libcurand.so.10 { global: curand*; };' > "$dir/versions"
build -I"$CUDA_HOME/include" -O3 -shared "$here/libraries.cpp" -o "$dir/libcublas.so.13" -Wl,-soname,libcublas.so.13 -Wl,--version-script="$dir/versions"
ln -sf libcublas.so.13 "$dir/libcurand.so.10"
echo 'libcusolver.so.12 { global: cusolver*; };' > "$dir/versions"
build -I"$CUDA_HOME/include" -O3 -shared "$here/solver.cpp" -o "$dir/libcusolver.so.12" -Wl,-soname,libcusolver.so.12 -Wl,--version-script="$dir/versions"
build -shared "$dir"/{host,driver,stub}.o "$dir"/own.*.o "$dir"/candle.*.o -o "$dir/libcuda.so.1" -Wl,-soname,libcuda.so.1
