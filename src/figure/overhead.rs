//! What an optimizer costs: its own work beside a forward and backward pass that is the same for all.

use std::collections::BTreeMap;

use polars::prelude::*;

use super::gather::{Lines, Member};
use super::ink::Canvas;
use super::phases::{bars, title};
use super::summary;
use super::sums::ADDED;
use super::{Data, Figure, numbers, table};
use crate::catalog::Entry;
use crate::stats;

/// A bar for each line of trials: what its phases add to forward and backward pass.
pub struct Overhead;

impl Figure for Overhead {
    fn entry(&self) -> Entry {
        Entry {
            name: "overhead",
            help: "what each optimizer adds to a step's forward and backward pass",
            example: "nkfac-bench figure results/quickstart overhead",
        }
    }

    /// `line, label, base, left_out`, and for each phase percents of `base`, the milliseconds of a step's forward and backward pass over all finished
    /// trials: means over finished trials.
    fn query(&self, data: &Data) -> PolarsResult<DataFrame> {
        let leading = summary::leading(data)?;
        let base = summary::base(data)?;
        let lines = Lines::new(&leading)?;
        let members = lines.members(data)?;
        let mut added: BTreeMap<u32, (&Member, Vec<[f64; ADDED.len()]>)> = BTreeMap::new();
        for member in members.iter().filter(|member| member.finished && base > 0.0) {
            if let Some(seconds) = data.sums[member.place].added() {
                added.entry(member.line).or_insert_with(|| (member, Vec::new())).1.push(seconds);
            }
        }
        let mut columns = vec![
            Column::new("line".into(), added.keys().copied().collect::<Vec<_>>()),
            Column::new("label".into(), added.values().map(|(member, _)| member.label).collect::<Vec<_>>()),
            Column::new("base".into(), vec![1e3 * base; added.len()]),
            Column::new("left_out".into(), vec![summary::left_out(&leading)?; added.len()]),
        ];
        for (i, phase) in ADDED.into_iter().enumerate() {
            let percent = |(_, trials): &(&Member, Vec<[f64; _]>)| {
                100.0 * stats::mean(&trials.iter().map(|seconds| seconds[i]).collect::<Vec<_>>()) / base
            };
            columns.push(Column::new(title(phase).into(), added.values().map(percent).collect::<Vec<_>>()));
        }
        DataFrame::new(added.len(), columns)
    }

    fn draw(&self, frame: &DataFrame, width: f64) -> PolarsResult<Canvas> {
        let base = numbers(frame, "base")?.first().copied().unwrap_or(f64::NAN);
        let note =
            format!("100 % is one forward and backward pass: {} ms, the mean over all trials", table::digits(base));
        bars(frame, width, &ADDED, ("added to forward and backward pass (%)", "%"), Some(note))
    }
}
