//! On how many problems a solver is how near to the best (Dolan and Moré, Math. Program. 91, 2002).

use std::collections::{BTreeMap, HashMap};

use polars::prelude::*;

use super::ink::{Canvas, Grid, Key, Legend, Panel, Scale, Swatch};
use super::time_to_target::{runs, target};
use super::{Data, Figure, counts, goal, group, looks, summary, table, texts};
use crate::catalog::Entry;

/// For each solver the share of problems that it solves within a factor τ of the fastest solver's time.
pub struct PerformanceProfile;

impl Figure for PerformanceProfile {
    fn entry(&self) -> Entry {
        Entry {
            name: "performance-profile",
            help: "share of problems solved within a factor of the fastest time to the target",
            example: "nkfac-bench figure results/quickstart performance-profile",
        }
    }

    /// `line, label, arm, point, problems, goal, target, tau, share, left_out`: `share` of `problems` are solved within `tau` times the best time. A
    /// problem is a seed, a net and data that every solver was run on; to solve it is to reach the target, which is missing, as the
    /// goal is, where data sets and nets have different ones.
    fn query(&self, data: &Data) -> PolarsResult<DataFrame> {
        let mut runs_by_trial = HashMap::new();
        let mut targets = Vec::new();
        for (_, part) in data.problems() {
            let (target, _) = target(part)?;
            targets.push((part.goal, target));
            runs_by_trial.extend(runs(part, target)?);
        }
        let common = targets.windows(2).all(|pair| pair[0] == pair[1]).then(|| targets[0]);
        let (goal, target) = (common.map(|(goal, _)| goal.metric.name()), common.map(|(_, target)| target));
        let chosen = summary::chosen(data)?;
        let contests = group::contests(data, chosen.as_ref())?;
        let (solvers, arms, points) =
            (texts(&contests, "solver")?, counts(&contests, "arm")?, counts(&contests, "point")?);
        let mut first: BTreeMap<usize, usize> = BTreeMap::new();
        let mut problems: HashMap<String, HashMap<usize, f64>> = HashMap::new();
        let (trials, ranks) = (texts(&contests, "trial")?, counts(&contests, "solver_rank")?);
        for (i, problem) in texts(&contests, "problem")?.into_iter().enumerate() {
            first.entry(ranks[i]).or_insert(i);
            let run = runs_by_trial.get(&trials[i]).filter(|run| run.outcome == "reached");
            problems.entry(problem).or_default().insert(ranks[i], run.map_or(f64::INFINITY, |run| run.seconds));
        }
        problems.retain(|_, times| times.len() == first.len());
        let mut steps = Vec::new();
        // Profiles of many solvers cannot be read: the first ones stay.
        for (&line, &place) in first.iter().take(summary::MOST_LINES) {
            steps.extend(profile(line, &problems).into_iter().map(|(tau, share)| (line as u32, place, tau, share)));
        }
        let count = steps.len();
        let many = first.len() > summary::MOST_LINES;
        let left_out = match chosen {
            _ if many => Some(format!("the first {} of {} solvers", summary::MOST_LINES, first.len())),
            Some(_) => Some("each arm at its best point of each problem".to_owned()),
            None => None,
        };
        df!(
            "line" => steps.iter().map(|step| step.0).collect::<Vec<_>>(),
            "label" => steps.iter().map(|step| solvers[step.1].as_str()).collect::<Vec<_>>(),
            "arm" => steps.iter().map(|step| arms[step.1] as u32).collect::<Vec<_>>(),
            "point" => steps.iter().map(|step| points[step.1] as u32).collect::<Vec<_>>(),
            "problems" => vec![problems.len() as u32; count],
            "goal" => vec![goal; count],
            "target" => vec![target; count],
            "tau" => steps.iter().map(|step| step.2).collect::<Vec<_>>(),
            "share" => steps.iter().map(|step| step.3).collect::<Vec<_>>(),
            "left_out" => vec![left_out; count]
        )
    }

    fn pools(&self) -> bool {
        true
    }

