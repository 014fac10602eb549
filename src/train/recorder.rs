//! Turns what happens in a trial into rows.

use candle_core::{DType, Device, Result, Tensor, bail};

use crate::clock::{Clock, Seconds};
use crate::optim::{Factor, Note, Quantity};
use crate::record::{Metric, Row, Scope};
use crate::state::State;

use super::memory;
use super::task::{Score, Task};

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
    /// Of the processes that the trial was in before this one.
    peak_bytes: u64,
}

impl Recorder {
    /// After step number `step`, counted from 1, of `epoch`, counted from 0.
    pub fn step(&mut self, epoch: usize, step: usize, seconds: f64) {
        let took = seconds - self.seconds;
        (self.epoch, self.step, self.seconds) = (epoch as u32 + 1, step as u64, seconds);
        self.step_seconds.push(took);
        self.push(Scope::Step, Metric::StepSeconds, took);
    }

    /// That of the last step's batch.
    pub fn loss(&mut self, loss: f64) {
        self.push(Scope::Step, Metric::Loss, loss);
    }

    /// After an epoch, counted from 0, and its evaluation: scores in training, and on the validation and the test set.
    pub fn epoch(&mut self, task: Task, clock: &Clock, lr: f64, [train, test]: [Score; 2], validation: Option<Score>) {
        self.seconds = clock.total();
        self.score(task, &Scope::Train, train);
        self.push(Scope::Train, Metric::Lr, lr);
        self.phases(clock);
        if let Some(validation) = validation {
            self.score(task, &Scope::Validation, validation);
        }
        self.score(task, &Scope::Test, test);
    }

    /// Image files that were left out, if there were any.
    pub fn broken(&mut self, images: usize) {
        if images > 0 {
            self.push(Scope::Train, Metric::BrokenImages, images as f64);
        }
    }

