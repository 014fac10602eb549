//! Which trials belong to one line: those alike in everything but the seed.
//!
//! A *problem* is a data set and a net: numbers of different problems are never averaged, ranked or drawn in one panel.
//! Arms come in the order of the experiment's file, or of their start where only results are at hand; within an arm, points of the sweep
//! come in the order of their values.

use std::collections::{BTreeSet, HashMap, HashSet};

use polars::prelude::*;
use serde_json::Value;

use super::Data;
use super::trial::{Trial, compare, problems, swept_order, text, values};

/// The line of every trial: `trial, line, label, arm, point`, and `at`, the value of the swept key `axis`, which then makes no lines of
/// its own. `arm` counts the arms and `point` an arm's points of the sweep, both from 0 and for looks: the same values are the same point in every arm.
pub fn lines(data: &Data, axis: Option<&str>) -> PolarsResult<DataFrame> {
    let mut trials = data.trials.clone();
    let at: HashMap<String, f64> =
        trials.iter_mut().filter_map(|trial| Some((trial.id.clone(), trial.swept.remove(axis?)?.as_f64()?))).collect();
    trials.sort_by(Trial::order);
    let points = points(&trials);
    let mut line = 0u32;
    let mut last: Option<&Trial> = None;
    let (mut ids, mut lines, mut labels, mut values) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut arms, mut places) = (Vec::new(), Vec::new());
    for trial in &trials {
        if last.is_some_and(|last| last.order(trial).is_ne()) {
            line += 1;
        }
        last = Some(trial);
        ids.push(trial.id.as_str());
        lines.push(line);
        labels.push(trial.label());
        values.push(at.get(&trial.id).copied());
        arms.push(trial.rank as u32);
        places.push(points.get(&trial.point()).copied().unwrap_or_default());
    }
    df!("trial" => ids, "line" => lines, "label" => labels, "arm" => arms, "point" => places, "at" => values)
}

/// Where each point of the sweep is among those of the same keys, in the order of their values.
fn points(trials: &[Trial]) -> HashMap<String, u32> {
    let mut points: Vec<&Trial> = trials.iter().collect();
    points.sort_by(|a, b| swept_order(&a.swept, &b.swept));
    points.dedup_by(|a, b| a.swept == b.swept);
    let mut counts: HashMap<String, u32> = HashMap::new();
    let mut place = |trial: &Trial| {
        let keys = trial.swept.keys().cloned().collect::<Vec<_>>().join("\n");
        let count = counts.entry(keys).or_default();
        *count += 1;
        (trial.point(), *count - 1)
    };
    points.into_iter().map(&mut place).collect()
}

/// The swept key to be an axis of numbers: of those with numbers only, the one with most values.
pub fn axis(data: &Data) -> PolarsResult<Option<String>> {
    let mut values = values(&data.trials);
    values.retain(|_, values| values.iter().all(Value::is_number));
    let longest = values.into_iter().max_by(|a, b| a.1.len().cmp(&b.1.len()).then_with(|| b.0.cmp(&a.0)));
    Ok(longest.map(|(key, _)| key))
}

/// The two swept keys with most values, whatever their kind, the longer first, and where every trial stands: `trial, arm, x, y,
/// x_rank, y_rank`, ranks in the order of the values. `None` if fewer than two keys were swept.
pub fn plane(data: &Data) -> PolarsResult<Option<(String, String, DataFrame)>> {
    let trials = data.trials.clone();
    let mut all: Vec<(String, Vec<Value>)> = values(&trials).into_iter().collect();
    all.sort_by(|a, b| b.1.len().cmp(&a.1.len()).then_with(|| a.0.cmp(&b.0)));
    all.truncate(2);
    for (_, values) in &mut all {
        values.sort_by(compare);
    }
    let [(x, xs), (y, ys)] = all.as_slice() else { return Ok(None) };
    let (mut ids, mut arms, mut labels, mut ranks) = (Vec::new(), Vec::new(), [vec![], vec![]], [vec![], vec![]]);
    for trial in &trials {
        let (Some(at_x), Some(at_y)) = (trial.swept.get(x), trial.swept.get(y)) else { continue };
        ids.push(trial.id.as_str());
        arms.push(trial.arm.as_str());
        for (axis, (at, values)) in [(at_x, xs), (at_y, ys)].into_iter().enumerate() {
            labels[axis].push(text(at));
            ranks[axis].push(values.iter().position(|value| value == at).unwrap_or_default() as u32);
        }
    }
    let ([x_labels, y_labels], [x_ranks, y_ranks]) = (labels, ranks);
    let frame = df!(
        "trial" => ids, "arm" => arms, "x" => x_labels, "y" => y_labels, "x_rank" => x_ranks, "y_rank" => y_ranks
    )?;
    Ok(Some((x.clone(), y.clone(), frame)))
}

