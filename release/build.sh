#!/usr/bin/env bash
# Builds a release: the stripped program, a Python wheel with it, and their checksums.
#
#   release/build.sh [DIR] [MATURIN OPTIONS]        default: dist
#
# Needs a Rust toolchain and maturin (`pip install maturin`). The wheel has no Python in it and fits every Python 3 on Linux systems whose
# glibc is at least as new as this one's: build it on an old one.
set -euo pipefail
cd "$(dirname "$0")/.."

out=${1:-dist}
mkdir -p "$out"
out=$(realpath "$out")
command -v maturin > /dev/null || { echo "error: there is no \`maturin\`; hint: pip install maturin" >&2; exit 1; }

# The same profile and flags as `cargo build --release --locked`, so that what is built already is used.
maturin build --release --locked --out "$out" "${@:2}"
program="$out/nkfac-bench-$(uname -s | tr '[:upper:]' '[:lower:]')-$(uname -m)"
install -m 755 "${CARGO_TARGET_DIR:-target}/release/nkfac-bench" "$program"
cd "$out"
sha256sum "$(basename "$program")" ./*.whl | sed 's: \./: :' > SHA256SUMS
cat SHA256SUMS
