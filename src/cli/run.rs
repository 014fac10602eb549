use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use clap::Args;
use nkfac_bench::experiment::inverse::Comparison;
use nkfac_bench::experiment::{Experiment, Trial, Work};
use nkfac_bench::figure::Style;
use nkfac_bench::record::Names;
use nkfac_bench::runner::{self, NO_STORAGE, Reporter, STOPPED, Settings, Shard, Summary, WAITING};

use super::figure;
use super::lines::Lines;
use super::output::{Transcript, say};
use super::progress::Bars;
use super::selection::{Selection, warn};
use super::{choice, inverses, machine, place, signals};

/// Run every trial that is not finished yet, then draw its figures
///
/// Results go to results/<experiment>/, one Parquet file per trial. Finished trials are skipped, as are trials running in another
/// process. A checkpoint is saved every five minutes (see [checkpoint] in docs/sweeps.md); run the same command to resume an interrupted
/// run. With a [search], tuning trials go to results/<experiment>/tuning/, and the best are rerun when all of them
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
    /// Run N trials at once, each in a process with its share of the threads
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    /// Run one part of N that take about as long, such as 2/8; draw when all are done
    #[arg(long, value_name = "I/N", value_parser = shard)]
    shard: Option<Shard>,
    /// Also retry trials that failed three times
    #[arg(long)]
    retry: bool,
    /// Print one JSON object per line, for scripts
    #[arg(long)]
    json: bool,
    /// Run this trial as a child of `--jobs`: it stops when its standard input ends
    #[arg(long, hide = true, value_name = "TRIAL")]
    only: Option<String>,
}

