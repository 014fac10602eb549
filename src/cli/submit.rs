use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, bail};
use clap::Args;

use nkfac_bench::runner::WAITING;
use nkfac_bench::text::{Shown, is_plain, shell, spelled};

use super::machine;
use super::output::{line, say};
use super::selection::Selection;

/// Run an experiment on a cluster, as a Slurm job array
///
/// Writes a batch script to results/<experiment>/_slurm/ and gives it to sbatch: one task per shard. A task that Slurm preempts or that
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
    #[arg(long, default_value = "04:00:00", value_parser = time)]
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
    /// Number of tasks to distribute the trials over [default: one per trial, at most 32]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    shards: Option<u16>,
    /// How many tasks may run at a time
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
        self.selection.refuse_pipe("`submit`")?;
        if self.gpus > 0 {
            machine::check_cuda("cuda")?;
        }
        let experiment = self.selection.read()?;
        let shards = self.shards.map_or_else(|| experiment.trials.len().clamp(1, 32), usize::from);
        let folder = std::path::absolute(self.out.join(&experiment.name))?;
        let script = self.script(&experiment.name, &folder, shards)?;
        if self.dry_run {
            line(script.trim_end())?;
            if experiment.search.is_some() {
                say(format_args!(
                    "`submit` submits it twice, the second time with --dependency=afterany, for the reruns of the best"
                ));
            }
            return Ok(ExitCode::SUCCESS);
        }
        let logs = folder.join("_slurm");
        let path = logs.join("submit.sh");
        fs::create_dir_all(&logs)
            .and_then(|()| fs::write(&path, script))
            .with_context(|| format!("cannot write `{}`", path.shown()))?;
        let tuning = experiment.search.as_ref().map(|_| sbatch(&path, None)).transpose()?;
        let id = sbatch(&path, tuning.as_deref())?;
        line(format_args!(
            "submitted job {id}: {} trials in {shards} tasks ({})",
            experiment.trials.len(),
            path.shown()
        ))?;
        if let Some(tuning) = tuning {
            line(format_args!(
                "        after job {tuning}, which tunes: its tasks exit with code {WAITING} until all have tuned"
            ))?;
        }
        line(format_args!("watch:  squeue --job {id}"))?;
        line(format_args!("        nkfac-bench status {}", shell(&folder)))?;
        line(format_args!("cancel: scancel {id}"))?;
        line(format_args!("draw:   nkfac-bench figure {}", shell(&folder)))?;
        Ok(ExitCode::SUCCESS)
    }

    fn script(&self, name: &str, folder: &Path, shards: usize) -> anyhow::Result<String> {
        let program = std::env::current_exe().context("cannot find this program's own file")?;
        let here = std::env::current_dir().context("cannot find the current folder")?;
        let at_once = self.array_max.map_or(String::new(), |most| format!("%{most}"));
        let log = log(folder)?;
        let mut options = vec![
            format!("--job-name={}", option(name)?),
            format!("--array=1-{shards}{at_once}"),
            format!("--time={}", option(&self.time)?),
            format!("--cpus-per-task={}", self.cpus),
            format!("--output={}", option(&log)?),
            "--open-mode=append".into(),
            "--requeue".into(),
            format!("--signal=B:USR1@{WARNING}"),
        ];
        for (key, value) in [("partition", &self.partition), ("mem", &self.memory)] {
            if let Some(value) = value {
                options.push(format!("--{key}={}", option(value)?));
            }
        }
        options.extend((self.gpus > 0).then(|| format!("--gpus={}", self.gpus)));
        let options: String = options.iter().map(|option| format!("#SBATCH {option}\n")).collect();

        let mut command = vec![shell(program), "run".into()];
        command.extend(self.selection.arguments().iter().map(shell));
        command.extend(["--out".into(), shell(&self.out)]);
        command.extend(["--threads".into(), self.cpus.to_string()]);
        command.extend((self.gpus > 0).then(|| "--device cuda".to_owned()));
        command.extend(["--shard".into(), format!("\"$SLURM_ARRAY_TASK_ID/{shards}\"")]);
        let (here, command) = (shell(here), command.join(" "));
        Ok(format!("{HEAD}{options}\ncd {here} || exit 1\n{BEFORE}{command}{BEHIND}"))
    }
}

// What every task does: run its shard, pass signals on, and queue itself again if its time was too short.

const HEAD: &str = r#"#!/bin/bash
# Written by `nkfac-bench submit`. One task of the array runs one shard; what is finished is skipped, so it may run again at any time.
"#;

const BEFORE: &str = r#"
# Slurm sends USR1 before the time limit, and TERM before it cancels or preempts. The program saves and stops on USR1, however often.
again=no
"#;

const BEHIND: &str = r#" < /dev/null &
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

