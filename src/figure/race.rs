//! Who is at the target in the fewest steps, by the rules of evidence of public speedruns.

use std::collections::BTreeMap;

use polars::prelude::*;

use super::gather::{self, Lines, Member};
use super::ink::style::{BELOW, LEADING, MARGIN};
use super::ink::{Anchor, Canvas, Frame, Legend, Panel, Scale, names};
use super::time_to_target::target;
use super::{Data, Figure, counts, goal, looks, numbers, summary, table, texts};
use crate::catalog::Entry;
use crate::record::Scope;
use crate::stats;

/// A bar for each line of trials: the first evaluation at which the mean over seeds is at the target, and not by luck. A line counts at one step for
/// all of its seeds, and not at all if one of them diverged.
pub struct Race;

/// How many standard errors the mean must be beyond the target: one-sided, p ≤ 0.001.
const CERTAIN: f64 = 3.09;

impl Figure for Race {
    fn entry(&self) -> Entry {
        Entry {
            name: "race",
            help: "the fewest steps at which the mean over seeds is certain to be at the target on the test set",
            example: "nkfac-bench figure results/tuned-gpt race",
        }
    }

    /// `line, label, arm, point, seeds, goal, target, sigma, z, steps, seconds, left_out`, a row for each line. `z`: by how many `sigma/√seeds` the mean
    /// is beyond the target, after `steps`, or at the end if it never is by enough; `seconds`: their mean then. `sigma`: the standard deviation over
    /// seeds at that evaluation, pooled over lines.
    fn query(&self, data: &Data) -> PolarsResult<DataFrame> {
        let leading = summary::leading(data)?;
        let lines = Lines::new(&leading)?;
        let members = lines.members(data)?;
        let (target, _) = target(data)?;
        let courses = gather::groups(&members).map(|line| course(data, line)).collect::<PolarsResult<Vec<_>>>()?;
        let found: Vec<Option<Found>> =
            courses.iter().map(|course| find(course, &courses, |mean| data.goal.lead(mean, target))).collect();
        let groups: Vec<&[Member]> = gather::groups(&members).collect();
        let firsts = || groups.iter().map(|line| &line[0]);
        let of =
            |of: fn(&Found) -> Option<f64>| found.iter().map(|found| found.as_ref().and_then(of)).collect::<Vec<_>>();
        df!(
            "line" => firsts().map(|member| member.line).collect::<Vec<_>>(),
            "label" => firsts().map(|member| member.label).collect::<Vec<_>>(),
            "arm" => firsts().map(|member| member.arm).collect::<Vec<_>>(),
            "point" => firsts().map(|member| member.point).collect::<Vec<_>>(),
            "seeds" => groups.iter().map(|line| line.len() as u32).collect::<Vec<_>>(),
            "goal" => vec![data.goal.metric.name(); groups.len()],
            "target" => vec![target; groups.len()],
            "sigma" => of(|found| Some(found.sigma)),
            "z" => of(|found| Some(found.z)),
            "steps" => of(|found| found.reached.map(|[steps, _]| steps)),
            "seconds" => of(|found| found.reached.map(|[_, seconds]| seconds)),
            "left_out" => vec![summary::left_out(&leading)?; groups.len()]
        )
    }

    fn draw(&self, frame: &DataFrame, width: f64) -> PolarsResult<Canvas> {
        let (steps, seconds, z) = (numbers(frame, "steps")?, numbers(frame, "seconds")?, numbers(frame, "z")?);
        if z.iter().all(|z| z.is_nan()) {
            return Ok(Canvas::notice(
                width,
                "No line has two finished seeds, so nothing is certain about any of them.",
            ));
        }
        let (labels, looks, goal) = (texts(frame, "label")?, looks(frame)?, goal(frame)?);
        let mut order: Vec<usize> = (0..labels.len()).collect();
        let place = |row: usize| if steps[row].is_nan() { f64::INFINITY } else { steps[row] };
        order.sort_by(|&a, &b| place(a).total_cmp(&place(b)).then_with(|| z[b].total_cmp(&z[a])));
        let (shown, left) = names(&labels, width);
        let bottom = MARGIN + labels.len() as f64 * PITCH;
        let area = Frame { left, top: MARGIN, right: width - 2.0 * MARGIN, bottom };
        // Room for what is said behind the longest bar.
        let room = 1.0 + 120.0 / (area.right - left - 120.0).max(60.0);
        let longest = steps.iter().copied().filter(|steps| steps.is_finite()).fold(1.0, f64::max);
        let panel = Panel::of_rows(area, Scale::from_zero(&[room * longest]), labels.len());
        let legend = Legend::new(Vec::new(), summary::caption(frame, Some(rules(frame)?))?, width);
        let mut canvas = Canvas::new(width, bottom + BELOW + legend.height());
        let target = table::digits(goal.units * numbers(frame, "target")?[0]);
        panel.x_axis(&mut canvas, &format!("steps to {}", goal.reached(&target)));
        for (bar, &row) in order.iter().enumerate() {
            let (zero, middle) = panel.at((0.0, panel.row(bar)));
            canvas.text((left - 6.0, middle), &shown[row], Anchor::End);
            let beyond =
                if z[row].is_finite() { format!(", z = {:.1}", z[row]).replace('-', "−") } else { String::new() };
            let (end, told) = if z[row].is_nan() {
                (zero, "diverged, or a single seed".to_owned())
            } else if steps[row].is_nan() {
                (zero, format!("not reached for certain{beyond}"))
            } else {
                let end = panel.x_at(steps[row]);
                canvas.rectangle((zero, middle - LEADING / 2.0), (end, middle + LEADING / 2.0), looks[row].color);
                (end, format!("{:.0}: {} s{beyond}", steps[row], table::digits(seconds[row])))
            };
            canvas.text((end + 4.0, middle), &told, Anchor::Start);
            canvas.hover(
                (zero, middle - LEADING / 2.0),
                (end, middle + LEADING / 2.0),
                format!("{}: {told}", labels[row]),
            );
        }
        panel.border(&mut canvas);
        legend.draw(&mut canvas, (width / 2.0, bottom + BELOW));
        Ok(canvas)
    }
}