impl Run {
    pub fn execute(self) -> anyhow::Result<ExitCode> {
        if self.jobs.is_some() {
            self.selection.refuse_pipe("`--jobs`")?;
        }
        let experiment = match self.selection.open()? {
            Work::Training(experiment) => experiment,
            Work::Inverting(comparison) => return self.compare_inverters(&comparison),
        };
        let stop = signals::stop().context("cannot listen for signals")?;
        let threads = (machine::wanted(self.threads) / self.jobs.map_or(1, usize::from)).max(1);
        machine::start(threads)?;
        let mut transcript = Transcript::default();
        if let Some(only) = &self.only {
            stop_with_input(&stop);
            return match self.part(&experiment.only(only), threads, &stop, &mut transcript) {
                // The parent is to know that other trials would fare no better.
                Err(error) if matches!(error.downcast_ref(), Some(runner::Error::Storage { .. })) => {
                    say(format_args!("error: {error}"));
                    Ok(ExitCode::from(NO_STORAGE))
                }
                summary => {
                    // The parent is to know what became of the trial; it prints to the same place, and fails there itself.
                    tell_failure(transcript);
                    Ok(code(&summary?, false))
                }
            };
        }
        warn(&experiment);
        let mut summary = self.part(&experiment, threads, &stop, &mut transcript)?;
        let (mut shown, mut waits) = (summary.has_results().then(|| experiment.names()), false);
        if !summary.stopped {
            match experiment.choose(&experiment.folder(&self.out)) {
                Some(Ok(choice)) => {
                    choice::tell(&choice, self.json, &mut transcript);
                    let reruns = self.part(&choice.reruns, threads, &stop, &mut transcript)?;
                    shown = reruns.has_results().then(|| choice.reruns.names());
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
        if summary.stopped {
            // Whoever runs the same command again, such as Slurm, looks for the code of a stop.
            tell_failure(transcript);
        } else {
            transcript.end()?;
        }
        Ok(code(&summary, waits))
    }

    /// Runs this process's part of the trials.
    fn part(
        &self,
        experiment: &Experiment,
        threads: usize,
        stop: &Arc<AtomicBool>,
        transcript: &mut Transcript,
    ) -> anyhow::Result<Summary> {
        let mut experiment = experiment.clone();
        if let Some(shard) = self.shard {
            experiment.keep(shard)?;
        }
        let settings = Settings {
            folder: experiment.folder(&self.out),
            device: machine::device(&self.device)?,
            device_name: machine::device_name(&self.device).to_owned(),
            threads,
            // Of tuning trials nobody wants any.
            save_weights: self.save_weights && experiment.search.is_none(),
            stop: stop.clone(),
            retry: self.retry,
        };
        if let Some(missing) = experiment.missing_data(&settings.folder).into_iter().next() {
            return Err(missing.into());
        }
        if self.json {
            return Ok(self.run(&experiment, &settings, &mut Lines::new(transcript))?);
        }
        let moves = self.only.is_none() && self.jobs.is_none();
        let mut bars = Bars::new(experiment.trials.len(), moves, transcript);
        let summary = self.run(&experiment, &settings, &mut bars);
        bars.finish();
        Ok(summary?)
    }

    fn run(
        &self,
        experiment: &Experiment,
        settings: &Settings,
        reporter: &mut dyn Reporter,
    ) -> Result<Summary, runner::Error> {
        let Some(jobs) = self.jobs else { return runner::run(experiment, settings, reporter) };
        let program = std::env::current_exe().map_err(|source| runner::Error::Child { source })?;
        let command = |trial: &Trial| self.child(&program, settings, trial);
        runner::run_jobs(experiment, settings, usize::from(jobs), &command, reporter)
    }

    /// The command that runs one trial in a process of its own.
    fn child(&self, program: &Path, settings: &Settings, trial: &Trial) -> Command {
        let mut command = Command::new(program);
        command.arg("run").args(self.selection.arguments()).arg("--out").arg(&self.out);
        command.args(["--device", &self.device, "--threads", &settings.threads.to_string(), "--only", &trial.id]);
        let flags = [(self.json, "--json"), (self.retry, "--retry"), (self.save_weights, "--save-weights")];
        command.args(flags.into_iter().filter_map(|(set, flag)| set.then_some(flag)));
        command.stdin(Stdio::piped());
        command
    }

    fn compare_inverters(&self, comparison: &Comparison) -> anyhow::Result<ExitCode> {
        let (device, threads) = (machine::device(&self.device)?, machine::wanted(self.threads));
        machine::start(threads)?;
        let device = (&device, machine::device_name(&self.device));
        let mut transcript = Transcript::default();
        let summary = inverses::run(comparison, &self.out, device, threads, self.json, &mut transcript)?;
        let shown = summary.has_results().then(|| comparison.names());
        self.conclude(&self.out.join(&comparison.name), &summary, Some(shown), &mut transcript)?;
        transcript.end()?;
        Ok(ExitCode::SUCCESS)
    }

    /// Draws the results of these trials, if there are any, unless it is too early (`None`), and sums up.
    fn conclude(
        &self,
        folder: &Path,
        summary: &Summary,
        shown: Option<Option<Names>>,
        transcript: &mut Transcript,
    ) -> anyhow::Result<()> {
        let Summary { finished, diverged, skipped, failed, taken, stopped } = *summary;
        match shown {
            None => {
                say(format_args!(
                    "figures are drawn when all is done, or by `nkfac-bench figure {}`",
                    self.selection.command()
                ));
            }
            Some(None) => {
                say(format_args!("no trial left a result in `{}`: there is nothing to draw", folder.display()));
            }
            Some(Some(names)) => {
                let data = place::read(folder, Some(&names))?;
                figure::draw(folder, &data, &[], Style::default(), !self.json)?;
            }
        }
        if self.json {
            let counts = serde_json::json!({
                "finished": finished, "diverged": diverged, "skipped": skipped, "failed": failed, "taken": taken
            });
            transcript.line(serde_json::json!({
                "event": "summary", "trials": counts, "folder": folder.display().to_string(), "stopped": stopped
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

/// Says what could not be printed, where the exit code has something else to say.
fn tell_failure(transcript: Transcript) {
    if let Err(error) = transcript.end() {
        say(format_args!("error: {error:#}"));
    }
}

fn code(summary: &Summary, waits: bool) -> ExitCode {
    match summary {
        Summary { stopped: true, .. } => ExitCode::from(STOPPED),
        Summary { failed: 0, .. } if waits => ExitCode::from(WAITING),
        Summary { failed: 0, .. } => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

/// Raises the flag when standard input ends, which it does when the process at its other end dies, however it dies.
fn stop_with_input(stop: &Arc<AtomicBool>) {
    let stop = stop.clone();
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        stop.store(true, Ordering::Relaxed);
    });
}

/// `2/8`.
fn shard(text: &str) -> Result<Shard, String> {
    let parts = text.split_once('/').and_then(|(number, count)| Some((number.parse().ok()?, count.parse().ok()?)));
    match parts {
        Some((number, count)) if (1..=count).contains(&number) && count <= 100_000 => Ok(Shard { number, count }),
        _ => Err("a part such as 2/8 expected".into()),
    }
}
