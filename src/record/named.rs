//! Results under the names that an experiment's file has for them now.

use std::collections::HashMap;

use polars::prelude::*;

use super::Results;

/// What an experiment's file calls its trials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    pub trials: Vec<Name>,
    /// In the order of the file.
    pub arms: Vec<String>,
}

/// What a file calls one trial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    pub trial: String,
    pub arm: String,
    /// The swept keys and their values, as JSON.
    pub swept: String,
}

impl Names {
    /// All rows of one trial under the name that it has; `None` if it has none.
    ///
    /// # Errors
    /// polars fails.
    pub fn of(&self, frame: &DataFrame) -> PolarsResult<Option<DataFrame>> {
        let id = frame.column("trial")?.str()?.get(0).unwrap_or_default();
        let Some(name) = self.trials.iter().find(|name| name.trial == id) else { return Ok(None) };
        let mut frame = frame.clone();
        for (column, text) in [("arm", &name.arm), ("swept", &name.swept)] {
            let text = Scalar::new(DataType::String, AnyValue::StringOwned(text.as_str().into()));
            frame.with_column(Column::new_scalar(column.into(), text, frame.height()))?;
        }
        Ok(Some(frame))
    }
}

impl Results {
    /// The trials that have a name, under it and in the order of `names`; those that have none are counted, as are names without a trial. What a trial was called when it
    /// ran does not matter: the file is the question, and results are its answers.
    ///
    /// # Errors
    /// polars fails.
    pub fn named(mut self, names: &Names) -> PolarsResult<Self> {
        let ids = self.trials.column("trial")?.str()?;
        let places: HashMap<&str, usize> = ids.iter().enumerate().filter_map(|(i, id)| Some((id?, i))).collect();
        let found: Vec<(usize, &Name)> =
            names.trials.iter().filter_map(|name| Some((*places.get(name.trial.as_str())?, name))).collect();
        let (others, missing) = (self.trials.height() - found.len(), names.trials.len() - found.len());
        let chosen = IdxCa::from_vec("place".into(), found.iter().map(|(place, _)| *place as IdxSize).collect());
        let mut trials = self.trials.take(&chosen)?;
        let column = |of: fn(&Name) -> &str| found.iter().map(|(_, name)| of(name)).collect::<Vec<_>>();
        trials.with_column(Column::new("arm".into(), column(|name| &name.arm)))?;
        trials.with_column(Column::new("swept".into(), column(|name| &name.swept)))?;
        let mut rows: Vec<Option<DataFrame>> = self.rows.drain(..).map(Some).collect();
        let rows = found.iter().filter_map(|(place, _)| rows[*place].take()).collect();
        Ok(Self { trials, rows, arms: names.arms.clone(), others, missing, ..self })
    }
}
