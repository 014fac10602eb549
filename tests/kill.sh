#!/usr/bin/env bash
# Kills a sweep over every optimizer with SIGKILL at 30 random moments, gives the same command each time, and compares all rows with those
# of a sweep that was left alone.
#
#   tests/kill.sh [PROGRAM] [KILLS]        default: target/release/nkfac-bench 30
set -euo pipefail
cd "$(dirname "$0")/.."

program=$(realpath "${1:-${CARGO_TARGET_DIR:-target}/release/nkfac-bench}")
kills=${2:-30}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

{
  cat << 'TOML'
name = "kill"
checkpoint = { epochs = 1 }
[base]
epochs = 40
batch = 32
data = { kind = "digits", train_limit = 640, validation = 100 }
model = { kind = "mlp", hidden = [16] }
schedule = { kind = "cosine", lr = 0.01, floor = 0.01 }
TOML
  "$program" list optimizers | sed -n 's/^ *\(optimizer = { preset = "\([a-z-]*\)"\).*/[[arm]]\nname = "\2"\n\1 }/p'
  printf '[sweep]\n"optimizer.precondition.factor_every" = [2]\n"optimizer.precondition.inverse_every" = [3]\n'
} > kill.toml
"$program" plan kill.toml 2> /dev/null
trials=$("$program" plan kill.toml 2> /dev/null | tail -n +2 | wc -l)

begun=$(date +%s%N)
"$program" run kill.toml --out whole --threads 1 > /dev/null 2>&1
wall=$((($(date +%s%N) - begun) / 1000000))
echo "a sweep of $trials trials, left alone: $wall ms"

# Moments anywhere in the whole of what is left; one beyond its end is drawn again.
done=0
resumed=0
while ((done < kills)); do
  "$program" run kill.toml --out killed --threads 1 > log 2>&1 &
  child=$!
  after=$((RANDOM * RANDOM % (2 * wall / kills + 100)))
  sleep "$(printf '%d.%03d' $((after / 1000)) $((after % 1000)))"
  if ! kill -KILL "$child" 2> /dev/null; then
    wait "$child"
    echo "the sweep ended after $done kills: $("$program" same whole/kill killed/kill)"
    rm -rf killed
    continue
  fi
  wait "$child" 2> /dev/null || true
  resumed=$((resumed + $(grep -c 'resuming after step' log || true)))
  done=$((done + 1))
  printf 'kill %2d after %5d ms: %s\n' "$done" "$after" "$("$program" status kill.toml --out killed 2> /dev/null | tail -1)"
done
"$program" run kill.toml --out killed --threads 1 > log 2>&1
resumed=$((resumed + $(grep -c 'resuming after step' log || true)))
echo "trials went on from a checkpoint $resumed times; at the end: $("$program" status kill.toml --out killed 2> /dev/null | tail -1)"
"$program" same whole/kill killed/kill
