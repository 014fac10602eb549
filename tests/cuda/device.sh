#!/usr/bin/env bash
# Everything that needs a GPU, in one go: exactness, a first run, and times beside PyTorch's where that is installed.
#
#   tests/cuda/device.sh PROGRAM [OUT]      PROGRAM: built with --features cuda; OUT: where log and results.json go, default cuda-check
#
# Runs from a copy of this repository alone, without Rust and without network, in some eight minutes. A part that fails is named and
# the others go on. PEER=FOLDER with bench_torch.py in it adds PyTorch's times.
set -uo pipefail
cd "$(dirname "$0")/../.."

program=$(realpath "${1:?usage: tests/cuda/device.sh PROGRAM [OUT]}")
out=$(mkdir -p "${2:-cuda-check}" && realpath "${2:-cuda-check}")
device=${DEVICE:-cuda:0}
exec > >(tee "$out/log") 2>&1

# The libraries of a toolkit, or those that came with a Python package.
for folder in /usr/local/cuda/lib64 $(python3 -c 'import glob, site
for root in site.getsitepackages(): print(*glob.glob(root + "/nvidia/*/lib"))' 2> /dev/null); do
  [[ -d $folder ]] && LD_LIBRARY_PATH=$folder${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
done
export LD_LIBRARY_PATH

parts=$out/parts.jsonl
: > "$parts"
failed=0
# part NAME SECONDS COMMAND…: the command's last line of JSON, its exit code and its seconds become a line of parts.jsonl.
part() {
  local name=$1 limit=$2 begun code json
  shift 2
  printf '\n== %s (%ss): %s\n' "$name" "$SECONDS" "$*"
  begun=$SECONDS
  timeout "$limit" "$@" 2>&1 | tee "$out/part.log"
  code=${PIPESTATUS[0]}
  ((code == 0)) || { failed=$((failed + 1)); echo "FAILED with code $code: $name"; }
  json=$(grep '^{' "$out/part.log" | tail -1)
  printf '{"part": "%s", "code": %d, "seconds": %d, "result": %s}\n' "$name" "$code" $((SECONDS - begun)) "${json:-null}" >> "$parts"
}

nvidia-smi --query-gpu=name,driver_version,memory.total,clocks.sm --format=csv,noheader || echo "nvidia-smi does not answer"
"$program" --version

for dtype in f64 f32; do
  part "verify $dtype" 90 "$program" verify --device "$device" --dtype $dtype tests/golden/*_*.safetensors
done
part quickstart 30 "$program" run experiments/quickstart.toml --device "$device" --out "$out/quickstart"

for model in resnet18 resnet50 vit_tiny; do
  for optimizer in sgd nkfac; do
    part "step $model $optimizer" 40 "$program" bench step --model $model --batch 128 --optimizer $optimizer --device "$device" --json
  done
done
part inverse 60 "$program" bench inverse --sizes 576 1152 2304 4608 --device "$device" --json
part training 60 "$program" run experiments/cifar100.toml --device "$device" --out "$out/training" \
  --set epochs=3 --set 'data = { kind = "synthetic", augment = ["crop", "flip"] }' --seeds 1

if [[ -n ${PEER:-} ]] && python3 -c 'import torch' 2> /dev/null; then
  for model in resnet18 resnet50 vit_tiny; do
    part "PyTorch step $model" 40 python3 "$PEER/bench_torch.py" step --model $model --batch 128 --device "$device" --channels-last
  done
  part "PyTorch inverse" 60 python3 "$PEER/bench_torch.py" inverse --sizes 576 1152 2304 4608 --device "$device"
fi

{ printf '[\n'; sed '$!s/$/,/' "$parts"; printf ']\n'; } > "$out/results.json"
rm -f "$parts" "$out/part.log"
printf '\n%d parts failed; %s/results.json has the numbers (%ss)\n' "$failed" "$out" "$SECONDS"
((failed == 0))
