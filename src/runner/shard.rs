//! Shards: parts of an experiment that take about as long, the same on every machine.

use crate::experiment::{Experiment, Trial};
use crate::nn::zoo::ModelConfig;
use crate::train;

/// One part of several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// From 1 to `count`.
    pub number: usize,
    pub count: usize,
}

impl Experiment {
    /// Leaves only the trials of one shard, the longest first.
    ///
    /// Every trial of the plan, finished or not, goes to the shard that has the least to do so far, the longest first; so which shard
    /// a trial belongs to depends on the plan and on nothing else.
    ///
    /// # Errors
    /// candle's.
    pub fn keep(&mut self, shard: Shard) -> candle_core::Result<()> {
        let mut trials: Vec<(f64, Trial)> = self.costs()?.into_iter().zip(std::mem::take(&mut self.trials)).collect();
        trials.sort_by(|(a, one), (b, other)| b.total_cmp(a).then_with(|| one.id.cmp(&other.id)));
        let mut loads = vec![0.0; shard.count];
        for (cost, trial) in trials {
            let least = (0..loads.len()).min_by(|&a, &b| f64::total_cmp(&loads[a], &loads[b])).unwrap_or_default();
            loads[least] += cost;
            if least + 1 == shard.number {
                self.trials.push(trial);
            }
        }
        Ok(())
    }

    /// How much each trial has to compute, in no unit: images times weights, twice that with curvature.
    ///
    /// # Errors
    /// candle's.
    pub fn costs(&self) -> candle_core::Result<Vec<f64>> {
        let mut models = Vec::new();
        self.trials.iter().map(|trial| cost(trial, &mut models)).collect()
    }
}

/// That of one trial. `models` remembers the nets' sizes.
fn cost(trial: &Trial, models: &mut Vec<(ModelConfig, usize, f64)>) -> candle_core::Result<f64> {
    let config = &trial.config;
    let shape = train::shape(&config.data);
    let known = models.iter().find(|(model, outputs, _)| *model == config.model && *outputs == shape.outputs);
    let weights = if let Some((.., weights)) = known {
        *weights
    } else {
        let net = config.model.build(shape, 0, candle_core::DType::F32, &candle_core::Device::Cpu)?;
        let weights = net.params.count() as f64;
        models.push((config.model.clone(), shape.outputs, weights));
        weights
    };
    let images = (config.total_steps() * config.batch) as f64;
    let curvature = if config.optimizer.precondition.is_some() { 2.0 } else { 1.0 };
    Ok(images * weights * curvature)
}
