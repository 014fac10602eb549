use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, bail};
use clap::Args;

use nkfac_bench::runner::WAITING;

use super::output::line;
use super::selection::Selection;

/// Run an experiment on a cluster, as a Slurm job array
///
/// Writes a batch script to results/<experiment>/slurm/ and gives it to sbatch: one task per shard. A task that Slurm preempts or that
/// reaches its time limit saves a checkpoint and requeues itself. With a search there are two arrays, and the second reruns the best when
/// the first has ended. The program's file and the folder of results must be visible to all nodes.
#[derive(Debug, Args)]
pub struct Submit {
    #[command(flatten)]
    selection: Selection,
    /// The folder for results
    #[arg(long, value_name = "DIR", default_value = "results")]
    out: PathBuf,
    /// The partition to run in [default: the cluster's own]
    #[arg(long)]
    partition: Option<String>,
    /// Time limit of a task, as sbatch takes it; a task that needs longer is requeued
    #[arg(long, default_value = "04:00:00")]
    time: String,
    /// GPUs per task; trials then run on CUDA
    #[arg(long, default_value_t = 0)]
    gpus: u16,
    /// Cores per task
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..))]
    cpus: u16,
    /// Memory per task, as sbatch takes it [default: the cluster's own]
    #[arg(long)]
    memory: Option<String>,
    /// Tasks that the trials are dealt out to [default: one per trial, at most 32]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    shards: Option<u16>,
    /// Tasks at a time
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    array_max: Option<u16>,
    /// Print the script without submitting it
    #[arg(long)]
    dry_run: bool,
}

/// Seconds before the time limit at which a task is told to save.
const WARNING: u16 = 120;

impl Submit {
    pub fn execute(self) -> anyhow::Result<ExitCode> {
        let experiment = self.selection.read()?;
        let shards = self.shards.map_or_else(|| experiment.trials.len().clamp(1, 32), usize::from);
        let folder = std::path::absolute(self.out.join(&experiment.name))?;
        let script = self.script(&experiment.name, &folder, shards)?;
        if self.dry_run {
            line(script.trim_end());
            if experiment.search.is_some() {
                eprintln!(
                    "it is submitted twice, the second time with --dependency=afterany: for the reruns of the best"
                );
            }
            return Ok(ExitCode::SUCCESS);
        }
        let logs = folder.join("slurm");
        let path = logs.join("submit.sh");
        fs::create_dir_all(&logs)
            .and_then(|()| fs::write(&path, script))
            .with_context(|| format!("cannot write `{}`", path.display()))?;
        let tuning = experiment.search.as_ref().map(|_| sbatch(&path, None)).transpose()?;
        let id = sbatch(&path, tuning.as_deref())?;
        line(format_args!(
            "submitted job {id}: {} trials in {shards} tasks ({})",
            experiment.trials.len(),
            path.display()
        ));
        if let Some(tuning) = tuning {
            line(format_args!(
                "        behind job {tuning}, which tunes: its tasks end with code {WAITING} before all have tuned"
            ));
        }
        line(format_args!("watch:  squeue --job {id}"));
        line(format_args!("        nkfac-bench status {}", folder.display()));
        line(format_args!("cancel: scancel {id}"));
        line(format_args!("draw:   nkfac-bench figure {}", folder.display()));
        Ok(ExitCode::SUCCESS)
    }

    fn script(&self, name: &str, folder: &Path, shards: usize) -> anyhow::Result<String> {
        let program = std::env::current_exe().context("cannot find this program's own file")?;
        let here = std::env::current_dir().context("cannot find the current folder")?;
        let at_once = self.array_max.map_or(String::new(), |most| format!("%{most}"));
        let log = folder.join("slurm").join("%A_%a.log");
        let mut options = vec![
            format!("--job-name={}", option(name)),
            format!("--array=1-{shards}{at_once}"),
            format!("--time={}", option(&self.time)),
            format!("--cpus-per-task={}", self.cpus),
            format!("--output={}", option(&log.to_string_lossy())),
            "--open-mode=append".into(),
            "--requeue".into(),
            format!("--signal=B:USR1@{WARNING}"),
        ];
        options.extend(self.partition.as_ref().map(|partition| format!("--partition={}", option(partition))));
        options.extend(self.memory.as_ref().map(|memory| format!("--mem={}", option(memory))));
        options.extend((self.gpus > 0).then(|| format!("--gpus={}", self.gpus)));
        let options: String = options.iter().map(|option| format!("#SBATCH {option}\n")).collect();

        let mut command = vec![quoted(&program.to_string_lossy()), "run".into()];
        command.extend(self.selection.arguments().iter().map(|argument| quoted(&argument.to_string_lossy())));
        command.extend(["--out".into(), quoted(&self.out.to_string_lossy())]);
        command.extend(["--threads".into(), self.cpus.to_string()]);
        command.extend((self.gpus > 0).then(|| "--device cuda".to_owned()));
        command.extend(["--shard".into(), format!("\"$SLURM_ARRAY_TASK_ID/{shards}\"")]);
        Ok(SCRIPT
            .replace("{options}", &options)
            .replace("{here}", &quoted(&here.to_string_lossy()))
            .replace("{command}", &command.join(" ")))
    }
}

/// What every task does: run its shard, pass signals on, and queue itself again if its time was too short.
const SCRIPT: &str = r#"#!/bin/bash
# Written by `nkfac-bench submit`. One task of the array runs one shard; what is finished is skipped, so it may run again at any time.
{options}
cd {here} || exit 1

# Slurm sends USR1 before the time limit, and TERM before it cancels or preempts. The program saves and stops on USR1, however often.
again=no
{command} < /dev/null &
child=$!
trap 'again=yes; kill -USR1 "$child"' USR1
trap 'kill -USR1 "$child"' TERM

# `wait` returns when a signal comes, so it is asked until the child is gone.
wait "$child"; code=$?
while kill -0 "$child" 2> /dev/null; do wait "$child"; code=$?; done

# 3: stopped on request, run the same command to resume.
if [ "$again" = yes ] && [ "$code" -eq 3 ]; then
  scontrol requeue "${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}"
fi
exit "$code"
"#;

/// A value in an `#SBATCH` line: those are no shell, but take double quotes.
fn option(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() || c == '"' { '_' } else { c }).collect();
    if text.chars().all(is_plain) { text } else { format!("\"{text}\"") }
}

/// A word of the shell.
fn quoted(text: &str) -> String {
    let plain = !text.is_empty() && text.chars().all(is_plain);
    if plain { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || "/._-=:,%+@".contains(c)
}

/// Submits the script, to be run when the job `behind` has ended; the job's number.
fn sbatch(path: &Path, behind: Option<&str>) -> anyhow::Result<String> {
    let dependency = behind.map(|id| format!("--dependency=afterany:{id}"));
    let output = match Command::new("sbatch").arg("--parsable").args(dependency).arg(path).output() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => bail!(
            "there is no `sbatch` here\nhint: submit from a machine of a Slurm cluster; `--dry-run` shows the script"
        ),
        other => other.context("cannot start `sbatch`")?,
    };
    if !output.status.success() {
        bail!("`sbatch` refuses: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let id = String::from_utf8_lossy(&output.stdout);
    // `--parsable` gives `id` or `id;cluster`.
    Ok(id.trim().split(';').next().unwrap_or_default().to_owned())
}
