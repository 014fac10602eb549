use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use nkfac_bench::experiment::{self, Experiment, TUNING};
use nkfac_bench::runner::{self, Entry, Standing};

use nkfac_bench::text::{self, Shown};
use serde_json::{Map, Value, json};

use super::output::line;
use super::selection::Changes;

/// Show how every trial stands: finished, diverged, running, stopped, failed, waiting
///
/// Of an experiment file it shows every trial, of a results folder those that have begun. Seconds are training seconds for a trial that
/// has ended, and seconds since it was taken up for one that is running; behind them is the last value on the test set: accuracy, or of text the loss. With a search, tuning trials come first, then reruns of the best.
#[derive(Debug, Args)]
pub struct Status {
    /// An experiment (a TOML file) or a results folder, such as results/quickstart
    place: PathBuf,
    /// The folder for results, where an experiment is named
    #[arg(long, value_name = "DIR", default_value = "results")]
    out: PathBuf,
    #[command(flatten)]
    changes: Changes,
    /// Print one JSON object per trial, for scripts
    #[arg(long)]
    json: bool,
}

impl Status {
    pub fn execute(self) -> anyhow::Result<ExitCode> {
        if self.place.is_dir() {
            self.changes.refuse_for(&self.place)?;
            let tuning = self.place.join(TUNING);
            if tuning.is_dir() {
                self.show(Some("tuning"), &tuning, None)?;
                self.show(Some("reruns"), &self.place, None)?;
            } else {
                self.show(None, &self.place, None)?;
            }
            return Ok(ExitCode::SUCCESS);
        }
        let experiment = experiment::read(&self.place, &self.changes.overrides())?;
        let folder = experiment.folder(&self.out);
        match experiment.choose(&folder) {
            None => self.show(None, &folder, Some(&experiment))?,
            Some(choice) => {
                self.show(Some("tuning"), &folder, Some(&experiment))?;
                match choice {
                    Ok(choice) => {
                        self.show(Some("reruns"), &choice.reruns.folder(&self.out), Some(&choice.reruns))?;
                    }
                    Err(waiting) if !self.json => line(format_args!("reruns\n{waiting}"))?,
                    Err(_) => {}
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    /// The trials of a folder, under the head of their part of a search.
    fn show(&self, part: Option<&str>, folder: &Path, experiment: Option<&Experiment>) -> anyhow::Result<()> {
        let entries =
            runner::survey(folder, experiment).with_context(|| format!("cannot read folder `{}`", folder.shown()))?;
        let asked = experiment.map_or(entries.len(), |experiment| experiment.trials.len());
        let (entries, others) = entries.split_at(asked);
        if self.json {
            let mut all = entries.iter().map(|entry| (entry, true)).chain(others.iter().map(|entry| (entry, false)));
            return all.try_for_each(|(entry, asked)| line(object(part, entry, asked)));
        }
        if let Some(part) = part {
            line(part)?;
        }
        show(entries)?;
        if !others.is_empty() {
            line(format_args!(
                "besides, in `{0}`: {1} that the file does not have (`nkfac-bench status {0}` lists all, `clean --stale` removes them)",
                folder.shown(),
                counts(others)
            ))?;
        }
        Ok(())
    }
}

/// A trial for scripts; `asked` says whether the experiment's file has it.
fn object(part: Option<&str>, entry: &Entry, asked: bool) -> Value {
    let Entry { trial, arm, swept, seed, standing, started, seconds, test, note } = entry;
    let (metric, test) = test.map_or((None, None), |(goal, value)| (Some(goal.metric.name()), Some(value)));
    let swept: Map<_, _> = swept.iter().cloned().collect();
    json!({
        "trial": trial, "part": part, "arm": arm, "seed": seed, "swept": swept, "state": standing.name(), "started": started,
        "seconds": seconds, "metric": metric, "test": test, "note": note, "asked": asked
    })
}

/// A line for every trial, and one that counts them.
fn show(entries: &[Entry]) -> anyhow::Result<()> {
    let width = |of: &dyn Fn(&Entry) -> String| entries.iter().map(|entry| text::width(&of(entry))).max().unwrap_or(0);
    let shown = |entry: &Entry| entry.test.map_or(String::new(), |(goal, value)| goal.show(value));
    let tests = width(&shown);
    let (arms, swept) = (width(&|entry| entry.arm.clone()), width(&|entry| runner::listed(&entry.swept)));
    for entry in entries {
        let Entry { trial, arm, swept: keys, standing, seconds, note, .. } = entry;
        let (arm, keys) = (text::left(arm, arms), text::left(&runner::listed(keys), swept));
        let seconds = seconds.map_or(String::new(), |seconds| format!("{seconds:.1} s"));
        let test = text::right(&shown(entry), tests);
        let text = format!("{trial}  {:<8}  {seconds:>10}  {test}  {arm}  {keys}  {note}", standing.name());
        line(text.trim_end())?;
    }
    line(counts(entries))
}

/// `3 finished, 1 running, 4 waiting`.
fn counts(entries: &[Entry]) -> String {
    let count = |standing: Standing| entries.iter().filter(|entry| entry.standing == standing).count();
    let counts = Standing::ALL.map(|standing| (count(standing), standing.name()));
    let some: Vec<String> =
        counts.iter().filter(|(count, _)| *count > 0).map(|(count, name)| format!("{count} {name}")).collect();
    if some.is_empty() { "no trials".into() } else { some.join(", ") }
}
