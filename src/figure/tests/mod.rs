//! Figures and tables at their boundary: result files in, numbers and pictures out.

mod compare;
mod pictures;
mod queries;
mod telemetry;
mod times;

use polars::prelude::*;
use tempfile::TempDir;

use super::{ALL, Data};
use crate::record::{self, Metric, Origin, Row, Scope, Status};

/// A trial of two epochs of ten steps. Accuracy ends at `accuracy`, an epoch takes `seconds`, half of which is inversion.
struct Trial {
    arm: &'static str,
    net: &'static str,
    seed: u64,
    status: Status,
    swept: &'static str,
    accuracy: f64,
    seconds: f64,
    /// What was measured beside the training, or in place of it.
    measured: &'static [Measured],
}

/// Scope, epoch or round, step, seconds, metric and value.
type Measured = (&'static str, u32, u64, f64, Metric, f64);

impl Trial {
    const fn new(arm: &'static str, seed: u64, accuracy: f64, seconds: f64) -> Self {
        Self { arm, net: "mlp", seed, status: Status::Finished, swept: "{}", accuracy, seconds, measured: &[] }
    }

    const fn diverged(self) -> Self {
        Self { status: Status::Diverged, ..self }
    }

    const fn swept(self, swept: &'static str) -> Self {
        Self { swept, ..self }
    }

    /// With these numbers about its factors.
    const fn probed(self, measured: &'static [Measured]) -> Self {
        Self { measured, ..self }
    }

    /// A trial in which nothing is trained.
    const fn of_an_inverter(arm: &'static str, seed: u64, measured: &'static [Measured]) -> Self {
        Self { measured, ..Self::new(arm, seed, 0.0, 0.0) }
    }

    fn rows(&self) -> Vec<Row> {
        let measured = self.measured.iter().map(|&(scope, epoch, step, seconds, metric, value)| {
            let scope = match scope {
                "probe" => Scope::Probe,
                "validation" => Scope::Validation,
                _ => Scope::Factor(scope.into()),
            };
            Row { epoch, step, seconds, scope, metric, value }
        });
        let trained = if self.seconds > 0.0 { self.trained() } else { Vec::new() };
        trained.into_iter().chain(measured).collect()
    }

    fn trained(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        for epoch in 1..=2 {
            let step = u64::from(epoch) * 10;
            let mut log = |scope, metric, value| {
                rows.push(Row { epoch, step, seconds: f64::from(epoch) * self.seconds, scope, metric, value });
            };
            for step in 0..10 {
                log(Scope::Step, Metric::StepSeconds, if step == 0 { 0.055 } else { 0.005 } * self.seconds);
            }
            log(Scope::Train, Metric::Loss, 2.0 / f64::from(epoch));
            log(Scope::Train, Metric::EpochSeconds, self.seconds);
            log(Scope::Train, Metric::PhaseForward, 0.5 * self.seconds);
            log(Scope::Train, Metric::PhaseInversion, 0.5 * self.seconds);
            log(Scope::Test, Metric::Accuracy, if epoch == 2 { self.accuracy } else { 0.75 });
        }
        let end = Row {
            epoch: 2,
            step: 20,
            seconds: 2.0 * self.seconds,
            scope: Scope::Train,
            metric: Metric::PeakRssBytes,
            value: 1048576.0,
        };
        rows.push(end);
        rows
    }

    /// The `place` in which it started.
    fn origin(&self, place: u32) -> Origin {
        Origin {
            experiment: "e".into(),
            trial: format!("{place}"),
            arm: self.arm.into(),
            dataset: "digits".into(),
            model: self.net.into(),
            optimizer: self.arm.into(),
            inverter: String::new(),
            seed: self.seed,
            status: self.status,
            swept: self.swept.into(),
            config: "{}".into(),
            dtype: "f32".into(),
            batch: 64,
            epochs: 2,
            host: "h".into(),
            cpu: "c".into(),
            device: "cpu".into(),
            threads: 2,
            version: "0.1.0".into(),
            commit: "abc".into(),
            started: f64::from(place),
            load: None,
        }
    }
}

fn results(trials: &[Trial]) -> (TempDir, Data) {
    let folder = tempfile::tempdir().unwrap();
    for (place, trial) in (0..).zip(trials) {
        let path = folder.path().join(format!("{place}.parquet"));
        record::write(&path, &trial.origin(place), &trial.rows()).unwrap();
    }
    let results = record::read(folder.path()).unwrap();
    (folder, Data::new(results).unwrap())
}

/// Two arms that finish, one of them not always, and one that never does.
fn arms() -> [Trial; 6] {
    [
        Trial::new("sgd", 1, 0.5, 2.0),
        Trial::new("nkfac", 1, 0.8, 3.0),
        Trial::new("sgd", 2, 0.7, 4.0),
        Trial::new("nkfac", 2, 0.1, 9.0).diverged(),
        Trial::new("adam", 1, 0.1, 9.0).diverged(),
        Trial::new("adam", 2, 0.1, 9.0).diverged(),
    ]
}

/// An arm with a swept key, which another arm has not.
fn sweep() -> [Trial; 5] {
    [
        Trial::new("kfac", 1, 0.5, 4.0).swept(r#"{"seed":1,"optimizer.precondition.inverse_every":20}"#),
        Trial::new("kfac", 2, 0.7, 4.0).swept(r#"{"seed":2,"optimizer.precondition.inverse_every":20}"#),
        Trial::new("kfac", 1, 0.5, 2.0).swept(r#"{"seed":1,"optimizer.precondition.inverse_every":1000}"#),
        Trial::new("kfac", 2, 0.5, 2.0).swept(r#"{"seed":2,"optimizer.precondition.inverse_every":1000}"#),
        Trial::new("sgd", 1, 0.6, 1.0).swept(r#"{"seed":1}"#),
    ]
}

/// The numbers of a figure as lines of text, to four decimals; missing ones are blank.
fn numbers(figure: &str, trials: &[Trial]) -> String {
    let figure = ALL.iter().find(|known| known.entry().name == figure).unwrap();
    let frame = figure.query(&results(trials).1).unwrap();
    let names = frame.get_column_names().into_iter().map(ToString::to_string).collect::<Vec<_>>();
    let cell = |value: AnyValue<'_>| match value {
        AnyValue::Null => String::new(),
        AnyValue::Float64(number) => ((number * 1e4).round() / 1e4).to_string(),
        other => other.str_value().into_owned(),
    };
    let row = |i| frame.columns().iter().map(|column| cell(column.get(i).unwrap())).collect::<Vec<_>>().join(",");
    std::iter::once(names.join(",")).chain((0..frame.height()).map(row)).collect::<Vec<_>>().join("\n")
}