/// What is meant by certain.
fn rules(frame: &DataFrame) -> PolarsResult<String> {
    let goal = goal(frame)?;
    let mut sigmas = numbers(frame, "sigma")?;
    sigmas.retain(|sigma| sigma.is_finite());
    let [least, most] =
        [f64::min, f64::max].map(|of: fn(f64, f64) -> f64| sigmas.iter().copied().reduce(of).unwrap_or(f64::NAN));
    let number = |sigma: f64| table::digits(goal.units * sigma);
    let sigma =
        if number(least) == number(most) { number(most) } else { format!("{} to {}", number(least), number(most)) };
    let seeds = summary::over(&counts(frame, "seeds")?).unwrap_or_default();
    Ok(format!(
        "first evaluation whose mean over {seeds} is beyond the target by z ≥ {CERTAIN} standard errors (one-sided, p ≤ 0.001); σ = {} {}, pooled over lines",
        sigma, goal.points
    ))
}

/// An evaluation of all seeds of a line.
struct Evaluation {
    steps: f64,
    seconds: f64,
    values: Vec<f64>,
}

/// What is certain about a line.
struct Found {
    sigma: f64,
    z: f64,
    /// Steps and seconds.
    reached: Option<[f64; 2]>,
}

/// A line's evaluations on the test set by round; none if a trial has not finished.
fn course(data: &Data, line: &[Member]) -> PolarsResult<BTreeMap<u32, Evaluation>> {
    let mut course: BTreeMap<u32, Evaluation> = BTreeMap::new();
    if line.iter().any(|member| !member.finished) {
        return Ok(course);
    }
    for member in line {
        for row in gather::of(data, member)?.filter(|row| row.is(&Scope::Test, data.goal.metric)) {
            let none = Evaluation { steps: row.step as f64, seconds: 0.0, values: Vec::new() };
            let evaluation = course.entry(row.epoch).or_insert(none);
            evaluation.seconds += row.seconds / line.len() as f64;
            evaluation.values.push(row.value);
        }
    }
    course.retain(|_, evaluation| evaluation.values.len() == line.len() && line.len() > 1);
    Ok(course)
}

/// The first evaluation at which the mean leads by enough, or the last one.
fn find(
    course: &BTreeMap<u32, Evaluation>,
    all: &[BTreeMap<u32, Evaluation>],
    lead: impl Fn(f64) -> f64,
) -> Option<Found> {
    let mut last = None;
    for (round, Evaluation { steps, seconds, values }) in course {
        let sigma = pooled(all.iter().filter_map(|course| course.get(round)).map(|evaluation| &evaluation.values[..]));
        let lead = lead(stats::mean(values));
        let z = if lead == 0.0 { 0.0 } else { lead * (values.len() as f64).sqrt() / sigma };
        if z >= CERTAIN {
            return Some(Found { sigma, z, reached: Some([*steps, *seconds]) });
        }
        last = Some(Found { sigma, z, reached: None });
    }
    last
}

/// The standard deviation within groups of two or more.
fn pooled<'a>(groups: impl Iterator<Item = &'a [f64]>) -> f64 {
    let (squares, freedom) = groups.fold((0.0, 0.0), |(squares, freedom), values| {
        let more = values.len() as f64 - 1.0;
        (squares + more * stats::deviation(values).powi(2), freedom + more)
    });
    (squares / freedom).sqrt()
}

/// From one bar to the next.
const PITCH: f64 = 18.0;
