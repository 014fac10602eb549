use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::{Context, bail};
use clap::Args;
use nkfac_bench::experiment::inverse::Comparison;
use nkfac_bench::experiment::{Experiment, Source, Trial, Work};
use nkfac_bench::figure::{FOLDER, Style};
use nkfac_bench::record::Names;
use nkfac_bench::runner::inverse::Place;
use nkfac_bench::runner::{self, Event, Jobs, NO_STORAGE, Reporter, STOPPED, Settings, Shard, Summary, WAITING};
use nkfac_bench::text::{Shown, shell};

use super::child::{self, Teller};
use super::figure;
use super::lines::Lines;
use super::output::{Transcript, say};
use super::progress::Bars;
use super::selection::{Selection, warn};
use super::{choice, inverses, machine, place, signals};

/// Run every trial that is not finished yet, then draw its figures
///
/// Results go to results/<experiment>/, one Parquet file per trial. Each trial runs in a process of its own. Finished trials are skipped, as are trials running in another
/// process. A checkpoint is saved every five minutes (see [checkpoint] in docs/sweeps.md); run the same command to resume an interrupted
/// run. With a [search], tuning trials go to results/<experiment>/_tuning/, and the best are rerun when all of them
/// are done. Ctrl-C or SIGTERM finishes the step, saves and stops; a second one stops at once. A terminal that is
/// closed (SIGHUP, unless nohup ignores it) and SIGUSR1, for schedulers, are the first without a second.
///
/// Exit codes: 0 all done (divergence is a result); 1 a trial failed, or nothing could be run or written; 2 the command line is
/// wrong; 3 stopped on request, run the same command to resume; 4 all done here, but reruns of the best wait for tuning trials of other
/// processes, run the same command later; 130 or 143 stopped at once by a second signal.
#[derive(Debug, Args)]
pub struct Run {
    #[command(flatten)]
    selection: Selection,
    /// The folder for results
    #[arg(long, value_name = "DIR", default_value = "results")]
    out: PathBuf,
    /// cpu, cuda or cuda:N
    #[arg(long, default_value = "cpu")]
    device: String,
    /// Threads to compute with [default: all cores]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
    /// Write each trial's final weights beside its result, as safetensors with PyTorch's names and layouts
    ///
    /// Trials already finished are not rerun for this.
    #[arg(long)]
    save_weights: bool,
    /// Run N trials at once, each with its share of the threads
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    jobs: u16,
    /// Run all trials in this process, and not each in one of its own
    ///
    /// Saves some 50 ms per trial. The peak memory of a trial then includes what the allocator kept from earlier ones.
    #[arg(long, conflicts_with = "jobs")]
    in_process: bool,
    /// Run one part of N that take about as long, such as 2/8; draw when all are done
    #[arg(long, value_name = "I/N", value_parser = shard)]
    shard: Option<Shard>,
    /// Also retry trials that failed three times
    #[arg(long)]
    retry: bool,
    /// Print one JSON object per line, for scripts
    #[arg(long)]
    json: bool,
    /// Run this trial for the process that started this one
    #[arg(long, hide = true, value_name = "TRIAL")]
    only: Option<String>,
}

impl Run {
    pub fn execute(self) -> anyhow::Result<ExitCode> {
        let source = match self.only {
            Some(_) => self.selection.source_of(child::text()?),
            None => self.selection.source()?,
        };
        let experiment = match self.selection.resolve(&source)? {
            Work::Training(experiment) => experiment,
            Work::Inverting(comparison) => return self.compare_inverters(&comparison),
        };
        let stop = signals::stop().context("cannot listen for signals")?;
        let threads = (machine::wanted(self.threads) / usize::from(self.jobs)).max(1);
        machine::start(threads)?;
        if let Some(only) = &self.only {
            child::stop_with_input(&stop);
            return self.run_one(&experiment.only(only), threads, stop);
        }
        let with = Sweep { source: &source, threads, stop: &stop };
        let mut transcript = Transcript::default();
        warn(&experiment);
        let mut summary = self.part(&experiment, &with, &mut transcript)?;
        let (mut shown, mut waits) = (summary.has_results().then(|| Drawn::only(experiment.names())), false);
        if !summary.stopped {
            match experiment.choose(&experiment.folder(&self.out)) {
                Some(Ok(choice)) => {
                    choice::tell(&choice, self.json, &mut transcript);
                    let reruns = self.part(&choice.reruns, &with, &mut transcript)?;
                    let tuning = Some((experiment.folder(&self.out), experiment.names()));
                    shown = reruns.has_results().then(|| Drawn { names: choice.reruns.names(), tuning });
                    summary = summary + reruns;
                }
                Some(Err(waiting)) => {
                    choice::tell_waiting(&waiting, self.json, &mut transcript);
                    waits = true;
                }
                None => {}
            }
        }
        let ends = !waits && !summary.stopped && self.shard.is_none();
        self.conclude(&self.out.join(&experiment.name), &summary, ends.then_some(shown), &mut transcript)?;
        end(&summary, transcript)?;
        Ok(code(&summary, waits))
    }