    /// After the last epoch, or in the middle of the one that ended the trial.
    pub fn end(&mut self, clock: &Clock, images: usize, parameters: usize, factors: &[&Factor]) {
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
            self.push(Scope::Train, Metric::PeakRssBytes, bytes.max(self.peak_bytes) as f64);
        }
        if !factors.is_empty() {
            self.factors(factors);
        }
    }

    /// What the preconditioner measured of itself in the last step.
    pub fn notes(&mut self, notes: Vec<Note>) {
        for Note { factor, quantity, value } in notes {
            self.push(factor.map_or(Scope::Probe, Scope::Factor), metric(quantity), value);
        }
    }

    fn factors(&mut self, factors: &[&Factor]) {
        let mut sums = [0; Metric::REFRESHES.len()];
        for factor in factors {
            let scope = || Scope::Factor(factor.name.clone());
            self.push(scope(), Metric::FactorSize, factor.order as f64);
            self.push(scope(), Metric::InversionSeconds, factor.seconds);
            self.push(scope(), Metric::Refreshes, factor.refreshes.iter().sum::<usize>() as f64);
            for (sum, count) in sums.iter_mut().zip(factor.refreshes) {
                *sum += count;
            }
        }
        for (metric, sum) in Metric::REFRESHES.into_iter().zip(sums) {
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

    fn score(&mut self, task: Task, scope: &Scope, score: Score) {
        for (metric, value) in task.metrics(score) {
            self.push(scope.clone(), metric, value);
        }
    }

    fn push(&mut self, scope: Scope, metric: Metric, value: f64) {
        let (epoch, step, seconds) = (self.epoch, self.step, self.seconds);
        self.rows.push(Row { epoch, step, seconds, scope, metric, value });
    }
}

/// What a measured quantity is called in records.
const fn metric(quantity: Quantity) -> Metric {
    match quantity {
        Quantity::Branch => Metric::Branch,
        Quantity::Residual => Metric::Residual,
        Quantity::StaleResidual => Metric::StaleResidual,
        Quantity::Drift => Metric::Drift,
        Quantity::MaxEigenvalue => Metric::MaxEigenvalue,
        Quantity::Damping => Metric::Damping,
        Quantity::Condition => Metric::Condition,
        Quantity::Fallbacks => Metric::Fallbacks,
        Quantity::Seconds => Metric::RefreshSeconds,
        Quantity::Cosine => Metric::Cosine,
        Quantity::KlStep => Metric::KlStep,
        Quantity::OffDiagonal => Metric::OffDiagonal,
        Quantity::SmallestSingularValue => Metric::SmallestSingularValue,
        Quantity::LargestSingularValue => Metric::LargestSingularValue,
        Quantity::Distance => Metric::EvaluatedDistance,
    }
}

/// Checkpoints: rows as columns, names as places in a list of names.
impl Recorder {
    pub fn state(&self) -> Result<State> {
        let mut state = State::new();
        let (mut scopes, mut metrics) = (Vec::new(), Vec::new());
        let scope: Vec<u32> = self.rows.iter().map(|row| place(&mut scopes, &row.scope)).collect();
        let metric: Vec<u32> = self.rows.iter().map(|row| place(&mut metrics, &row.metric)).collect();
        let column = |number: fn(&Row) -> f64| self.rows.iter().map(number).collect::<Vec<_>>();
        state.put("scope", &Tensor::new(scope, &Device::Cpu)?);
        state.put("metric", &Tensor::new(metric, &Device::Cpu)?);
        state.put_numbers("value", &column(|row| row.value))?;
        state.put_numbers("seconds", &column(|row| row.seconds))?;
        state.put_numbers("epoch", &column(|row| f64::from(row.epoch)))?;
        state.put_numbers("step", &column(|row| row.step as f64))?;
        let scopes: Vec<&str> = scopes.iter().map(Scope::name).collect();
        state.put_text("scopes", serde_json::to_string(&scopes).map_err(candle_core::Error::wrap)?);
        state.put_text("metrics", serde_json::to_string(&metrics).map_err(candle_core::Error::wrap)?);
        state.put_numbers("last-epoch", &self.last_epoch)?;
        state.put_numbers("step-seconds", &self.step_seconds)?;
        state.put_numbers("now", &[f64::from(self.epoch), self.step as f64, self.seconds])?;
        state.put_number("peak-bytes", memory::peak().unwrap_or(0).max(self.peak_bytes) as f64);
        Ok(state)
    }

    /// What [`Recorder::state`] gave away.
    pub fn load(mut state: State) -> Result<Self> {
        let mut column = |name| state.take_numbers(name);
        let (values, seconds, epochs, steps) =
            (column("value")?, column("seconds")?, column("epoch")?, column("step")?);
        let (last_epoch, step_seconds, now) = (column("last-epoch")?, column("step-seconds")?, column("now")?);
        let list = |text: String| serde_json::from_str::<Vec<String>>(&text).map_err(candle_core::Error::wrap);
        let scopes: Vec<Scope> = list(state.take_text("scopes")?)?.iter().map(|name| Scope::from_name(name)).collect();
        let metrics: Vec<Metric> =
            serde_json::from_str(&state.take_text("metrics")?).map_err(candle_core::Error::wrap)?;
        let mut places = |name: &str| match state.take(name) {
            Some(places) if places.dtype() == DType::U32 => places.to_vec1::<u32>(),
            _ => bail!("there is no column `{name}`"),
        };
        let (scope, metric) = (places("scope")?, places("metric")?);
        let count = values.len();
        if [seconds.len(), epochs.len(), steps.len(), scope.len(), metric.len()] != [count; 5] {
            bail!("columns of rows differ in length")
        }
        let row = |i: usize| match (scopes.get(scope[i] as usize), metrics.get(metric[i] as usize)) {
            (Some(scope), Some(&metric)) => Ok(Row {
                epoch: epochs[i] as u32,
                step: steps[i] as u64,
                seconds: seconds[i],
                scope: scope.clone(),
                metric,
                value: values[i],
            }),
            _ => bail!("row {i} has no name"),
        };
        let rows = (0..count).map(row).collect::<Result<_>>()?;
        let (&[epoch, step, seconds], Ok(last_epoch)) = (&now[..], last_epoch.try_into()) else {
            bail!("the recorder's clock is of another kind")
        };
        let peak_bytes = state.take_count("peak-bytes")? as u64;
        state.finish()?;
        let (epoch, step) = (epoch as u32, step as u64);
        Ok(Self { rows, epoch, step, seconds, last_epoch, step_seconds, peak_bytes })
    }
}

/// Where `name` stands in the list, at whose end it is put if it is new.
fn place<T: PartialEq + Clone>(names: &mut Vec<T>, name: &T) -> u32 {
    let place = names.iter().position(|known| known == name).unwrap_or(names.len());
    if place == names.len() {
        names.push(name.clone());
    }
    place as u32
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
