//! What a person sees of a sweep: a bar for the sweep, a bar for each trial that runs, a line for each that ended. The bars go to standard
//! error and only to a terminal.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use nkfac_bench::experiment::{Experiment, Trial};
use nkfac_bench::record::Status;
use nkfac_bench::runner::{Event, Pace, Phase, Reporter, left};
use nkfac_bench::train::{Progress, Score};

use super::output::{Transcript, say};
use super::plan::differences;
use super::target;

pub struct Bars<'a> {
    transcript: &'a mut Transcript,
    bars: MultiProgress,
    sweep: ProgressBar,
    /// Trials at a time.
    at_once: usize,
    /// Of every trial, in the order of the plan.
    paces: Vec<Pace<'a>>,
    places: HashMap<&'a str, usize>,
    running: HashMap<String, Running>,
}

/// A trial that runs.
struct Running {
    bar: ProgressBar,
    epochs: usize,
    batch: usize,
    /// Training seconds that it may take.
    max_seconds: Option<f64>,
    begun: Instant,
    /// Steps that an earlier process took.
    before: usize,
    /// Epochs that ended here.
    ended: usize,
    /// The scores of the last of them.
    last: Option<(Score, Score)>,
}

impl<'a> Bars<'a> {
    /// Bars over an experiment, so many of whose trials run at a time.
    pub fn new(experiment: &'a Experiment, at_once: usize, transcript: &'a mut Transcript) -> anyhow::Result<Self> {
        let bars = MultiProgress::with_draw_target(target::stderr());
        let sweep = bars.add(ProgressBar::new(experiment.trials.len() as u64));
        sweep.set_style(style("sweep {wide_bar:.blue} {pos}/{len} trials · {elapsed}{msg}"));
        let mut paces = Vec::new();
        if !sweep.is_hidden() {
            sweep.enable_steady_tick(Duration::from_secs(1));
            let trials = experiment.trials.iter().zip(experiment.costs()?);
            paces.extend(trials.map(|(trial, cost)| Pace { arm: &trial.arm, cost, phase: Phase::Waiting }));
        }
        let places = experiment.trials.iter().enumerate().map(|(place, trial)| (trial.id.as_str(), place)).collect();
        Ok(Self { transcript, bars, sweep, at_once, paces, places, running: HashMap::new() })
    }

    /// Takes the bars off the screen.
    pub fn finish(&self) {
        self.running.values().for_each(|running| running.bar.finish_and_clear());
        self.sweep.finish_and_clear();
    }

    /// Prints a line above the bars.
    fn line(&mut self, text: &str) {
        self.bars.suspend(|| self.transcript.line(text));
    }

    /// Remarks something above the bars.
    fn say(&self, text: &str) {
        self.bars.suspend(|| say(text));
    }

    fn started(&mut self, trial: &Trial) {
        let bar = self.bars.add(ProgressBar::new(trial.config.rounds() as u64));
        bar.set_style(style("{prefix} {wide_bar:.green} {msg}"));
        bar.set_prefix(trial.arm.clone());
        let (epochs, batch) = (trial.config.rounds(), trial.config.batch);
        let max_seconds = trial.config.max_seconds;
        let running =
            Running { bar, epochs, batch, max_seconds, begun: Instant::now(), before: 0, ended: 0, last: None };
        if let Some(old) = self.running.insert(trial.id.clone(), running) {
            old.bar.finish_and_clear();
        }
    }

    /// Notes how far a trial is, and says how long all takes yet.
    fn pace(&mut self, trial: &Trial, phase: Phase) {
        if let Some(pace) = self.places.get(trial.id.as_str()).and_then(|&place| self.paces.get_mut(place)) {
            pace.phase = phase;
            let left = left(&self.paces, self.at_once).map_or(String::new(), |left| format!(" · {left}"));
            self.sweep.set_message(left);
        }
    }

    fn stepped(&mut self, trial: &Trial, at: &Progress) {
        let Some(running) = self.running.get(&trial.id) else { return };
        let phase = running.phase(at);
        self.pace(trial, phase);
        let cost = 1.0;
        let own = left(&[Pace { arm: &trial.arm, cost, phase }], 1).map_or(String::new(), |left| format!(" · {left}"));
        if let Some(running) = self.running.get(&trial.id) {
            running.show(at, &own);
        }
    }

    /// A trial runs no more.
    fn over(&mut self, trial: &Trial, phase: Phase) {
        if let Some(running) = self.running.remove(&trial.id) {
            running.bar.finish_and_clear();
            self.bars.remove(&running.bar);
        }
        self.pace(trial, phase);
        self.sweep.inc(1);
    }

    fn ended(&mut self, trial: &Trial, status: Status, reason: Option<&str>, seconds: f64) {
        let (name, running) = (name(trial), self.running.get(&trial.id));
        let whole = running.and_then(Running::whole).filter(|_| status == Status::Finished);
        match (status, running.and_then(|running| running.last)) {
            (Status::Finished, Some((train, test))) => {
                let (goal, value, loss) = (test.goal.title, test.goal.show(test.value), train.loss);
                self.line(&format!("{name}  test {goal} {value:>7}  train loss {loss:.4}  {seconds:.1} s"));
            }
            _ => self.line(&format!("{name}  diverged: {}", reason.unwrap_or("no epoch ended"))),
        }
        self.over(trial, Phase::Ended(whole));
    }
}

