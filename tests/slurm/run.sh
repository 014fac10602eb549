#!/usr/bin/env bash
# Starts a real Slurm of one node, submits the quickstart as a job array, cancels and requeues one task in mid-trial, compares the results
# with a local run's number by number, and ends Slurm. Needs root on Debian or Ubuntu, where it installs slurm-wlm and munge if they are
# missing; leaves nothing running.
#
#   tests/slurm/run.sh [PROGRAM]        default: target/release/nkfac-bench
set -euo pipefail
cd "$(dirname "$0")/../.."

program=$(realpath "${1:-${CARGO_TARGET_DIR:-target}/release/nkfac-bench}")
experiment=$PWD/experiments/quickstart.toml
if [[ $EUID -ne 0 ]]; then echo "needs root, to start Slurm"; exit 1; fi
if ! command -v slurmctld slurmd munged > /dev/null; then
  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends slurm-wlm munge > /dev/null
fi

work=$(mktemp -d)
chmod 755 "$work"
mkdir -p "$work"/{state,spool,munge}
export SLURM_CONF=$work/slurm.conf
pids=()
finish() {
  scancel --full --user=root 2> /dev/null || true
  # munged goes into the background by itself.
  for pid in "${pids[@]}" $(cat "$work/munge/pid" 2> /dev/null || true); do kill "$pid" 2> /dev/null || true; done
  wait 2> /dev/null || true
  rm -rf "$work"
}
trap finish EXIT

host=$(hostname -s)
cat > "$SLURM_CONF" << CONF
ClusterName=test
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
SlurmctldPort=26817
SlurmdPort=26818
AuthType=auth/munge
AuthInfo=socket=$work/munge/socket,cred_expire=5
CryptoType=crypto/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
SchedulerParameters=sched_interval=1,batch_sched_delay=1
StateSaveLocation=$work/state
SlurmdSpoolDir=$work/spool
SlurmctldPidFile=$work/slurmctld.pid
SlurmdPidFile=$work/slurmd.pid
SlurmctldLogFile=$work/slurmctld.log
SlurmdLogFile=$work/slurmd.log
KillWait=10
ReturnToService=2
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc) State=UNKNOWN
PartitionName=main Nodes=$host Default=YES MaxTime=INFINITE State=UP
CONF
dd if=/dev/urandom of="$work/munge/key" bs=1024 count=1 status=none
chmod 400 "$work/munge/key"
chmod 700 "$work/munge"
munged --force --key-file="$work/munge/key" --socket="$work/munge/socket" --pid-file="$work/munge/pid" \
  --log-file="$work/munge/log" --seed-file="$work/munge/seed"
chmod 755 "$work/munge"
slurmctld -D -c > /dev/null 2>&1 & pids+=($!)
slurmd -D -N "$host" > /dev/null 2>&1 & pids+=($!)
for _ in $(seq 60); do
  [[ $(sinfo --noheader --format=%T 2> /dev/null) == idle ]] && break
  sleep 1
done
sinfo || { tail -n 20 "$work"/*.log; exit 1; }

cd "$work"
# Trials of more than a second each, so that one is met in its middle.
common=("$experiment" --set epochs=160)
"$program" submit "${common[@]}" --cpus 1 --shards 4 --time 10 --partition main
job=$(squeue --noheader --format=%F | head -1)

# Cancel the task that runs and queue it again, as a preemption does, once it is in the middle of a trial.
for _ in $(seq 200); do
  task=$(squeue --noheader --states=RUNNING --format=%K | head -1)
  [[ -n $task ]] && compgen -G "results/quickstart/_unfinished/*/lock" > /dev/null && break
  sleep 0.1
done
sleep 0.6
echo "requeue task $task:"
"$program" status results/quickstart
scontrol requeue "${job}_$task"

for _ in $(seq 170); do
  [[ -z $(squeue --noheader) ]] && break
  sleep 1
done
cat results/quickstart/_slurm/*.log
"$program" status results/quickstart | tail -1
grep -q 'resuming after step' results/quickstart/_slurm/*.log || { echo "no task went on from a checkpoint"; exit 1; }

"$program" run "${common[@]}" --out local --threads 1 > /dev/null
"$program" same results/quickstart local/quickstart
