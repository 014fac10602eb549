//! Whether a trial's times can be trusted, from what was recorded beside them.

use polars::prelude::*;

use super::Metric;

/// Shares of its time from which on a trial was disturbed. A trial that waits although others hardly ran has more threads than processors.
const MOST_WAITED: f64 = 0.1;
const MOST_OTHERS: f64 = 0.05;
const MOST_THROTTLED: f64 = 0.01;

/// Seconds that its threads ran or wanted to run, below which a trial's waiting is not told from noise.
const LEAST_WANTED: f64 = 1.0;

/// The rows at the end of a trial that tell.
const LAST: usize = 16;

/// What disturbed a trial whose rows these are: `waited 23 % of its time for a processor, ran beside 1 other trial`.
pub fn disturbance(frame: &DataFrame) -> PolarsResult<Option<String>> {
    let number = |metric| last(frame, metric);
    let mut all = Vec::new();
    if let Some((waited, ran)) = number(Metric::WaitSeconds)?.zip(number(Metric::CpuSeconds)?)
        && waited + ran >= LEAST_WANTED
        && waited > MOST_WAITED * (waited + ran)
        && number(Metric::OthersSeconds)?.is_none_or(|others| others > MOST_OTHERS * ran)
    {
        all.push(format!("waited {:.0} % of its time for a processor", 100.0 * waited / (waited + ran)));
    }
    if let Some((throttled, wall)) = number(Metric::ThrottledSeconds)?.zip(number(Metric::WallSeconds)?)
        && throttled > MOST_THROTTLED * wall
    {
        all.push(format!("ran {throttled:.1} s at a throttled clock"));
    }
    if let Some(neighbours) = number(Metric::Neighbours)?.filter(|&count| count > 0.0) {
        all.push(format!("ran beside {neighbours} other {}", if neighbours == 1.0 { "trial" } else { "trials" }));
    }
    Ok((!all.is_empty()).then(|| all.join(", ")))
}

/// The value of a metric at the end of a trial, if it is there.
pub(super) fn last(frame: &DataFrame, metric: Metric) -> PolarsResult<Option<f64>> {
    let (metrics, values) = (frame.column("metric")?.str()?, frame.column("value")?.f64()?);
    let rows = (frame.height().saturating_sub(LAST)..frame.height()).rev();
    Ok(rows.into_iter().find(|&row| metrics.get(row) == Some(metric.name())).and_then(|row| values.get(row)))
}

#[cfg(test)]
mod tests {
    use super::disturbance;
    use crate::record::Metric;
    use polars::prelude::*;

    fn said(rows: &[(Metric, f64)]) -> Option<String> {
        let metrics: Vec<&str> = rows.iter().map(|(metric, _)| metric.name()).collect();
        let values: Vec<f64> = rows.iter().map(|(_, value)| *value).collect();
        disturbance(&df!("metric" => metrics, "value" => values).unwrap()).unwrap()
    }

    #[test]
    fn a_trial_is_disturbed_by_what_took_its_time() {
        use Metric::{CpuSeconds, Loss, Neighbours, OthersSeconds, ThrottledSeconds, WaitSeconds, WallSeconds};
        assert_eq!(said(&[(Loss, 1.0)]), None, "an old file, or a system that does not tell");
        assert_eq!(said(&[(Neighbours, 0.0), (CpuSeconds, 10.0), (WaitSeconds, 1.0)]), None);
        let waited = said(&[(CpuSeconds, 6.0), (WaitSeconds, 2.0), (Neighbours, 2.0)]).unwrap();
        assert_eq!(waited, "waited 25 % of its time for a processor, ran beside 2 other trials");
        let waited = |others| said(&[(CpuSeconds, 6.0), (WaitSeconds, 2.0), (OthersSeconds, others)]);
        assert_eq!(waited(0.1), None, "its own threads were too many");
        assert_eq!(said(&[(CpuSeconds, 0.3), (WaitSeconds, 0.3)]), None, "too short to tell");
        assert_eq!(waited(3.0).unwrap(), "waited 25 % of its time for a processor");
        assert_eq!(said(&[(WallSeconds, 100.0), (ThrottledSeconds, 0.5)]), None);
        assert_eq!(said(&[(WallSeconds, 100.0), (ThrottledSeconds, 2.0)]).unwrap(), "ran 2.0 s at a throttled clock");
    }
}
