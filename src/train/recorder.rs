//! Turns what happens in a trial into rows.

use crate::clock::{Clock, Seconds};
use crate::optim::Kfac;
use crate::record::{Metric, Row, Scope};

use super::memory;
use super::tally::Score;

/// The rows of one trial so far.
#[derive(Debug, Default)]
pub struct Recorder {
    pub rows: Vec<Row>,
    /// Where the next rows stand.
    epoch: u32,
    step: u64,
    seconds: f64,
    /// The clock at the end of the last epoch.
    last_epoch: Seconds,
    step_seconds: Vec<f64>,
}

impl Recorder {
    /// After step number `step`, counted from 1, of `epoch`, counted from 0.
    pub fn step(&mut self, epoch: usize, step: usize, seconds: f64) {
        let took = seconds - self.seconds;
        (self.epoch, self.step, self.seconds) = (epoch as u32 + 1, step as u64, seconds);
        self.step_seconds.push(took);
        self.push(Scope::Step, Metric::StepSeconds, took);
    }

    /// After an epoch, counted from 0, and its evaluation.
    pub fn epoch(&mut self, clock: &Clock, lr: f64, train: Score, validation: Option<Score>, test: Score) {
        self.seconds = clock.total();
        self.score(Scope::Train, train);
        self.push(Scope::Train, Metric::Lr, lr);
        self.phases(clock);
        if let Some(validation) = validation {
            self.score(Scope::Validation, validation);
        }
        self.score(Scope::Test, test);
    }

    /// Image files that were left out, if there were any.
    pub fn broken(&mut self, images: usize) {
        if images > 0 {
            self.push(Scope::Train, Metric::BrokenImages, images as f64);
        }
    }

    /// After the last epoch, or in the middle of the one that ended the trial.
    pub fn end(&mut self, clock: &Clock, images: usize, parameters: usize, kfac: Option<&Kfac>) {
        if clock.seconds() != self.last_epoch {
            self.phases(clock);
        }
        self.push(Scope::Train, Metric::TrainImages, images as f64);
        self.push(Scope::Train, Metric::Parameters, parameters as f64);
        self.step_seconds.sort_by(f64::total_cmp);
        for (metric, share) in
            [(Metric::StepSecondsP50, 0.5), (Metric::StepSecondsP95, 0.95), (Metric::StepSecondsP99, 0.99)]
        {
            if let Some(seconds) = percentile(&self.step_seconds, share) {
                self.push(Scope::Train, metric, seconds);
            }
        }
        if let Some(bytes) = memory::peak() {
            self.push(Scope::Train, Metric::PeakRssBytes, bytes as f64);
        }
        if let Some(kfac) = kfac {
            self.factors(kfac);
        }
    }

    fn factors(&mut self, kfac: &Kfac) {
        let mut sums = [0; 3];
        for factor in kfac.factors() {
            let scope = || Scope::Factor(factor.name.clone());
            self.push(scope(), Metric::FactorSize, factor.order as f64);
            self.push(scope(), Metric::InversionSeconds, factor.seconds);
            self.push(scope(), Metric::Refreshes, factor.refreshes.iter().sum::<usize>() as f64);
            for (sum, count) in sums.iter_mut().zip(factor.refreshes) {
                *sum += count;
            }
        }
        let metrics = [Metric::RefreshesExact, Metric::RefreshesNewton, Metric::RefreshesNewtonDamped];
        for (metric, sum) in metrics.into_iter().zip(sums) {
            self.push(Scope::Train, metric, sum as f64);
        }
    }

    /// Seconds by phase since the end of the last epoch.
    fn phases(&mut self, clock: &Clock) {
        let seconds = clock.seconds();
        let mut total = 0.0;
        for (phase, (now, before)) in Metric::PHASES.into_iter().zip(seconds.iter().zip(self.last_epoch)) {
            self.push(Scope::Train, phase, now - before);
            total += now - before;
        }
        self.push(Scope::Train, Metric::EpochSeconds, total);
        self.last_epoch = seconds;
    }

    fn score(&mut self, scope: Scope, score: Score) {
        self.push(scope.clone(), Metric::Loss, score.loss);
        self.push(scope, Metric::Accuracy, score.accuracy);
    }

    fn push(&mut self, scope: Scope, metric: Metric, value: f64) {
        let (epoch, step, seconds) = (self.epoch, self.step, self.seconds);
        self.rows.push(Row { epoch, step, seconds, scope, metric, value });
    }
}

/// The smallest of `sorted` that at least `share` of all do not exceed (nearest rank).
fn percentile(sorted: &[f64], share: f64) -> Option<f64> {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::percentile;

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        let sorted: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!([0.5, 0.95, 0.99].map(|share| percentile(&sorted, share)), [Some(50.0), Some(95.0), Some(99.0)]);
        assert_eq!(percentile(&[7.0], 0.99), Some(7.0));
        assert_eq!(percentile(&[], 0.5), None);
    }
}
