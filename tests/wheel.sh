#!/usr/bin/env bash
# Builds a release beside what is built already, installs its wheel into a fresh Python environment with no Rust on the path, and plans
# and runs the quickstart with what it installed.
#
#   tests/wheel.sh [MATURIN OPTIONS]        needs python3 with venv, and pip's index for maturin unless it is installed
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
if ! command -v maturin > /dev/null; then
  python3 -m venv "$folder/tools"
  "$folder/tools/bin/pip" install --quiet --disable-pip-version-check maturin
  PATH="$PATH:$folder/tools/bin"
fi
release/build.sh "$folder/dist" "$@"
(cd "$folder/dist" && sha256sum --check --quiet SHA256SUMS)

python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-index "$folder"/dist/*.whl
export PATH="$folder/venv/bin:/usr/bin:/bin"
! command -v cargo rustc || { echo "error: there is a Rust toolchain on the path, so that nothing is shown"; exit 1; }
[[ $(command -v nkfac-bench) == "$folder/venv/bin/nkfac-bench" ]]

cd "$folder"
nkfac-bench --version
nkfac-bench plan "$root/experiments/quickstart.toml" | head -1
nkfac-bench run "$root/experiments/quickstart.toml" | tail -1
count=$(find results/quickstart -maxdepth 1 -name '*.parquet' | wc -l)
[[ $count -eq 8 ]] || { echo "error: $count results of the quickstart's 8"; exit 1; }
echo "the wheel installs and runs without Rust"