    /// Says what will disturb the times of trials, before it does.
    fn warn_of_times(&self) {
        if self.jobs > 1 {
            say("warning: trials that run at once disturb each other's times; compare times of `--jobs 1`");
        }
        let cores = machine::wanted(None);
        if let Some(load) = runner::load().filter(|&load| load > 1.25 * cores as f64) {
            say(format_args!("warning: the load average is {load:.1} on {cores} cores: times will be disturbed"));
        }
    }

    /// Runs this process's part of the trials.
    fn part(&self, experiment: &Experiment, with: &Sweep<'_>, transcript: &mut Transcript) -> anyhow::Result<Summary> {
        let mut experiment = experiment.clone();
        if let Some(shard) = self.shard {
            experiment.keep(shard)?;
        }
        let settings = self.settings(&experiment, with.threads, with.stop.clone())?;
        if let Some(obstacle) = experiment.obstacles(&settings.folder).into_iter().next() {
            return Err(obstacle.into());
        }
        if experiment.trials.iter().any(|trial| !settings.folder.join(format!("{}.parquet", trial.id)).exists()) {
            self.warn_of_times();
        }
        if self.json {
            return self.run(&experiment, &settings, with, &mut Lines::new(transcript));
        }
        let mut bars = Bars::new(&experiment, usize::from(self.jobs), transcript)?;
        let summary = self.run(&experiment, &settings, with, &mut bars);
        bars.finish();
        summary
    }

    fn settings(&self, experiment: &Experiment, threads: usize, stop: Arc<AtomicBool>) -> anyhow::Result<Settings> {
        Ok(Settings {
            folder: experiment.folder(&self.out),
            device: machine::device(&self.device)?,
            device_name: machine::device_name(&self.device).to_owned(),
            threads,
            // Tuning trials are only a means: their weights are not kept.
            save_weights: self.save_weights && experiment.search.is_none(),
            stop,
            retry: self.retry,
            parent: self.only.as_ref().and_then(|_| parent()),
        })
    }

    fn run(
        &self,
        experiment: &Experiment,
        settings: &Settings,
        with: &Sweep<'_>,
        reporter: &mut dyn Reporter,
    ) -> anyhow::Result<Summary> {
        if self.in_process {
            return Ok(runner::run(experiment, settings, reporter)?);
        }
        let program = std::env::current_exe().context("cannot find this program's own file")?;
        let command = |trial: &Trial| self.child(&program, settings, trial);
        let jobs = Jobs { count: usize::from(self.jobs), command: &command, input: &child::input(&with.source.text) };
        Ok(runner::run_jobs(experiment, settings, &jobs, reporter)?)
    }

    /// The command that runs one trial in a process of its own.
    fn child(&self, program: &Path, settings: &Settings, trial: &Trial) -> Command {
        let mut command = Command::new(program);
        command.arg("run").args(self.selection.arguments()).arg("--out").arg(&self.out);
        command.args(["--device", &self.device, "--threads", &settings.threads.to_string(), "--only", &trial.id]);
        let flags = [(self.retry, "--retry"), (self.save_weights, "--save-weights")];
        command.args(flags.into_iter().filter_map(|(set, flag)| set.then_some(flag)));
        command
    }

    /// Runs one trial for another process, which is told of it.
    fn run_one(&self, experiment: &Experiment, threads: usize, stop: Arc<AtomicBool>) -> anyhow::Result<ExitCode> {
        let Some(trial) = experiment.trials.first() else {
            bail!(
                "a file that the trial starts from has changed since it was planned\nhint: run the same command again: \
                 other weights are another trial"
            )
        };
        let mut teller = Teller::default();
        match runner::run(experiment, &self.settings(experiment, threads, stop)?, &mut teller) {
            // The parent is to know that other trials would fare no better.
            Err(error @ runner::Error::Storage { .. }) => {
                teller.event(trial, &Event::NoStorage { error: error.to_string() });
                Ok(ExitCode::from(NO_STORAGE))
            }
            summary => Ok(code(&summary?, false)),
        }
    }

