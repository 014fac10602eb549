//! What trials are judged by, and which way is better.

use std::cmp::Ordering;

use super::Metric;

/// The metric that a trial is judged by, on the test set and where something is chosen on the validation set.
///
/// Figures, tables and words take all they say of it from here: a new kind of task is one more row of [`Goal::ALL`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Goal {
    pub metric: Metric,
    /// What a reader calls it.
    pub title: &'static str,
    /// The same where there is little room.
    pub short: &'static str,
    /// What it is shown in; empty for a plain number.
    pub unit: &'static str,
    /// What a difference is in.
    pub points: &'static str,
    /// How many of these units make one.
    pub units: f64,
    /// Decimals that are shown, in these units.
    pub decimals: usize,
    /// Whether more is better.
    pub more: bool,
    /// The least and the largest value that there can be.
    pub range: [f64; 2],
    pub gap: &'static Gap,
    /// What is recorded beside it and says the same in other words.
    pub beside: &'static [Beside],
}

/// What is left to the best value that there can be, for logarithmic axes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gap {
    pub title: &'static str,
    /// The best value.
    pub best: f64,
    /// The value from which on lines are told apart by the gap alone; `None` if they always are by the value.
    pub from: Option<f64>,
}

/// A metric that goes with a goal; less of it is better.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Beside {
    pub metric: Metric,
    /// The head of a column.
    pub head: &'static str,
    pub decimals: usize,
}

impl Goal {
    /// The share of images that are told right.
    pub const ACCURACY: Self = Self {
        metric: Metric::Accuracy,
        title: "accuracy",
        short: "acc.",
        unit: "%",
        points: "points",
        units: 100.0,
        decimals: 2,
        more: true,
        range: [0.0, 1.0],
        gap: &Gap { title: "error", best: 1.0, from: Some(0.9) },
        beside: &[],
    };

    /// The mean loss, which is recorded beside every other.
    pub const LOSS: Self = Self {
        metric: Metric::Loss,
        title: "loss",
        short: "loss",
        unit: "nats",
        points: "nats",
        units: 1.0,
        decimals: 4,
        more: false,
        range: [0.0, f64::INFINITY],
        gap: &Gap { title: "loss", best: 0.0, from: None },
        beside: &[Beside { metric: Metric::BitsPerCharacter, head: "bits/char.", decimals: 4 }],
    };

    /// The mean squared error of numbers.
    pub const SQUARED_ERROR: Self = Self {
        metric: Metric::SquaredError,
        title: "squared error",
        short: "sq. err.",
        unit: "",
        points: "",
        units: 1.0,
        decimals: 5,
        more: false,
        range: [0.0, f64::INFINITY],
        gap: &Gap { title: "squared error", best: 0.0, from: None },
        beside: &[],
    };

    /// Every goal. Of several whose metrics were measured the first one counts: a loss is logged beside every other.
    pub const ALL: [Self; 3] = [Self::ACCURACY, Self::SQUARED_ERROR, Self::LOSS];

    /// That of a metric; anything that is no goal itself is judged by its loss.
    #[must_use]
    pub fn of(metric: Metric) -> Self {
        Self::ALL.into_iter().find(|goal| goal.metric == metric).unwrap_or(Self::LOSS)
    }

