//! What a person sees of a sweep: a bar for the sweep, a bar for the trial, a line for each trial that ended. The bars go to standard
//! error and only to a terminal.

use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use nkfac_bench::data::Broken;
use nkfac_bench::experiment::Trial;
use nkfac_bench::record::Status;
use nkfac_bench::runner::{Event, Reporter};
use nkfac_bench::train::{Note, Observer, Outcome, Progress, Score};

use super::output::{Transcript, say};
use super::plan::differences;
use super::target;

pub struct Bars<'a> {
    transcript: &'a mut Transcript,
    bars: MultiProgress,
    sweep: ProgressBar,
    trial: ProgressBar,
    /// Of the running trial.
    name: String,
    epochs: usize,
    batch: usize,
    /// The scores of the last epoch.
    last: Option<(Score, Score)>,
}

impl<'a> Bars<'a> {
    /// Bars over so many trials that move, or lines alone.
    pub fn new(trials: usize, moves: bool, transcript: &'a mut Transcript) -> Self {
        let target = if moves { target::stderr() } else { ProgressDrawTarget::hidden() };
        let bars = MultiProgress::with_draw_target(target);
        let sweep = bars.add(ProgressBar::new(trials as u64));
        sweep.set_style(style("sweep {wide_bar:.blue} {pos}/{len} trials · {elapsed} · {eta} left"));
        let trial = bars.add(ProgressBar::new(0));
        trial.set_style(style("{prefix} {wide_bar:.green} {msg} · {eta} left"));
        if !sweep.is_hidden() {
            sweep.enable_steady_tick(Duration::from_secs(1));
        }
        Self { transcript, bars, sweep, trial, name: String::new(), epochs: 0, batch: 0, last: None }
    }

    /// Takes the bars off the screen.
    pub fn finish(&self) {
        self.trial.finish_and_clear();
        self.sweep.finish_and_clear();
    }

    /// Prints a line above the bars.
    fn line(&mut self, text: &str) {
        self.bars.suspend(|| self.transcript.line(text));
    }

    fn ended(&mut self, trial: &Trial, outcome: &Outcome) {
        let name = name(trial);
        match (outcome.status, &self.last) {
            (Status::Finished, Some((train, test))) => {
                let seconds = outcome.rows.last().map_or(0.0, |row| row.seconds);
                let (accuracy, loss) = (100.0 * test.accuracy, train.loss);
                self.line(&format!("{name}  test accuracy {accuracy:5.2} %  train loss {loss:.4}  {seconds:.1} s"));
            }
            _ => {
                let reason = outcome.reason.as_deref().unwrap_or("no epoch ended");
                self.line(&format!("{name}  diverged: {reason}"));
            }
        }
    }
}

/// The templates are constants of this file; one that indicatif refuses falls back to its own.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

fn name(trial: &Trial) -> String {
    let swept = differences(trial);
    let space = if swept.is_empty() { "" } else { " " };
    format!("{}  {}{space}{swept}", trial.id, trial.arm)
}

impl Observer for Bars<'_> {
    fn step(&mut self, progress: &Progress) {
        let Progress { epoch, step, steps, loss, seconds } = *progress;
        let done = epoch * steps + step;
        self.trial.set_length((self.epochs * steps) as u64);
        self.trial.set_position(done as u64);
        let accuracy = self.last.map_or(String::new(), |(_, test)| format!(" · test {:.1} %", 100.0 * test.accuracy));
        let speed = (done * self.batch) as f64 / seconds;
        self.trial.set_message(format!(
            "epoch {}/{} · loss {loss:.3}{accuracy} · {speed:.0} images/s",
            epoch + 1,
            self.epochs
        ));
    }

    fn epoch(&mut self, _epoch: usize, train: Score, test: Score) {
        self.last = Some((train, test));
    }

    fn note(&mut self, note: &Note<'_>) {
        let name = &self.name;
        let text = match note {
            Note::Resumed { step, elsewhere: None } => format!("{name}  resuming after step {step}"),
            Note::Resumed { step, elsewhere: Some(machine) } => {
                format!(
                    "{name}  resuming after step {step}, saved on another machine ({machine}): last bits may differ"
                )
            }
            Note::Unreadable { path, message } => {
                format!("{name}  the checkpoint `{}` is thrown away: {message}", path.display())
            }
            Note::NotSaved { folder, message } => {
                format!("{name}  no checkpoint in `{}`: {message}; the trial continues without one", folder.display())
            }
            Note::Weights { message } => format!("{name}  {message}"),
        };
        self.bars.suspend(|| say(text));
    }
}

impl Reporter for Bars<'_> {
    fn event(&mut self, event: &Event<'_>) {
        match event {
            Event::Started { trial, .. } => {
                (self.epochs, self.batch, self.last) = (trial.config.epochs, trial.config.batch, None);
                self.name = name(trial);
                self.trial.reset();
                self.trial.set_prefix(trial.arm.clone());
                return;
            }
            Event::Broken { broken, .. } => {
                let Broken { path, reason } = broken;
                self.bars
                    .suspend(|| say(format_args!("left out `{}`, which cannot be decoded: {reason}", path.display())));
                return;
            }
            Event::Skipped { trial, elsewhere: None } => self.line(&format!("{}  already done", name(trial))),
            Event::Skipped { trial, elsewhere: Some(machine) } => {
                self.line(&format!("{}  already done, but on {machine}", name(trial)));
            }
            Event::Taken { trial, holder } => {
                self.line(&format!("{}  running in process {} on {}", name(trial), holder.pid, holder.host));
            }
            Event::Stopped { trial, step, saved } => {
                let saved = if *saved { "checkpoint saved" } else { "no checkpoint saved" };
                self.line(&format!("{}  stopped after step {step}; {saved}", name(trial)));
            }
            Event::Ended { trial, outcome } => self.ended(trial, outcome),
            Event::Failed { trial, error, again } => {
                let again = if *again { "; retrying" } else { "" };
                self.bars.suspend(|| say(format_args!("{}  failed: {error}{again}", name(trial))));
                if !again.is_empty() {
                    return;
                }
            }
        }
        self.sweep.inc(1);
    }
}
