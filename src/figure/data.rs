//! Results as every figure asks for them.

use std::collections::HashMap;
use std::fmt::{self, Display};

use polars::prelude::*;
use rayon::prelude::*;
use serde_json::Value;

use super::trial::{Trial, problems, trials};
use super::{Error, Sums, texts};
use crate::catalog;
use crate::record::{Goal, Results};

/// What of the results is drawn, and as what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct View {
    /// Every line; otherwise of several swept arms each at its best point.
    pub all: bool,
    /// What is left to the best value on a logarithmic axis, whatever the values; otherwise where every line ends above 9 in 10.
    pub error: bool,
}

/// What lies between two evaluations.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Round {
    Epoch,
    Epochs(f64),
    Steps(u64),
    /// Not the same in all trials.
    Any,
}

impl Round {
    fn of(trials: &[Trial]) -> Self {
        let of = |trial: &Trial| {
            let steps = trial.config.get("evaluate_every").and_then(Value::as_u64).map(Self::Steps);
            let epochs = || trial.config.get("evaluate_epochs").and_then(Value::as_f64).map(Self::Epochs);
            steps.or_else(epochs).unwrap_or(Self::Epoch)
        };
        let all = trials.iter().map(of).reduce(|one, other| if one == other { one } else { Self::Any });
        all.unwrap_or(Self::Epoch)
    }
}

impl Display for Round {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Epoch => f.write_str("epoch"),
            Self::Epochs(epochs) => write!(f, "{epochs} epochs"),
            Self::Steps(1) => f.write_str("step"),
            Self::Steps(steps) => write!(f, "{steps} steps"),
            Self::Any => f.write_str("evaluation"),
        }
    }
}

/// Results with what every figure asks of them: each trial summed up and its configuration read, once.
pub struct Data {
    pub results: Results,
    /// In the order of the trials.
    pub sums: Vec<Sums>,
    /// What the trials of a problem are judged by; accuracy where nothing was evaluated.
    pub goal: Goal,
    /// What lies between two evaluations of the trials of a problem.
    pub round: Round,
    pub view: View,
    /// What `run` and `report` are to be told for the same again, as words of the shell; unknown of a folder.
    pub again: Option<[String; 2]>,
    pub(super) trials: Vec<Trial>,
    /// Where a trial's id is.
    pub(super) places: HashMap<String, usize>,
    /// The tuning trials of a search, where these are its reruns.
    pub tuning: Option<Box<Data>>,
    /// The results by problem, with its name, where there are several.
    pub(super) problems: Vec<(String, Data)>,
}

impl Data {
    /// Sums everything up.
    pub fn new(results: Results) -> PolarsResult<Self> {
        let sums = results.rows.par_iter().map(Sums::new).collect::<PolarsResult<_>>()?;
        let mut data = Self::of(results, sums)?;
        let names = problems(&data.results, &data.sums)?;
        let mut known: Vec<&String> = Vec::new();
        for name in &names {
            if !known.contains(&name) {
                known.push(name);
            }
        }
        if known.len() > 1 {
            let part = |name: &&String| {
                let places: Vec<usize> = (0..names.len()).filter(|&place| names[place] == **name).collect();
                Ok(((*name).clone(), data.part(&places)?))
            };
            data.problems = known.iter().map(part).collect::<PolarsResult<_>>()?;
        }
        Ok(data)
    }

    /// The same, seen in another way.
    #[must_use]
    pub fn with(mut self, view: View) -> Self {
        self.view = view;
        self.problems.iter_mut().for_each(|(_, part)| part.view = view);
        self
    }

    /// The results of each problem, a data set and a net, with its name where there are several.
    pub fn problems(&self) -> impl Iterator<Item = (Option<&str>, &Self)> {
        let whole = self.problems.is_empty().then_some((None, self));
        whole.into_iter().chain(self.problems.iter().map(|(name, part)| (Some(name.as_str()), part)))
    }

    /// Whether trials held examples out of training, on which the best epoch and the best point are chosen.
    #[must_use]
    pub fn is_validated(&self) -> bool {
        self.sums.iter().any(Sums::is_validated)
    }

    /// The trials of the arms in `only`, or of all if none is named, with arms called by their second name in `labels` instead of their first. The
    /// colours stay those of the whole.
    ///
    /// # Errors
    /// No arm has such a name, or two would have the same.
    pub fn choose(mut self, only: &[String], labels: &[(String, String)]) -> Result<Self, Error> {
        let failed = |source| Error::Query { figure: "table", source };
        let known = self.results.arms.clone();
        if let Some(name) = only.iter().chain(labels.iter().map(|(old, _)| old)).find(|name| !known.contains(name)) {
            let hint = catalog::nearest(name, known.iter().map(String::as_str));
            let hint = hint.map_or_else(
                || format!("there are `{}`", known.join("`, `")),
                |near| format!("did you mean `{near}`?"),
            );
            return Err(Error::UnknownLine { name: name.clone(), hint });
        }
        let arms = texts(&self.results.trials, "arm").map_err(failed)?;
        let kept: Vec<usize> =
            (0..arms.len()).filter(|&place| only.is_empty() || only.contains(&arms[place])).collect();
        let called = |arm: &String| labels.iter().find(|(old, _)| old == arm).map_or(arm, |(_, new)| new).clone();
        self.results.arms = known.iter().map(called).collect();
        if let Some(name) =
            self.results.arms.iter().find(|name| self.results.arms.iter().filter(|other| other == name).count() > 1)
        {
            return Err(Error::SameName { name: name.clone() });
        }
        let renamed: Vec<String> = arms.iter().map(called).collect();
        self.results.trials.with_column(Column::new("arm".into(), renamed)).map_err(failed)?;
        let tuning = self.tuning.take();
        let chosen = self.part(&kept).map_err(failed)?;
        let data = Self::new(chosen.results).map_err(failed)?;
        Ok(Self { tuning, ..data }.with(self.view))
    }

    fn of(results: Results, sums: Vec<Sums>) -> PolarsResult<Self> {
        let ids = texts(&results.trials, "trial")?;
        let places = ids.into_iter().enumerate().map(|(place, id)| (id, place)).collect();
        let trials = trials(&results)?;
        Ok(Self {
            round: Round::of(&trials),
            goal: sums.iter().find_map(|sums| sums.goal).unwrap_or(Goal::ACCURACY),
            sums,
            view: View::default(),
            again: None,
            trials,
            places,
            tuning: None,
            problems: Vec::new(),
            results,
        })
    }

    /// The trials at these places.
    fn part(&self, places: &[usize]) -> PolarsResult<Self> {
        let chosen = IdxCa::from_vec("place".into(), places.iter().map(|&place| place as IdxSize).collect());
        let whole = &self.results;
        let results = Results {
            trials: whole.trials.take(&chosen)?,
            rows: places.iter().map(|&place| whole.rows[place].clone()).collect(),
            steps: whole.steps.clone(),
            arms: whole.arms.clone(),
            others: whole.others,
            missing: whole.missing,
            skipped: Vec::new(),
        };
        Self::of(results, places.iter().map(|&place| self.sums[place].clone()).collect())
    }
}