    /// That of the metric with this name.
    #[must_use]
    pub fn named(metric: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|goal| goal.metric.name() == metric)
    }

    /// What a trial is judged by whose test set was measured by `metrics`, given by their names; `None` of no metric.
    pub fn among<'a>(metrics: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let place = |name: &str| Self::ALL.iter().position(|goal| goal.metric.name() == name);
        metrics.into_iter().filter_map(place).min().map(|place| Self::ALL[place])
    }

    /// The better one last; NaN is the worst.
    #[must_use]
    pub fn order(self, a: f64, b: f64) -> Ordering {
        let worth = |value: f64| {
            if value.is_nan() {
                f64::NEG_INFINITY
            } else if self.more {
                value
            } else {
                -value
            }
        };
        worth(a).total_cmp(&worth(b))
    }

    /// Whether a value is as good as the target.
    #[must_use]
    pub fn reaches(self, value: f64, target: f64) -> bool {
        if self.more { value >= target } else { value <= target }
    }

    /// Where values first are at the target: at which of them, and what share of the way to it from the one before. The first has none before it.
    #[must_use]
    pub fn crossing(self, values: &[f64], target: f64) -> Option<(usize, f64)> {
        let first = values.iter().position(|value| self.reaches(*value, target))?;
        let before = first.checked_sub(1).map(|before| values[before]);
        Some((first, before.map_or(1.0, |before| (target - before) / (values[first] - before))))
    }

    /// A target that `value` just reaches, in three digits or whole percent.
    #[must_use]
    pub fn rounded(self, value: f64) -> f64 {
        if self.more {
            return (self.units * value).floor() / self.units;
        }
        let step = 10f64.powf(value.abs().log10().floor() - 2.0);
        if step > 0.0 { (value / step).ceil() * step } else { value }
    }

    /// For a reader: `75.00 %`, `1.8730 nats`.
    #[must_use]
    pub fn show(self, value: f64) -> String {
        self.with_unit(&self.number(value))
    }

    /// The same without the unit: `75.00`, `1.8730`.
    #[must_use]
    pub fn number(self, value: f64) -> String {
        format!("{:.*}", self.decimals, self.units * value)
    }

    /// A number that is shown, with its unit behind.
    #[must_use]
    pub fn with_unit(self, number: &str) -> String {
        if self.unit.is_empty() { number.to_owned() } else { format!("{number} {}", self.unit) }
    }

    /// A number that is reached: `90.0 % test accuracy`, `a test loss of 1.90 nats`.
    #[must_use]
    pub fn reached(self, number: &str) -> String {
        let number = self.with_unit(number);
        if self.more { format!("{number} test {}", self.title) } else { format!("a test {} of {number}", self.title) }
    }

    /// A number that is a difference, with what it is in behind: `0.67 points`, `0.0100 nats`.
    #[must_use]
    pub fn difference(self, number: f64) -> String {
        format!("{number:.*} {}", self.decimals, self.points).trim_end().to_owned()
    }

    /// The head of an axis or a column: `test accuracy (%)`, `final loss (nats)`.
    #[must_use]
    pub fn head(self, name: &str) -> String {
        if self.unit.is_empty() { name.to_owned() } else { format!("{name} ({})", self.unit) }
    }

    /// Its name for programs: `final_accuracy`.
    #[must_use]
    pub fn key(self, which: &str) -> String {
        format!("{which}_{}", self.metric.name())
    }

    /// `highest` or `lowest`: what the best one is.
    #[must_use]
    pub const fn superlative(self) -> &'static str {
        if self.more { "highest" } else { "lowest" }
    }

    /// What is left from a value to the best one, both in the goal's unit.
    #[must_use]
    pub fn left_to_best(self, value: f64) -> f64 {
        (self.units * self.gap.best - value).abs()
    }

    /// How much better `a` is than `b`; less than 0 if it is worse.
    #[must_use]
    pub fn lead(self, a: f64, b: f64) -> f64 {
        if self.more { a - b } else { b - a }
    }

    /// Which way a value is off that was chosen by itself.
    #[must_use]
    pub const fn bias(self) -> &'static str {
        if self.more { "upwards" } else { "downwards" }
    }
}

#[cfg(test)]
mod tests {
    use super::Goal;
    use std::cmp::Ordering;

    #[test]
    fn goals_know_their_direction() {
        assert_eq!(Goal::ACCURACY.order(0.5, 0.6), Ordering::Less);
        assert_eq!(Goal::LOSS.order(0.5, 0.6), Ordering::Greater);
        assert_eq!(Goal::LOSS.order(f64::NAN, 9.0), Ordering::Less);
        assert!(Goal::ACCURACY.reaches(0.9, 0.9) && !Goal::ACCURACY.reaches(0.8, 0.9));
        assert!(Goal::LOSS.reaches(1.8, 1.9) && !Goal::LOSS.reaches(2.0, 1.9));
        assert_eq!((Goal::ACCURACY.show(0.75), Goal::LOSS.show(1.873)), ("75.00 %".into(), "1.8730 nats".into()));
        assert_eq!([Goal::LOSS, Goal::SQUARED_ERROR].map(|goal| goal.difference(0.01)), ["0.0100 nats", "0.01000"]);
        assert!(Goal::ACCURACY.lead(0.6, 0.5) > 0.0 && Goal::LOSS.lead(0.6, 0.5) < 0.0);
    }

    #[test]
    fn a_rounded_target_is_reached_by_the_value_that_it_is_of() {
        let rounded = |goal: Goal, value: f64| (1e9 * goal.rounded(value)).round() / 1e9;
        assert_eq!([0.779, 0.77].map(|value| rounded(Goal::ACCURACY, value)), [0.77, 0.77]);
        assert_eq!([1.8731, 0.012_34, 41.0, 0.0].map(|value| rounded(Goal::LOSS, value)), [1.88, 0.012_4, 41.0, 0.0]);
        for goal in Goal::ALL {
            assert!([0.123_456, 0.9].into_iter().all(|value| goal.reaches(value, goal.rounded(value))));
        }
    }

    #[test]
    fn a_trial_is_judged_by_what_was_measured_and_by_its_loss_last() {
        assert_eq!(Goal::among(["loss", "accuracy", "seconds"]), Some(Goal::ACCURACY));
        assert_eq!(Goal::among(["loss", "bits_per_character"]), Some(Goal::LOSS));
        assert_eq!(Goal::among(["lr"]), None);
    }
}