    fn compare_inverters(&self, comparison: &Comparison) -> anyhow::Result<ExitCode> {
        let stop = signals::stop().context("cannot listen for signals")?;
        let (device, threads) = (machine::device(&self.device)?, machine::wanted(self.threads));
        machine::start(threads)?;
        let device_name = machine::device_name(&self.device);
        let mut transcript = Transcript::default();
        let place = Place { folder: self.out.join(&comparison.name), device: &device, device_name, threads, stop };
        let summary = inverses::run(comparison, &place, self.json, &mut transcript)?;
        let shown = summary.has_results().then(|| Drawn::only(comparison.names()));
        self.conclude(&place.folder, &summary, (!summary.stopped).then_some(shown), &mut transcript)?;
        end(&summary, transcript)?;
        Ok(code(&summary, false))
    }

    /// Draws the results of these trials, if there are any, unless it is too early (`None`), and sums up.
    fn conclude(
        &self,
        folder: &Path,
        summary: &Summary,
        shown: Option<Option<Drawn>>,
        transcript: &mut Transcript,
    ) -> anyhow::Result<()> {
        let Summary { finished, diverged, skipped, failed, taken, stopped } = *summary;
        match shown {
            None => {
                let elsewhere = match self.out.as_os_str() == "results" {
                    true => String::new(),
                    false => format!(" --results {}", shell(&self.out)),
                };
                say(format_args!(
                    "figures are drawn when all is done, or by `nkfac-bench figure {}{elsewhere}`",
                    self.selection.command()
                ));
            }
            Some(None) => {
                say(format_args!("no trial left a result in `{}`: there is nothing to draw", folder.shown()));
            }
            Some(Some(Drawn { names, tuning })) => {
                let mut data = place::read(folder, Some(&names))?;
                if let Some((folder, names)) = tuning {
                    data.tuning = Some(Box::new(place::tuning(&folder, &names)?));
                }
                figure::draw(&folder.join(FOLDER), &data, &[], Style::default(), !self.json)?;
            }
        }
        if self.json {
            let counts = serde_json::json!({
                "finished": finished, "diverged": diverged, "skipped": skipped, "failed": failed, "taken": taken
            });
            transcript.line(serde_json::json!({
                "event": "summary", "trials": counts, "folder": folder.to_string_lossy(), "stopped": stopped
            }));
            return Ok(());
        }
        let taken = if taken == 0 { String::new() } else { format!(", {taken} run by other processes") };
        transcript.line(format_args!(
            "{finished} finished, {diverged} diverged, {skipped} already done, {failed} failed{taken}"
        ));
        if stopped {
            say("stopped; run the same command to resume");
        }
        Ok(())
    }
}

/// What is drawn at the end.
struct Drawn {
    names: Names,
    /// Where the tuning trials behind them lie, and which these are.
    tuning: Option<(PathBuf, Names)>,
}

impl Drawn {
    const fn only(names: Names) -> Self {
        Self { names, tuning: None }
    }
}

/// What all of a sweep's trials are run with.
struct Sweep<'a> {
    source: &'a Source,
    threads: usize,
    stop: &'a Arc<AtomicBool>,
}

/// The process that started this one.
#[cfg(unix)]
fn parent() -> Option<u32> {
    Some(std::os::unix::process::parent_id())
}

#[cfg(not(unix))]
fn parent() -> Option<u32> {
    None
}

/// Output that could not be written is an error, unless the sweep was stopped: Slurm and other schedulers look for that exit code to run
/// the same command again.
fn end(summary: &Summary, transcript: Transcript) -> anyhow::Result<()> {
    match transcript.end() {
        Err(error) if summary.stopped => say(format_args!("error: {error:#}")),
        other => other?,
    }
    Ok(())
}

fn code(summary: &Summary, waits: bool) -> ExitCode {
    match summary {
        Summary { stopped: true, .. } => ExitCode::from(STOPPED),
        Summary { failed: 0, .. } if waits => ExitCode::from(WAITING),
        Summary { failed: 0, .. } => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

/// `2/8`.
fn shard(text: &str) -> Result<Shard, String> {
    let parts = text.split_once('/').and_then(|(number, count)| Some((number.parse().ok()?, count.parse().ok()?)));
    match parts {
        Some((number, count)) if (1..=count).contains(&number) && count <= 100_000 => Ok(Shard { number, count }),
        _ => Err("must be a part such as 2/8".into()),
    }
}