impl Running {
    fn phase(&self, at: &Progress) -> Phase {
        let (all, step) = ((self.epochs * at.steps).max(1) as f64, at.epoch * at.steps + at.step);
        let (share, here) = (step as f64 / all, step.saturating_sub(self.before) as f64 / all);
        if here == 0.0 {
            return Phase::Begun { runs: true, share: 0.0, spent: 0.0, epochs: 0 };
        }
        // As if all of it had run here.
        let spent = self.begun.elapsed().as_secs_f64() * share / here;
        let share = self.max_seconds.map_or(share, |most| share.max(at.seconds / most)).min(1.0);
        Phase::Begun { runs: true, share, spent, epochs: self.ended }
    }

    /// The seconds that all of it would have taken here.
    fn whole(&self) -> Option<f64> {
        let all = self.bar.length().unwrap_or(0) as f64;
        let here = all - self.before as f64;
        (here > 0.0).then(|| self.begun.elapsed().as_secs_f64() * all / here)
    }

    fn show(&self, at: &Progress, left: &str) {
        let Progress { epoch, step, steps, loss, seconds } = *at;
        let done = epoch * steps + step;
        self.bar.set_length((self.epochs * steps) as u64);
        self.bar.set_position(done as u64);
        let test = self.last.map_or(String::new(), |(_, test)| format!(" · test {}", test.goal.show(test.value)));
        let speed = (done * self.batch) as f64 / seconds;
        self.bar.set_message(format!(
            "epoch {}/{} · loss {loss:.3}{test} · {speed:.0} examples/s{left}",
            epoch + 1,
            self.epochs
        ));
    }
}

/// The templates are constants of this file; one that indicatif refuses falls back to its own.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

fn name(trial: &Trial) -> String {
    let swept = differences(trial);
    let comma = if swept.is_empty() { "" } else { ", " };
    format!("{}  {}{comma}{swept}", trial.id, trial.arm)
}

impl Reporter for Bars<'_> {
    fn event(&mut self, trial: &Trial, event: &Event) {
        let name = name(trial);
        match event {
            Event::Started { .. } => self.started(trial),
            Event::Step(progress) => self.stepped(trial, progress),
            Event::Epoch { train, test, .. } => {
                if let Some(running) = self.running.get_mut(&trial.id) {
                    running.last = Some((*train, *test));
                    running.ended += 1;
                }
            }
            Event::Resumed { step, elsewhere } => {
                if let Some(running) = self.running.get_mut(&trial.id) {
                    running.before = *step;
                }
                let elsewhere = elsewhere.as_ref().map_or(String::new(), |machine| {
                    format!(", saved on another machine ({machine}): last bits may differ")
                });
                self.say(&format!("{name}  resuming after step {step}{elsewhere}"));
            }
            Event::Unreadable { path, message } => {
                self.say(&format!("{name}  discarding the checkpoint `{path}`: {message}"));
            }
            Event::NotSaved { folder, message } => {
                self.say(&format!("{name}  no checkpoint in `{folder}`: {message}; the trial continues without one"));
            }
            Event::Weights { message } => self.say(&format!("{name}  {message}")),
            Event::Broken { path, reason } => {
                self.say(&format!("left out `{path}`, which cannot be decoded: {reason}"));
            }
            // Of trials that run beside each other it is said once, before they start.
            Event::Disturbed { .. } if self.at_once > 1 => {}
            Event::Disturbed { how } => self.say(&format!("{name}  warning: times disturbed: it {how}")),
            Event::Skipped { elsewhere, seconds } => {
                let elsewhere = elsewhere.as_ref().map_or(String::new(), |machine| format!(", but on {machine}"));
                self.line(&format!("{name}  already done{elsewhere}"));
                self.over(trial, Phase::Ended(*seconds));
            }
            Event::Taken(holder) => {
                self.line(&format!("{name}  running in process {} on {}", holder.pid, holder.host));
                self.over(trial, Phase::Gone);
            }
            Event::Stopped { step, saved } => {
                let saved = if *saved { "checkpoint saved" } else { "no checkpoint saved" };
                self.line(&format!("{name}  stopped after step {step}; {saved}"));
                self.over(trial, Phase::Gone);
            }
            Event::Ended { status, reason, seconds } => self.ended(trial, *status, reason.as_deref(), *seconds),
            Event::Failed { error, again: true } => self.say(&format!("{name}  failed: {error}; retrying")),
            Event::Failed { error, again: false } => {
                self.say(&format!("{name}  failed: {error}"));
                self.over(trial, Phase::Gone);
            }
            Event::NoStorage { error } => self.say(&format!("error: {error}")),
        }
    }
}
