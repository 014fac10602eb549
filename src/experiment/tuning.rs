//! The two halves of an experiment with a search: tuning, and reruns of the best.
//!
//! Which reruns there are follows from the finished files of the tuning trials and from nothing else, so every process that looks at
//! the folder, now or after a crash, comes to the same ones.

use std::path::{Path, PathBuf};

use serde_json::{Value as Json, json};

use super::order::Order;
use super::search::{By, Drawn, SearchConfig};
use super::{Experiment, Trial, sweep};
use crate::{config, train};

/// The folder for tuning trials, in the folder of an experiment's results.
pub const TUNING: &str = "_tuning";

/// The search of an experiment, whose trials then are those of tuning.
#[derive(Debug, Clone)]
pub struct Search {
    pub config: SearchConfig,
    /// The keys that are searched.
    keys: Vec<String>,
    order: Order,
    /// The tuning trials as their reruns are, where these are longer or otherwise different.
    whole: Vec<Trial>,
}

impl Search {
    /// The search over `trials`, each told which of how many it is. That is no part of its name: it is the same trial in a longer search.
    pub(super) fn new(
        drawn: Drawn,
        order: Order,
        trials: &mut [Trial],
        whole: Vec<Trial>,
    ) -> Result<Self, config::Error> {
        let keys = drawn.space.into_iter().map(|axis| axis.path).collect();
        let search = Self { config: drawn.config, keys, order, whole };
        if let Some(trial) = trials.iter().find(|trial| trial.config.data.validation == 0) {
            let message = format!("arm `{}` has no validation images, which a search chooses by", trial.arm);
            return Err(config::Error::at(&drawn.origin, message)
                .hint("data.validation = 200 takes so many out of the training images"));
        }
        if let Some(base) = drawn.base.as_ref().filter(|_| trials.iter().any(|trial| search.whole(trial).is_none())) {
            let message =
                "`search.base` gives arms other keys than they are run with, so that what is chosen cannot be run";
            return Err(config::Error::at(&base.origin, message.to_owned()));
        }
        let SearchConfig { kind, seed, .. } = &search.config;
        for cell in search.cells(trials) {
            for (i, &place) in cell.iter().enumerate() {
                let told = &mut trials[place].json["search"];
                *told = json!({ "kind": kind, "seed": seed, "phase": "tuning", "trials": cell.len(), "number": i + 1 });
                if search.config.by == By::Target {
                    told["by"] = json!(By::Target);
                }
                if let Some(base) = &drawn.base {
                    told["base"] = base.to_json();
                }
            }
        }
        Ok(search)
    }

    /// The arms and points at which fewer configurations are tried than were asked for.
    pub(super) fn warnings(&self, trials: &[Trial]) -> Vec<String> {
        let few = self.cells(trials).into_iter().filter(|cell| cell.len() < self.config.trials);
        let warning = |cell: Vec<usize>| {
            let (arm, count, wanted) = (&trials[cell[0]].arm, cell.len(), self.config.trials);
            format!("arm `{arm}`: the {wanted} configurations of the search are only {count} different ones")
        };
        let mut warnings: Vec<String> = few.map(warning).collect();
        warnings.dedup();
        warnings
    }

    /// How many are chosen: one an arm and point of the sweep.
    #[must_use]
    pub fn choices(&self, trials: &[Trial]) -> usize {
        self.cells(trials).len()
    }

    /// The places of trials that compete with each other: those of one arm at one point of the sweep.
    pub(crate) fn cells(&self, trials: &[Trial]) -> Vec<Vec<usize>> {
        let mut cells: Vec<Vec<usize>> = Vec::new();
        for (place, trial) in trials.iter().enumerate() {
            let here = |cell: &&mut Vec<usize>| {
                let other = &trials[cell[0]];
                other.arm == trial.arm && self.point(other).eq(self.point(trial))
            };
            match cells.iter_mut().find(here) {
                Some(cell) => cell.push(place),
                None => cells.push(vec![place]),
            }
        }
        cells
    }

    /// The swept keys that are not searched.
    fn point<'a>(&'a self, trial: &'a Trial) -> impl Iterator<Item = &'a (String, Json)> {
        trial.swept.iter().filter(|(key, _)| !self.keys.contains(key))
    }

    /// A tuning trial as it is run again, where that is otherwise.
    fn whole(&self, tuned: &Trial) -> Option<&Trial> {
        self.whole.iter().find(|whole| whole.arm == tuned.arm && whole.swept == tuned.swept)
    }

    /// The same configuration under another seed. Its budget is part of its name: the best of more is another claim.
    fn rerun(&self, best: &Trial, seed: u64) -> Trial {
        let whole = self.whole(best).unwrap_or(best);
        let mut json = whole.json.clone();
        json["seed"] = seed.into();
        json["search"] = best.json["search"].clone();
        json["search"]["phase"] = "rerun".into();
        let swept = self.point(best).cloned().chain([("seed".to_owned(), seed.into())]).collect();
        let config = train::Config { seed, ..whole.config.clone() };
        Trial { id: sweep::id(&json), swept, config, json, ..whole.clone() }
    }
}

impl Experiment {
    /// Where its results go below `out`.
    #[must_use]
    pub fn folder(&self, out: &Path) -> PathBuf {
        let folder = out.join(&self.name);
        if self.search.is_some() { folder.join(TUNING) } else { folder }
    }

    /// Its one trial of this name: a tuning trial, or a rerun of any of them.
    #[must_use]
    pub fn only(self, id: &str) -> Self {
        let mut experiment = match &self.search {
            Some(search) if self.trials.iter().all(|trial| trial.id != id) => self.reruns(search, self.trials.iter()),
            _ => self,
        };
        experiment.trials.retain(|trial| trial.id == id);
        experiment
    }

    /// The configurations of these tuning trials over fresh seeds.
    pub(crate) fn reruns<'a>(&self, search: &Search, of: impl Iterator<Item = &'a Trial>) -> Self {
        let seeds = &search.config.rerun;
        let trials = of.flat_map(|trial| seeds.iter().map(|&seed| search.rerun(trial, seed))).collect();
        let trials = search.order.arrange(trials);
        Self { trials, search: None, warnings: Vec::new(), ..self.clone() }
    }
}
