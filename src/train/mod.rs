//! Training: one trial from its first batch to its last evaluation, on an honest clock.
//!
//! `train` introduces nets and optimizers to each other and to data. It knows nothing of experiments, files or terminals: it
//! gives back rows, and tells an [`Observer`] how far it is.

mod checkpoint;
mod config;
mod curvature;
mod evaluate;
pub mod memory;
mod recorder;
pub mod schedule;
mod tally;

use std::path::Path;
use std::sync::Arc;

use candle_core::{DType, Device, Tensor};

pub use checkpoint::{CheckpointConfig, EXTENSION, Keeper, Position};
pub use config::{Config, Dtype, EngineConfig};
pub use evaluate::{Evaluation, evaluate};
pub use schedule::Schedule;
pub use tally::Score;

use crate::cause;
use crate::clock::{Clock, Phase};
use crate::data::{Batch, DataConfig, Dataset, Loader};
use crate::nn::zoo::Shape;
use crate::nn::{self, Net, Pass, cross_entropy, weights};
use crate::optim::{self, Optimizer, Step};
use crate::param::{Params, Updates};
use crate::random::Random;
use crate::record::{Row, Status};
use recorder::Recorder;
use schedule::Moment;
use tally::Tally;

/// How far a trial is, after a step.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    pub epoch: usize,
    /// The step within the epoch, counted from 1.
    pub step: usize,
    /// Steps an epoch.
    pub steps: usize,
    /// The last loss that was looked at.
    pub loss: f64,
    /// Training seconds so far.
    pub seconds: f64,
}

/// Who is told how far a trial is. Called outside the clock.
pub trait Observer {
    /// Every few steps.
    fn step(&mut self, progress: &Progress);
    /// After an epoch's evaluation.
    fn epoch(&mut self, epoch: usize, train: Score, test: Score);
    /// Something worth a line.
    fn note(&mut self, note: &Note<'_>) {
        let _ = note;
    }
}

