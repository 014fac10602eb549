use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use nkfac_bench::figure::{Comparison, Difference, Measure};
use nkfac_bench::text::{Shown, counted, wrapped};
use serde_json::json;

use super::output::{columns, line};
use super::place::Place;
use super::selection::Changes;

/// Compare two arms seed by seed: the difference, its 95 % interval, and whether there are enough seeds to tell
///
/// The same seed is the same start and the same batches for every arm, so differences are paired. Intervals are Student's t, with the
/// bootstrap's behind from six seeds on. An arm at one point of a sweep is named as in the table: 'nkfac, inverse_every = 20'; where several arms
/// are swept, its name alone stands for its best point.
#[derive(Debug, Args)]
pub struct Compare {
    /// An arm, as the table names it
    a: String,
    /// What it is compared with
    b: String,
    /// An experiment (a TOML file) or a results folder [default: the only one in results/]
    place: Option<PathBuf>,
    /// The folder for results, where an experiment is named
    #[arg(long, value_name = "DIR", default_value = "results")]
    results: PathBuf,
    #[command(flatten)]
    changes: Changes,
    /// Print one JSON object per measure, for scripts
    #[arg(long)]
    json: bool,
}

impl Compare {
    pub fn execute(self) -> anyhow::Result<ExitCode> {
        let place = self.place.map_or_else(|| only_folder(&self.results), Ok)?;
        let (_, data) = Place::of(place, self.results, self.changes).read()?;
        for (i, (problem, comparison)) in Comparison::of_each_problem(&data, &self.a, &self.b)?.iter().enumerate() {
            if self.json {
                objects(problem.as_deref(), comparison)?;
                continue;
            }
            if let Some(problem) = problem {
                line(format_args!("{}{problem}:", if i > 0 { "\n" } else { "" }))?;
            }
            told(comparison)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// An object for each measure; what is not known is null.
fn objects(problem: Option<&str>, comparison: &Comparison) -> anyhow::Result<()> {
    let Comparison { a, b, seeds, unpaired, differences, .. } = comparison;
    for Difference { measure, a: of_a, b: of_b, paired, ratio } in differences {
        let interval = paired.student.map(|of| [of.low, of.high]);
        let ratio = ratio.as_ref().map(|of| (of.mean.exp(), of.student.map(|of| [of.low.exp(), of.high.exp()])));
        line(json!({
            "problem": problem, "a": a, "b": b, "measure": measure.name, "unit": measure.points, "seeds": seeds, "unpaired": unpaired,
            "mean_a": of_a, "mean_b": of_b, "difference": paired.mean, "interval": interval,
            "ratio": ratio.map(|(mean, _)| mean), "ratio_interval": ratio.and_then(|(_, interval)| interval)
        }))?;
    }
    Ok(())
}

fn told(Comparison { a, b, seeds, unpaired, differences, chosen }: &Comparison) -> anyhow::Result<()> {
    let list = seeds.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
    line(format_args!(
        "{a} − {b}, {} (seeds {})",
        counted(seeds.len(), "pair"),
        if seeds.is_empty() { "none" } else { &list }
    ))?;
    if *unpaired > 0 {
        line(format_args!(
            "{} without a partner: diverged, or of a seed that the other arm does not have",
            counted(*unpaired, "trial")
        ))?;
    }
    if let Some(chosen) = chosen {
        line(format_args!("compared: {chosen}"))?;
    }
    let tells = |of: &&Difference| of.paired.mean.is_finite() && !of.is_idle();
    for difference in differences.iter().filter(|of| seeds.is_empty() || tells(of)) {
        if seeds.is_empty() {
            line(difference.words())?;
            break;
        }
        show(difference)?;
    }
    Ok(())
}

/// The two means, and below them what they mean, in lines that fit the terminal.
fn show(difference: &Difference) -> anyhow::Result<()> {
    const INDENT: &str = "  ";
    let Measure { title, is_time, more, .. } = &difference.measure;
    // That less time is better goes without saying.
    let better = if *more || *is_time { "" } else { " (lower is better)" };
    line(format_args!("{title}: {}{better}", difference.means()))?;
    let resampled = difference.resampled().map_or(String::new(), |resampled| format!("; {resampled}"));
    let columns = columns().unwrap_or(WIDE).clamp(NARROW, WIDE) - INDENT.len();
    wrapped(&(difference.words() + &resampled), columns)
        .iter()
        .try_for_each(|text| line(format_args!("{INDENT}{text}")))
}

/// Lines are no longer than this, and no shorter than that.
const WIDE: usize = 100;
const NARROW: usize = 40;

/// The only folder with Parquet files within `parent`.
fn only_folder(parent: &Path) -> anyhow::Result<PathBuf> {
    let entries = std::fs::read_dir(parent).with_context(|| {
        format!("cannot read folder `{}`\nhint: name a results folder after the two arms", parent.shown())
    })?;
    let has_results = |folder: &PathBuf| {
        let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
        files.map(|file| file.path()).any(|path| path.extension().is_some_and(|extension| extension == "parquet"))
    };
    let mut folders: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(has_results).collect();
    folders.sort();
    match folders.as_slice() {
        [only] => Ok(only.clone()),
        [] => {
            bail!("no results in any folder of `{}`\nhint: name a results folder after the two arms", parent.shown())
        }
        [first, ..] => bail!(
            "there are results in {} folders of `{}`\nhint: name one after the two arms, such as {}",
            folders.len(),
            parent.shown(),
            first.shown()
        ),
    }
}