/// For every trial the solver and the problem that it stands for: `trial, solver, solver_rank, arm, point, problem`. Data, model, length and
/// seed make the problem; arm and optimizer the solver. Where of each arm one point was `chosen` in each problem, the arm alone is the solver.
pub fn contests(data: &Data, chosen: Option<&HashSet<String>>) -> PolarsResult<DataFrame> {
    let names = problems(&data.results, &data.sums)?;
    let seeds = data.results.trials.column("seed")?.u64()?;
    let is_problem = |key: &str| !key.starts_with("optimizer") && !key.starts_with("schedule");
    let mut trials = Vec::new();
    for (place, trial) in data.trials.iter().enumerate() {
        if chosen.is_some_and(|chosen| !chosen.contains(&trial.id)) {
            continue;
        }
        let mut solver = trial.clone();
        let keys = trial.swept.iter().filter(|(key, _)| is_problem(key));
        let problem: Vec<String> = keys.map(|(key, value)| format!("{key} = {value}")).collect();
        solver.swept.retain(|key, _| chosen.is_none() && !is_problem(key));
        let seed = seeds.get(place).unwrap_or_default();
        trials.push((solver, format!("{}, {} seed = {seed}", names[place], problem.join(", "))));
    }
    trials.sort_by(|(a, _), (b, _)| a.order(b));
    let solvers: Vec<Trial> = trials.iter().map(|(solver, _)| solver.clone()).collect();
    let points = points(&solvers);
    let mut rank = 0u32;
    let ranks: Vec<u32> = (0..solvers.len())
        .map(|i| {
            rank += u32::from(i > 0 && solvers[i].order(&solvers[i - 1]).is_ne());
            rank
        })
        .collect();
    df!(
        "trial" => solvers.iter().map(|solver| solver.id.as_str()).collect::<Vec<_>>(),
        "solver" => solvers.iter().map(Trial::label).collect::<Vec<_>>(),
        "solver_rank" => ranks,
        "arm" => solvers.iter().map(|solver| solver.rank as u32).collect::<Vec<_>>(),
        "point" => solvers.iter().map(|solver| points.get(&solver.point()).copied().unwrap_or_default()).collect::<Vec<_>>(),
        "problem" => trials.iter().map(|(_, problem)| problem.as_str()).collect::<Vec<_>>()
    )
}

/// One value of one searched key, in one tuning trial.
pub struct Searched<'a> {
    /// Where the trial is among all trials.
    pub place: usize,
    pub arm: &'a str,
    pub rank: usize,
    pub key: &'a str,
    pub value: f64,
}

/// What the tuning trials of a search tried, of keys with numbers.
pub fn searched(data: &Data) -> Vec<Searched<'_>> {
    let is_tuning = |trial: &Trial| trial.config.get("search.phase").is_some_and(|phase| phase == "tuning");
    let trials = data.trials.iter().enumerate().filter(|(_, trial)| is_tuning(trial));
    let keys = trials.flat_map(|(place, trial)| trial.swept.iter().map(move |(key, value)| (place, trial, key, value)));
    keys.filter_map(|(place, trial, key, value)| {
        Some(Searched { place, arm: &trial.arm, rank: trial.rank, key, value: value.as_f64()? })
    })
    .collect()
}

/// The keys in which lines differ and those in which they agree: `(label of each line, key → value of each line, key → value)`.
pub struct Differences {
    pub labels: Vec<String>,
    pub differing: Vec<(String, Vec<String>)>,
    pub common: Vec<(String, String)>,
}

/// How the configurations of lines differ. The first trial of a line speaks for all of it.
pub fn differences(data: &Data) -> PolarsResult<Differences> {
    let mut trials = data.trials.clone();
    trials.sort_by(Trial::order);
    trials.dedup_by(|a, b| a.order(b).is_eq());
    let keys: BTreeSet<&String> = trials.iter().flat_map(|trial| trial.config.keys()).collect();
    let (mut differing, mut common) = (Vec::new(), Vec::new());
    for key in keys {
        // A table that is not there is written as null: its keys say the same.
        let configs = trials.iter().map(|trial| trial.config.get(key));
        let values: Vec<Option<&Value>> = configs.map(|value| value.filter(|value| !value.is_null())).collect();
        if values.iter().all(Option::is_none) {
            continue;
        }
        if values.windows(2).all(|pair| pair[0] == pair[1]) {
            common.push((key.clone(), values[0].map(text).unwrap_or_default()));
        } else {
            differing.push((key.clone(), values.iter().map(|value| value.map(text).unwrap_or_default()).collect()));
        }
    }
    Ok(Differences { labels: trials.iter().map(Trial::label).collect(), differing, common })
}