/// What happens to a trial beside its training.
#[derive(Debug, Clone, Copy)]
pub enum Note<'a> {
    /// It goes on from a checkpoint behind so many steps, which was made `elsewhere` if not on a machine like this.
    Resumed { step: usize, elsewhere: Option<&'a str> },
    /// A checkpoint cannot be read and is thrown away.
    Unreadable { path: &'a Path, message: &'a str },
    /// A checkpoint could not be written.
    NotSaved { folder: &'a Path, message: &'a str },
    /// The weights that it starts from are not taken just as they are.
    Weights { message: &'a str },
}

/// Why a trial cannot begin or go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Weights(#[from] weights::Error),
    #[error(transparent)]
    Step(#[from] optim::Error),
    #[error("{}", cause::message(.0))]
    Candle(#[from] candle_core::Error),
}

/// How a trial ended, and all it logged.
#[derive(Debug)]
pub struct Outcome {
    pub status: Status,
    /// Why it diverged.
    pub reason: Option<String>,
    pub rows: Vec<Row>,
    /// The net's parameters at the end.
    pub params: Params,
}

/// How [`train`] came back.
#[derive(Debug)]
pub enum Ending {
    Ended(Outcome),
    /// It was asked to stop behind so many steps; `saved` says whether it can go on from there.
    Stopped {
        step: usize,
        saved: bool,
    },
}

/// Trains as `config` says, from the last checkpoint on if there is one. A loss that is not finite, or a factor that cannot be
/// inverted, ends the trial as diverged.
pub fn train(
    config: &Config,
    data: &Dataset,
    device: &Device,
    mut keeper: Option<&mut Keeper>,
    observer: &mut dyn Observer,
) -> Result<Ending, Error> {
    memory::reset_peak();
    let fresh = || Trial::new(config, data, device);
    let (mut trial, start) = match &keeper {
        Some(keeper) => keeper.resume(fresh, observer)?,
        None => (fresh()?, Position::default()),
    };
    for message in &trial.remarks {
        observer.note(&Note::Weights { message });
    }
    let mut ended = None;
    for epoch in start.epoch..config.epochs {
        let first = if epoch == start.epoch { start.step } else { 0 };
        ended = match trial.epoch(Position { epoch, step: first }, &mut keeper, observer)? {
            Epoch::Whole => None,
            Epoch::Diverged(reason) => Some(reason),
            Epoch::Stopped { saved } => return Ok(Ending::Stopped { step: trial.steps, saved }),
        };
        let train = trial.tally.score()?;
        if ended.is_none() && !train.loss.is_finite() {
            ended = Some(format!("loss is {} in epoch {}", train.loss, epoch + 1));
        }
        if ended.is_some() {
            break;
        }
        let (validation, test) = trial.evaluate(data)?;
        trial.recorder.epoch(&trial.clock, trial.lr, train, validation, test);
        trial.tally = Tally::default();
        observer.epoch(epoch, train, test);
        if !test.loss.is_finite() {
            ended = Some(format!("test loss is {} after epoch {}", test.loss, epoch + 1));
            break;
        }
        let end = Position { epoch: epoch + 1, step: 0 };
        if let Some(keeper) = keeper.as_mut().filter(|_| end.epoch < config.epochs) {
            let stops = keeper.stops();
            let saved = (stops || keeper.is_due_after(epoch)) && keeper.save(&trial, end, observer);
            if stops {
                return Ok(Ending::Stopped { step: trial.steps, saved });
            }
        }
    }
    trial.recorder.broken(data.broken().len());
    trial.recorder.end(&trial.clock, data.train.len(), trial.net.params.count(), &trial.optimizer.factors());
    let status = if ended.is_some() { Status::Diverged } else { Status::Finished };
    Ok(Ending::Ended(Outcome { status, reason: ended, rows: trial.recorder.rows, params: trial.net.params }))
}

/// What the net is to take and give for the data of a trial.
#[must_use]
pub fn shape(data: &DataConfig) -> Shape {
    let crate::data::Shape { channels, height, width, classes } = data.kind.shape();
    Shape { channels, height, width, classes }
}

/// How an epoch of training ended.
enum Epoch {
    Whole,
    /// Why.
    Diverged(String),
    /// In the middle, because somebody asked for it.
    Stopped {
        saved: bool,
    },
}

/// Steps between looks at the loss, which make the device wait.
const LOOK_EVERY: usize = 10;

struct Trial<'a> {
    config: &'a Config,
    device: &'a Device,
    net: Net,
    optimizer: Optimizer,
    loader: Loader,
    clock: Arc<Clock>,
    recorder: Recorder,
    tally: Tally,
    /// Steps so far, over all epochs.
    steps: usize,
    /// The last step's learning rate.
    lr: f64,
    /// What is worth saying of its first weights.
    remarks: Vec<String>,
}

impl<'a> Trial<'a> {
    fn new(config: &'a Config, data: &Dataset, device: &'a Device) -> Result<Self, Error> {
        let shape = shape(&config.data);
        let net = config.model.build_for(shape, config.seed, config.dtype.candle(), device, config.engine.conv)?;
        let mut remarks = Vec::new();
        if let Some(path) = &config.init_from {
            remarks = weights::load(&net.params, path)?.remarks(path);
        }
        let mut optimizer = Optimizer::new(&config.optimizer, &net.params);
        if config.probe {
            optimizer.probe();
        }
        Ok(Self {
            optimizer,
            loader: Loader::new(data.train.clone(), &config.data.augment, config.batch, config.seed)?,
            clock: Arc::new(Clock::new(device)),
            recorder: Recorder::default(),
            tally: Tally::default(),
            steps: 0,
            lr: 0.0,
            remarks,
            config,
            device,
            net,
        })
    }

    /// One epoch of training, from a step on.
    fn epoch(
        &mut self,
        start: Position,
        keeper: &mut Option<&mut Keeper>,
        observer: &mut dyn Observer,
    ) -> Result<Epoch, optim::Error> {
        let (epoch, steps) = (start.epoch, self.loader.steps());
        let clock = self.clock.clone();
        let mut running = clock.start();
        let mut batches = self.loader.epoch(epoch)?;
        if start.step > 0 {
            drop(running);
            for _ in 0..start.step {
                batches.next().transpose()?;
            }
            running = clock.start();
        }
        for step in start.step..steps {
            let Some(batch) = self.next(&mut batches)? else {
                return Err(candle_core::Error::msg(format!("batches ended at step {step} of {steps}")).into());
            };
            self.lr = self.config.schedule.lr(Moment { epoch, epochs: self.config.epochs, step, steps });
            let (loss, gradients) = self.differentiate(&batch)?;
            let samples = batch.labels.dim(0)?;
            let context = Step { index: self.steps, lr: self.lr, samples, params: &self.net.params, clock: &clock };
            match self.optimizer.step(gradients, &context) {
                Err(error @ optim::Error::NotInvertible { .. }) => return Ok(Epoch::Diverged(error.to_string())),
                other => other?,
            }
            self.steps += 1;
            self.recorder.step(epoch, self.steps, clock.total());
            if self.config.probe {
                drop(running);
                self.recorder.notes(self.optimizer.notes());
                running = clock.start();
            }
            if step % LOOK_EVERY == 0 {
                let loss: f64 = loss.to_dtype(DType::F64)?.to_scalar()?;
                if !loss.is_finite() {
                    return Ok(Epoch::Diverged(format!("loss is {loss} in step {}", self.steps)));
                }
                drop(running);
                observer.step(&Progress { epoch, step: step + 1, steps, loss, seconds: clock.total() });
                running = clock.start();
            }
            let Some(keeper) = keeper.as_mut().filter(|keeper| keeper.stops() || keeper.is_due()) else { continue };
            drop(running);
            let saved = keeper.save(self, Position { epoch, step: step + 1 }, observer);
            if keeper.stops() {
                return Ok(Epoch::Stopped { saved });
            }
            running = clock.start();
        }
        drop(running);
        Ok(Epoch::Whole)
    }

    fn next(
        &self,
        batches: &mut impl Iterator<Item = candle_core::Result<Batch>>,
    ) -> candle_core::Result<Option<Batch>> {
        let _data = self.clock.phase(Phase::Data);
        batches.next().map(|batch| batch?.to(self.device, self.config.dtype.candle())).transpose()
    }

    /// The mean loss of a batch and its gradients, moments captured on the way where the optimizer listens.
    fn differentiate(&mut self, batch: &Batch) -> candle_core::Result<(Tensor, Updates)> {
        let images = batch.labels.dim(0)?;
        // A batch that misses images may not divide evenly, or hold less than one image a part.
        let parts = self.config.accumulate.min(images);
        let mut random = Random::new(self.config.seed, &format!("fisher/{}", self.steps));
        let mut sum: Option<(Tensor, Updates)> = None;
        for part in 0..parts {
            let start = part * images / parts;
            let size = (part + 1) * images / parts - start;
            let part =
                Batch { images: batch.images.narrow(0, start, size)?, labels: batch.labels.narrow(0, start, size)? };
            let (loss, gradients) = self.differentiate_part(&part, images, &mut random)?;
            sum = Some(match sum {
                Some((losses, sums)) => ((losses + loss)?, sums.add(&gradients)?),
                None => (loss, gradients),
            });
        }
        sum.ok_or_else(|| candle_core::Error::msg("a batch without images"))
    }

    /// The same for a part of a batch of `images`: its share of the mean loss, and the gradients of that.
    fn differentiate_part(
        &mut self,
        batch: &Batch,
        images: usize,
        random: &mut Random,
    ) -> candle_core::Result<(Tensor, Updates)> {
        let listener = self.optimizer.listens(self.steps);
        let tap = listener.as_ref().map(|(tap, _)| tap.clone());
        let pass = Pass::Training { tap, clock: self.clock.clone() };
        let (logits, loss) = {
            let _forward = self.clock.phase(Phase::Forward);
            let logits = self.net.forward(&batch.images, &pass)?;
            let loss = cross_entropy(&logits, &batch.labels, self.config.label_smoothing)?;
            (logits, loss)
        };
        if let Some((tap, fisher)) = &listener {
            // The zoo's nets use each layer once.
            tap.set_whole(self.config.accumulate == 1);
            curvature::capture(tap, *fisher, &logits, images, random, &self.clock)?;
        }
        let _backward = self.clock.phase(Phase::Backward);
        self.tally.add(&loss, &logits, &batch.labels)?;
        let part = batch.labels.dim(0)?;
        let loss = if part == images { loss } else { (loss * (part as f64 / images as f64))? };
        let gradients = self.net.params.gradients(&nn::backward(&loss)?)?;
        let value = loss.detach();
        // The graph is freed here, while the clock still counts it as backward.
        drop((loss, logits));
        Ok((value, gradients))
    }

    /// Scores on the validation and test images, outside the clock.
    fn evaluate(&self, data: &Dataset) -> candle_core::Result<(Option<Score>, Score)> {
        let score =
            |images| evaluate::score(&self.net, images, self.config.batch, self.config.dtype.candle(), self.device);
        let validation = data.validation.as_ref().map(score).transpose()?;
        Ok((validation, score(&data.test)?))
    }
}
