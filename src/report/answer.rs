//! The answer in plain words: which, by how much, how sure.

use polars::prelude::*;

use super::Error;
use crate::figure::{
    Comparison, Data, Difference, Figure as _, Round, Table, TimeToTarget, digits, drawn, target, undrawn,
};
use crate::record::Goal;
use crate::stats::{self, ENOUGH, Verdict, median};
use crate::text::counted;

/// A line of trials as the answer needs it.
struct Line {
    label: String,
    seeds: usize,
    /// The mean of the goal on the test set.
    value: f64,
    deviation: f64,
    epoch_seconds: f64,
    first_order: bool,
}

/// Sentences, the one that matters most first.
pub fn sentences(data: &Data, table: &Table) -> Result<Vec<String>, Error> {
    let mut lines = lines(data, table)?;
    let diverged: u32 = table.frame().column("diverged")?.u32()?.iter().flatten().sum();
    lines.retain(|line| line.seeds > 0 && line.value.is_finite());
    let goal = data.goal;
    lines.sort_by(|a, b| goal.order(b.value, a.value));
    let Some(best) = lines.first() else {
        return Ok(vec![format!("No trial has finished ({diverged} diverged), so there is nothing to compare.")]);
    };
    let n = |line: &Line| if line.seeds == 1 { "1 seed".to_owned() } else { format!("{} seeds", line.seeds) };
    let level = |line: &Line| match line.deviation.is_finite() {
        true => format!("{} ± {}", goal.number(line.value), goal.show(line.deviation)),
        false => goal.show(line.value),
    };
    let (title, most) = (goal.title, goal.superlative());
    let runner_up = lines.get(1);
    let (name, of_best) = (&best.label, level(best));
    let mut said = vec![match runner_up {
        None => format!("Only {name} has finished: {of_best} final test {title} over {}.", n(best)),
        Some(second) if second.value == best.value => {
            let equals = lines.iter().filter(|line| line.value == best.value);
            let names = listed(&equals.map(|line| line.label.as_str()).collect::<Vec<_>>());
            format!("{names} tie for the {most} final test {title}, {}.", goal.show(best.value))
        }
        Some(second) => {
            let lead = &Comparison::new(data, name, &second.label)?.differences[0];
            let sure = how_sure(lead, goal, &second.label);
            format!("{name} has the {most} final test {title}, {of_best} over {}; {sure}.", n(best))
        }
    }];
    let first_order = lines.iter().find(|line| line.first_order && line.label != best.label);
    let mut rivals: Vec<&Line> = runner_up.into_iter().collect();
    rivals.extend(first_order.filter(|line| runner_up.is_none_or(|second| second.label != line.label)));
    for rival in rivals {
        let comparison = Comparison::new(data, &best.label, &rival.label)?;
        let role = if rival.first_order && !best.first_order { ", the best without a preconditioner," } else { "" };
        let words = comparison.differences[0].words();
        said.push(format!("Against {}{role} with {}, paired by seed: {words}.", rival.label, level(rival)));
    }
    said.extend(speed(&lines, data)?);
    said.extend(time_to_target(data)?);
    said.extend(undrawn(data)?.map(|undrawn| format!("Compared here: {undrawn}.")));
    said.extend(caveats(&lines, data, diverged, table.validated));
    Ok(said)
}

/// `a, b and c`.
fn listed(names: &[&str]) -> String {
    match names {
        [first @ .., last] if !first.is_empty() => format!("{} and {last}", first.join(", ")),
        _ => names.concat(),
    }
}

/// How sure a lead over the second is.
fn how_sure(lead: &Difference, goal: Goal, second: &str) -> String {
    let by = format!("{} ahead of {second}", goal.difference(goal.lead(lead.paired.mean, 0.0)));
    match lead.paired.verdict() {
        _ if lead.paired.pairs == 0 => format!("no seed finished both with it and with {second}, so that is not sure"),
        Verdict::TooFew => format!("it is {by}, but so few seeds cannot tell"),
        Verdict::Open { .. } => format!("it is {by}, but that may be chance"),
        Verdict::Higher | Verdict::Lower => format!("it is {by}, more than chance explains (95 %)"),
    }
}

/// The lines that figures show: of a swept arm its best point, unless all were asked for.
fn lines(data: &Data, table: &Table) -> PolarsResult<Vec<Line>> {
    let frame = table.frame();
    let numbers = |name: &str| -> PolarsResult<Vec<f64>> {
        Ok(frame.column(name)?.f64()?.iter().map(|value| value.unwrap_or(f64::NAN)).collect())
    };
    let (means, sds, seconds) =
        (numbers(&data.goal.key("final"))?, numbers(&(data.goal.key("final") + "_sd"))?, numbers("epoch_seconds")?);
    let seeds = frame.column("seeds")?.u32()?;
    let (arms, inverters) = (data.results.trials.column("arm")?.str()?, data.results.trials.column("inverter")?.str()?);
    let is_first_order = |label: &str| {
        let of_arm = arms.iter().zip(inverters.iter()).filter(|(arm, _)| {
            arm.is_some_and(|arm| label == arm || label.strip_prefix(arm).is_some_and(|rest| rest.starts_with(", ")))
        });
        of_arm.map(|(_, inverter)| inverter).all(|inverter| inverter.is_none_or(str::is_empty))
    };
    let drawn = drawn(data)?;
    let line = |(i, label): (usize, Option<&str>)| {
        let label = label.unwrap_or_default().to_owned();
        Line {
            first_order: is_first_order(&label),
            label,
            seeds: seeds.get(i).unwrap_or_default() as usize,
            value: means[i],
            deviation: sds[i],
            epoch_seconds: seconds[i],
        }
    };
    let lines = frame.column("label")?.str()?.iter().enumerate().map(line);
    Ok(lines.filter(|line| drawn.contains(&line.label)).collect())
}

