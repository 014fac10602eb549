//! What must be there before the first trial starts.

use std::path::Path;

use super::run::result_file;
use crate::data::{self, Kind};
use crate::experiment::Experiment;

impl Experiment {
    /// What is wrong with the data of trials that have no result in the folder yet: a line or two for each set that is not on the disk.
    #[must_use]
    pub fn missing_data(&self, results: &Path) -> Vec<data::Error> {
        let folder = data::folder(self.data_dir.as_deref());
        let mut kinds: Vec<Kind> = Vec::new();
        for trial in self.trials.iter().filter(|trial| !result_file(results, trial).exists()) {
            if !kinds.contains(&trial.config.data.kind) {
                kinds.push(trial.config.data.kind);
            }
        }
        kinds.into_iter().filter_map(|kind| data::locate(kind, &folder).err()).collect()
    }
}
