use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use nkfac_bench::experiment::{self, TUNING, Work};
use nkfac_bench::figure::Data;
use nkfac_bench::record::{self, Names};
use nkfac_bench::report::Asked;
use nkfac_bench::text::{Shown, counted, shell};

use super::output::say;
use super::selection::Changes;

/// Whose results: an experiment's, or all of a folder.
#[derive(Debug, Args)]
pub struct Place {
    /// An experiment (a TOML file), for exactly its trials under its names, or a results folder, for all that lies in it
    place: PathBuf,
    /// The folder for results, where an experiment is named
    #[arg(long, value_name = "DIR", default_value = "results")]
    results: PathBuf,
    #[command(flatten)]
    changes: Changes,
}

impl Place {
    /// All of a results folder, or an experiment whose results lie in a folder within `results`.
    pub const fn of(place: PathBuf, results: PathBuf, changes: Changes) -> Self {
        Self { place, results, changes }
    }

    /// The folder, and the trials that are asked for; `None` for all.
    pub fn names(&self) -> anyhow::Result<(PathBuf, Option<Names>)> {
        if self.place.is_dir() {
            self.changes.refuse_for(&self.place)?;
            return Ok((self.place.clone(), None));
        }
        let is_file = self.place.extension().is_some_and(|extension| extension == "toml");
        if !is_file && !self.place.exists() {
            bail!(
                "there is no `{}`\nhint: name an experiment (a TOML file) or a results folder such as results/quickstart",
                self.place.shown()
            );
        }
        let overrides = self.changes.overrides();
        let experiment = match experiment::open(&self.place, &overrides)? {
            Work::Training(experiment) => experiment,
            Work::Inverting(comparison) => {
                return Ok((self.results.join(&comparison.name), Some(comparison.names())));
            }
        };
        let folder = experiment.folder(&self.results);
        match experiment.choose(&folder) {
            None => Ok((folder, Some(experiment.names()))),
            Some(Ok(choice)) => Ok((choice.reruns.folder(&self.results), Some(choice.reruns.names()))),
            Some(Err(waiting)) => bail!(
                "{waiting}\nhint: `nkfac-bench run` runs them; what there is already lies in `{}`, a results folder, too",
                folder.shown()
            ),
        }
    }

    /// What asks the same again, of `run` and `report`; a folder does not know its file.
    fn again(&self) -> Option<[String; 2]> {
        let asked = std::iter::once(self.place.clone().into_os_string()).chain(self.changes.arguments());
        let asked = asked.map(shell).collect::<Vec<_>>().join(" ");
        let elsewhere = |option: &str| match self.results.as_os_str() == "results" {
            true => asked.clone(),
            false => format!("{asked} {option} {}", shell(&self.results)),
        };
        (!self.place.is_dir()).then(|| ["--out", "--results"].map(elsewhere))
    }

    /// Where the tuning trials of an experiment with a search lie, and which these are.
    fn tuning(&self) -> anyhow::Result<Option<(PathBuf, Names)>> {
        if self.place.is_dir() {
            return Ok(None);
        }
        match experiment::open(&self.place, &self.changes.overrides())? {
            Work::Training(experiment) if experiment.search.is_some() => {
                Ok(Some((experiment.folder(&self.results), experiment.names())))
            }
            _ => Ok(None),
        }
    }

    /// What a server is to serve.
    pub fn asked(&self) -> anyhow::Result<Asked> {
        let (folder, names) = self.names()?;
        Ok(Asked { folder, names, again: self.again(), tuning: self.tuning()? })
    }

    /// Reads what is asked for, and where it lies; what had to be skipped or was not asked for goes to standard error.
    pub fn read(&self) -> anyhow::Result<(PathBuf, Data)> {
        let (folder, names) = self.names()?;
        let mut data = read(&folder, names.as_ref())?;
        if let Some((folder, names)) = self.tuning()? {
            data.tuning = Some(Box::new(tuning(&folder, &names)?));
        }
        data.again = self.again();
        if names.is_none() {
            let all = counted(data.results.trials.height(), "trial");
            say(format_args!(
                "{all} in `{}`, all that lie there; name the experiment's file for exactly its own",
                folder.shown()
            ));
        }
        Ok((folder, data))
    }
}

/// Reads the tuning trials of a search.
pub fn tuning(folder: &Path, names: &Names) -> anyhow::Result<Data> {
    Ok(Data::new(record::read(folder)?.named(names)?)?)
}

/// Reads a folder of results, all of it or the trials that have names; what is left out goes to standard error.
pub fn read(folder: &Path, names: Option<&Names>) -> anyhow::Result<Data> {
    let mut results = match record::read(folder) {
        Err(record::Error::Empty { .. }) if folder.join(TUNING).is_dir() => bail!(
            "only tuning trials are in `{0}`, and no reruns of the best yet\nhint: `nkfac-bench run` runs them when all tuning trials are done; `{0}/{TUNING}` is a results folder, too",
            folder.shown()
        ),
        other => other?,
    };
    for skipped in &results.skipped {
        say(format_args!("warning: {skipped}"));
    }
    if let Some(names) = names {
        let all = results.trials.height();
        results = results.named(names).with_context(|| format!("cannot read `{}`", folder.shown()))?;
        if results.trials.height() == 0 {
            bail!(
                "none of the {all} trials in `{0}` is in the experiment's file\nhint: `nkfac-bench run` runs the file's; `{0}` in place of the file shows what is there",
                folder.shown()
            );
        }
        if results.others > 0 {
            let others = counted(results.others, "other trial");
            say(format_args!("left out: {others} in `{}`, which the experiment's file does not have", folder.shown()));
        }
        if results.missing > 0 {
            let (missing, all) = (results.missing, counted(names.trials.len(), "trial"));
            say(format_args!("not there yet: {missing} of the {all} in the experiment's file"));
        }
    }
    Ok(Data::new(results)?)
}