    fn draw(&self, numbers: &DataFrame, width: f64) -> PolarsResult<Canvas> {
        let (lines, labels, taus) =
            (counts(numbers, "line")?, texts(numbers, "label")?, super::numbers(numbers, "tau")?);
        let shares = super::numbers(numbers, "share")?;
        let problems = counts(numbers, "problems")?.first().copied().unwrap_or_default();
        let largest = taus.iter().copied().filter(|tau| tau.is_finite()).fold(0.0, f64::max);
        if (1..FEWEST).contains(&problems) {
            let reason = format!("{problems} problems (seeds, data, nets) are no profile: it takes {FEWEST}.");
            return Ok(Canvas::notice(width, &reason));
        }
        if shares.iter().all(|&share| share == 0.0) {
            let reason = "No problem was solved by any and tried by all, so there is no performance profile to show.";
            return Ok(Canvas::notice(width, reason));
        }
        let target = super::numbers(numbers, "target")?.first().copied().unwrap_or(f64::NAN);
        let end = 1.1 * largest.max(1.1);
        let points: Vec<(usize, f64, f64)> = (0..lines.len()).map(|i| (i, taus[i], 100.0 * shares[i])).collect();
        let profiles: Vec<&[(usize, f64, f64)]> = points.chunk_by(|a, b| lines[a.0] == lines[b.0]).collect();
        let looks = looks(numbers)?;
        let key = |profile: &&[(usize, f64, f64)]| {
            let first = profile[0].0;
            Key { swatch: Swatch::Line(looks[first]), text: labels[first].clone() }
        };
        let at = if target.is_nan() {
            "the target of each data set and net".to_owned()
        } else {
            let goal = goal(numbers)?;
            goal.reached(&table::digits(goal.units * target))
        };
        let what = format!("{problems} problems (seeds, data, nets), solved at {at}");
        let legend = Legend::new(profiles.iter().map(key).collect(), summary::caption(numbers, Some(what))?, width);
        let grid = Grid::new(width, 1);
        let below = grid.below(1);
        let mut canvas = Canvas::new(width, below + legend.height());
        let panel = Panel { frame: grid.frame(0), x: Scale::fitting(&[1.0, end]), y: Scale::from_zero(&[100.0]) };
        panel.axes(&mut canvas, "time as a multiple of the fastest, τ", "problems solved (%)");
        for profile in profiles {
            let look = looks[profile[0].0];
            let mut path: Vec<(f64, f64)> = Vec::new();
            for &(_, tau, share) in profile {
                let before = path.last().map_or(0.0, |last| last.1);
                path.extend([(tau, before), (tau, share)]);
            }
            let last = path.last().map_or(0.0, |last| last.1);
            path.push((end, last));
            panel.line(&mut canvas, &path, &look);
            for &(i, tau, share) in profile {
                panel.mark(&mut canvas, (tau, share), &look);
                panel.hover(&mut canvas, (tau, share), format!("{}: {share:.0} % within {tau:.2} times", labels[i]));
            }
        }
        legend.draw(&mut canvas, (width / 2.0, below));
        Ok(canvas)
    }
}

/// Problems from which on shares of them mean something.
const FEWEST: usize = 5;

/// The steps of a solver's profile: `(tau, share)`, the first at τ = 1.
fn profile(solver: usize, problems: &HashMap<String, HashMap<usize, f64>>) -> Vec<(f64, f64)> {
    let ratio = |times: &HashMap<usize, f64>| {
        let best = times.values().copied().fold(f64::INFINITY, f64::min);
        let own = times.get(&solver).copied().unwrap_or(f64::INFINITY);
        // A first evaluation may be so early that the clock shows nothing.
        if own == best { 1.0 } else { own / best }
    };
    let mut ratios: Vec<f64> =
        problems.values().filter(|times| times.values().any(|time| time.is_finite())).map(ratio).collect();
    ratios.retain(|ratio| ratio.is_finite());
    ratios.sort_by(f64::total_cmp);
    let share = |tau: f64| ratios.iter().filter(|&&ratio| ratio <= tau).count() as f64 / problems.len().max(1) as f64;
    let mut steps = vec![(1.0, share(1.0))];
    steps.extend(ratios.iter().filter(|&&tau| tau > 1.0).map(|&tau| (tau, share(tau))));
    steps.dedup_by(|a, b| a.0 == b.0);
    steps
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::profile;

    #[test]
    fn shares_are_of_all_problems_solved_or_not() {
        let inf = f64::INFINITY;
        let times = [[1.0, 2.0], [3.0, 1.5], [inf, 4.0], [inf, inf]];
        let problems: HashMap<String, HashMap<usize, f64>> = times
            .iter()
            .enumerate()
            .map(|(i, times)| (i.to_string(), times.iter().copied().enumerate().collect()))
            .collect();
        assert_eq!(profile(0, &problems), [(1.0, 0.25), (2.0, 0.5)]);
        assert_eq!(profile(1, &problems), [(1.0, 0.5), (2.0, 0.75)]);
    }
}
