//! What must be there before the first trial starts.

use std::path::Path;

use candle_core::Device;

use super::Error;
use super::run::result_file;
use crate::data;
use crate::experiment::{Experiment, Trial};
use crate::train::{self, Config};

impl Experiment {
    /// Why trials without a result in the folder would fail as soon as they start: data that are not on the disk, vectors that the processor
    /// lacks, weights and groups of parameters that do not fit their net. Each reason once.
    #[must_use]
    pub fn obstacles(&self, results: &Path) -> Vec<Error> {
        let folder = data::folder(self.data_dir.as_deref());
        let mut seen: Vec<&Trial> = Vec::new();
        let mut obstacles = Vec::new();
        for trial in self.trials.iter().filter(|trial| !result_file(results, trial).exists()) {
            let config = &trial.config;
            let data = |other: &&Trial| {
                let (ours, theirs) = (&config.data, &other.config.data);
                (ours.kind, &ours.path) == (theirs.kind, &theirs.path)
            };
            let net = |other: &&Trial| {
                let (ours, theirs) = (config, &other.config);
                (&ours.model, &ours.init_from, &ours.optimizer.groups)
                    == (&theirs.model, &theirs.init_from, &theirs.optimizer.groups)
            };
            if !seen.iter().any(|other| other.config.engine == config.engine) {
                obstacles.extend(config.engine.simd.check().err().map(Error::Processor));
            }
            if !seen.iter().any(data) {
                obstacles.extend(data::locate(config.data.kind, &folder).err().map(Error::from));
            }
            if !seen.iter().any(|other| data(other) && net(other)) {
                obstacles.extend(fit(config).err().map(Error::from));
            }
            seen.push(trial);
        }
        obstacles
    }
}

/// Builds the net, which is then dropped, of a trial that starts from weights or has groups of parameters: only it knows whether they fit.
fn fit(config: &Config) -> Result<(), train::Error> {
    if config.init_from.is_none() && config.optimizer.groups.is_empty() {
        return Ok(());
    }
    train::start(config, &Device::Cpu).map(drop)
}