/// Where the tasks write. In such a name Slurm replaces what stands behind `%`, and nothing at all where there is a backslash.
fn log(folder: &Path) -> anyhow::Result<String> {
    match folder.to_str().filter(|text| !text.contains('\\') && text.chars().all(is_plain)) {
        Some(text) => Ok(format!("{}/_slurm/%A_%a.log", text.replace('%', "%%"))),
        None => bail!(
            "`{}` cannot be named in a batch script: Slurm takes neither backslashes nor control characters there\nhint: choose \
             another folder with `--out`",
            folder.shown()
        ),
    }
}

/// A value in an `#SBATCH` line. Those are no shell: Slurm takes double quotes, and in them a backslash before what it stands for.
fn option(text: &str) -> anyhow::Result<String> {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || "/._-=:,%+@".contains(c);
    if !text.chars().all(is_plain) {
        bail!("`{}` cannot be written into a batch script: it has a control character", spelled(text));
    }
    if text.chars().all(is_bare) {
        return Ok(text.to_owned());
    }
    Ok(format!("\"{}\"", text.replace('\\', r"\\").replace('"', r#"\""#)))
}

/// A time limit as sbatch takes it: `minutes`, `minutes:seconds`, `hours:minutes:seconds`, `days-hours`, `days-hours:minutes` or
/// `days-hours:minutes:seconds`; 0 and `UNLIMITED` are none.
fn time(text: &str) -> Result<String, String> {
    const NONE: [&str; 4] = ["0", "UNLIMITED", "INFINITE", "-1"];
    let seconds = seconds(text).ok_or("must be a time such as 30 (minutes), 04:00:00 or 2-12 (days and hours)")?;
    let is_none = NONE.iter().any(|none| none.eq_ignore_ascii_case(text));
    if !is_none && seconds <= u64::from(WARNING) {
        return Err(format!(
            "must be longer than {WARNING} seconds (got {seconds}): that is how long before its time limit a task is told to save"
        ));
    }
    Ok(text.to_owned())
}

fn seconds(text: &str) -> Option<u64> {
    if ["unlimited", "infinite", "-1"].contains(&text.to_ascii_lowercase().as_str()) {
        return Some(0);
    }
    // At most so many digits that nothing overflows.
    let number = |digits: &str| {
        let is_number = (1..=6).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_digit());
        digits.parse::<u64>().ok().filter(|_| is_number)
    };
    let (days, rest) = text.split_once('-').map_or((None, text), |(days, rest)| (Some(days), rest));
    let parts: Vec<u64> = rest.split(':').map(number).collect::<Option<_>>()?;
    let (hours, minutes, seconds) = match (days.is_some(), parts.as_slice()) {
        (true, &[hours]) => (hours, 0, 0),
        (true, &[hours, minutes]) => (hours, minutes, 0),
        (false, &[minutes]) => (0, minutes, 0),
        (false, &[minutes, seconds]) => (0, minutes, seconds),
        (_, &[hours, minutes, seconds]) => (hours, minutes, seconds),
        _ => return None,
    };
    let days = days.map_or(Some(0), number)?;
    Some(((days * 24 + hours) * 60 + minutes) * 60 + seconds)
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

#[cfg(test)]
mod tests {
    use super::{log, option, seconds, time};
    use proptest::prelude::*;
    use std::path::Path;

    #[test]
    fn times_are_those_of_sbatch_and_long_enough_to_save_in() {
        for (text, expected) in [
            ("3", 180),
            ("2:01", 121),
            ("04:00:00", 14_400),
            ("1-0", 86_400),
            ("1-2:30", 95_400),
            ("1-2:30:15", 95_415),
            ("0", 0),
            ("UNLIMITED", 0),
        ] {
            assert_eq!(seconds(text), Some(expected), "{text}");
            assert!(time(text).is_ok(), "{text}");
        }
        for wrong in
            ["", "4h", "1:2:3:4", "-5", "1-", "1-2:3:4:5", "99999999", "30 --exclusive", "+3", "0:120", "2", "0:0"]
        {
            assert!(time(wrong).is_err(), "{wrong}");
        }
    }

    /// What Slurm makes of an option's value: quotes group, a backslash stands before any character.
    fn read(option: &str) -> String {
        let (mut read, mut quoted, mut escaped) = (String::new(), false, false);
        for c in option.chars() {
            match c {
                _ if escaped => {
                    read.push(c);
                    escaped = false;
                }
                '\\' => escaped = true,
                '"' => quoted = !quoted,
                ' ' | '#' if !quoted => break,
                _ => read.push(c),
            }
        }
        read
    }

    proptest! {
        #[test]
        fn slurm_reads_every_value_back(text in "\\PC{0,20}") {
            match option(&text) {
                Ok(option) => prop_assert_eq!(read(&option), text),
                Err(_) => prop_assert!(!text.chars().all(super::is_plain)),
            }
        }
    }

    #[test]
    fn what_slurm_would_replace_in_a_folder_is_doubled_or_refused() {
        assert_eq!(log(Path::new("/a/100%j")).unwrap(), "/a/100%%j/_slurm/%A_%a.log");
        assert!(log(Path::new("/a\\b")).is_err() && log(Path::new("/a\nb")).is_err());
    }
}
