use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use nkfac_bench::experiment::{self, Experiment, TUNING};
use nkfac_bench::runner::{self, Entry, Standing};

use super::output::line;
use super::selection::Changes;

/// Show how every trial stands: finished, diverged, running, stopped, failed, waiting
///
/// Of an experiment file every trial is shown, of a results folder those that have begun. Seconds are training seconds of a trial that
/// has ended, and seconds since it was taken up of one that is running. With a search tuning trials come first, then reruns of the best.
#[derive(Debug, Args)]
pub struct Status {
    /// An experiment (a TOML file) or a results folder, such as results/quickstart
    place: PathBuf,
    /// The folder for results, where an experiment is named
    #[arg(long, value_name = "DIR", default_value = "results")]
    out: PathBuf,
    #[command(flatten)]
    changes: Changes,
}

impl Status {
    pub fn execute(self) -> anyhow::Result<ExitCode> {
        if self.place.is_dir() {
            self.changes.refuse_for(&self.place)?;
            let tuning = self.place.join(TUNING);
            if tuning.is_dir() {
                line("tuning")?;
                show(&tuning, None)?;
                line("reruns")?;
            }
            show(&self.place, None)?;
            return Ok(ExitCode::SUCCESS);
        }
        let experiment = experiment::read(&self.place, &self.changes.overrides())?;
        let folder = experiment.folder(&self.out);
        let Some(choice) = experiment.choose(&folder) else {
            show(&folder, Some(&experiment))?;
            return Ok(ExitCode::SUCCESS);
        };
        line("tuning")?;
        show(&folder, Some(&experiment))?;
        line("reruns")?;
        match choice {
            Ok(choice) => show(&choice.reruns.folder(&self.out), Some(&choice.reruns))?,
            Err(waiting) => line(waiting)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// A line for every trial, and one that counts them.
fn show(folder: &Path, experiment: Option<&Experiment>) -> anyhow::Result<()> {
    let entries =
        runner::survey(folder, experiment).with_context(|| format!("cannot read folder `{}`", folder.display()))?;
    let width =
        |text: &dyn Fn(&Entry) -> String| entries.iter().map(|entry| text(entry).chars().count()).max().unwrap_or(0);
    let (arms, swept) = (width(&|entry| entry.arm.clone()), width(&|entry| runner::listed(&entry.swept)));
    let asked = experiment.map_or(entries.len(), |experiment| experiment.trials.len());
    let (entries, others) = entries.split_at(asked);
    for Entry { trial, arm, swept: keys, standing, seconds, note, .. } in entries {
        let keys = runner::listed(keys);
        let seconds = seconds.map_or(String::new(), |seconds| format!("{seconds:.1} s"));
        let text = format!("{trial}  {:<8}  {seconds:>10}  {arm:<arms$}  {keys:<swept$}  {note}", standing.name());
        line(text.trim_end())?;
    }
    line(counts(entries))?;
    if !others.is_empty() {
        line(format_args!(
            "besides, in `{0}`: {1} that the file does not have (`nkfac-bench status {0}` lists all, `clean --stale` removes them)",
            folder.display(),
            counts(others)
        ))?;
    }
    Ok(())
}

/// `3 finished, 1 running, 4 waiting`.
fn counts(entries: &[Entry]) -> String {
    let count = |standing: Standing| entries.iter().filter(|entry| entry.standing == standing).count();
    let counts = Standing::ALL.map(|standing| (count(standing), standing.name()));
    let some: Vec<String> =
        counts.iter().filter(|(count, _)| *count > 0).map(|(count, name)| format!("{count} {name}")).collect();
    if some.is_empty() { "no trials".into() } else { some.join(", ") }
}