/// What an epoch of the best costs, or so many steps, beside the fastest of the others; nothing where that is not the same in all trials.
fn speed(lines: &[Line], data: &Data) -> Result<Option<String>, Error> {
    let Some((best, others)) = lines.split_first().filter(|_| data.round != Round::Any) else { return Ok(None) };
    let timed = others.iter().filter(|line| line.epoch_seconds > 0.0);
    let Some(rival) = timed.min_by(|a, b| a.epoch_seconds.total_cmp(&b.epoch_seconds)) else { return Ok(None) };
    let differences = Comparison::new(data, &best.label, &rival.label)?.differences;
    let words = differences.iter().find(|of| of.measure.name == "epoch_seconds").map(Difference::words);
    let what = match data.round {
        Round::Epoch => "An epoch takes".to_owned(),
        steps => format!("For {steps}, training takes"),
    };
    let [own, other] = [best, rival].map(|line| format!("{} {} s", line.label, digits(line.epoch_seconds)));
    Ok(words.map(|words| format!("{what}: {own}; {other}, the fastest of the others. Paired by seed: {words}.")))
}

/// Who is there first. A trial that never gets there counts as slower than any that does.
fn time_to_target(data: &Data) -> Result<Option<String>, Error> {
    let (target, said) = target(data)?;
    let runs = TimeToTarget.query(data)?;
    let (labels, outcomes, seconds) =
        (runs.column("label")?.str()?, runs.column("outcome")?.str()?, runs.column("seconds")?.f64()?);
    let mut lines: Vec<(&str, Vec<f64>)> = Vec::new();
    for ((label, outcome), seconds) in labels.iter().zip(outcomes.iter()).zip(seconds.iter()) {
        let (Some(label), Some(seconds)) = (label, seconds) else { continue };
        let time = if outcome == Some("reached") { seconds } else { f64::INFINITY };
        match lines.last_mut().filter(|last| last.0 == label) {
            Some((_, times)) => times.push(time),
            None => lines.push((label, vec![time])),
        }
    }
    let mut medians: Vec<(&str, f64)> = lines.iter().map(|(label, times)| (*label, median(times))).collect();
    medians.retain(|(_, median)| median.is_finite());
    medians.sort_by(|a, b| a.1.total_cmp(&b.1));
    let goal = data.goal;
    let at = goal.with_unit(&digits(goal.units * target));
    let why = match (said, goal.more) {
        (true, _) => "",
        (false, true) => ", which half of the arms end above,",
        (false, false) => ", which half of the arms end below,",
    };
    Ok(match medians.as_slice() {
        [] => None,
        [(only, time)] => {
            Some(format!("Only {only} reaches {at}{why} in half of its trials, after {} s of training.", digits(*time)))
        }
        [(first, time), (second, later), ..] if digits(*time) == digits(*later) => Some(format!(
            "{first} and {second} tie for the first at {at}{why} after {} s of training (median over seeds).",
            digits(*time)
        )),
        [(first, time), (second, later), ..] => Some(format!(
            "{first} is the first at {at}{why} after {} s of training (median over seeds), then {second} after {} s.",
            digits(*time),
            digits(*later)
        )),
    })
}

fn caveats(lines: &[Line], data: &Data, diverged: u32, validated: bool) -> Vec<String> {
    let (goal, round) = (data.goal, data.round);
    let most = lines.iter().map(|line| line.seeds).max().unwrap_or_default();
    let mut said = Vec::new();
    if data.results.missing > 0 {
        let missing = counted(data.results.missing, "trial");
        said.push(format!("This is a part: {missing} of the experiment's file without a result yet."));
    }
    if most < ENOUGH {
        let floor = if most < stats::FEWEST { "Fewer than three seeds tell nothing of the spread. " } else { "" };
        said.push(format!(
            "{floor}Intervals of differences are Student's t, assuming normal differences; from {ENOUGH} seeds on the bootstrap must agree."
        ));
    }
    if diverged > 0 {
        said.push(format!("{} diverged: counted, and never averaged.", counted(diverged as usize, "trial")));
    }
    if !validated {
        said.push(format!(
            "There is no validation set, so best {} are chosen on the test set, which biases them {}; judge by the last.",
            if round == Round::Epoch { "epochs" } else { "evaluations" },
            goal.bias()
        ));
    }
    said
}
