use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use nkfac_bench::figure::Comparison;

use super::output::line;
use super::place::Place;
use super::selection::Changes;

/// Compare two arms seed by seed: the difference, its 95 % interval, and whether there are enough seeds to tell
///
/// The same seed is the same start and the same batches for every arm, so differences are paired. Intervals are Student's t and, in
/// brackets, the bootstrap's. An arm at one point of a sweep is named as in the table: 'nkfac, inverse_every = 20'.
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
}

impl Compare {
    pub fn execute(self) -> anyhow::Result<ExitCode> {
        let place = self.place.map_or_else(|| only_folder(&self.results), Ok)?;
        let (_, data) = Place::of(place, self.results, self.changes).read()?;
        let Comparison { a, b, seeds, unpaired, differences } = Comparison::new(&data, &self.a, &self.b)?;
        let list = seeds.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
        line(format_args!(
            "{a} − {b}, {} pairs (seeds {})",
            seeds.len(),
            if seeds.is_empty() { "none" } else { &list }
        ))?;
        if unpaired > 0 {
            line(format_args!(
                "{unpaired} trials have no partner: diverged, or of a seed that the other arm does not have"
            ))?;
        }
        for difference in differences.iter().filter(|of| seeds.is_empty() || of.paired.mean.is_finite()) {
            let of = &difference.paired;
            let bootstrap =
                of.bootstrap.map_or(String::new(), |of| format!(" [bootstrap {:+.2} to {:+.2}]", of.low, of.high));
            line(format_args!(
                "{:<22} {:>9.2} {:>9.2}  {}{bootstrap}",
                difference.measure.title,
                difference.a,
                difference.b,
                difference.words()
            ))?;
            if seeds.is_empty() {
                break;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The only folder with Parquet files within `parent`.
fn only_folder(parent: &Path) -> anyhow::Result<PathBuf> {
    let entries = std::fs::read_dir(parent).with_context(|| {
        format!("cannot read folder `{}`\nhint: name a results folder behind the two arms", parent.display())
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
            bail!("no results in any folder of `{}`\nhint: name a results folder behind the two arms", parent.display())
        }
        [first, ..] => bail!(
            "there are results in {} folders of `{}`\nhint: name one behind the two arms, such as {}",
            folders.len(),
            parent.display(),
            first.display()
        ),
    }
}
