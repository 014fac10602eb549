//! Training: one trial from its first batch to its last evaluation, on an honest clock.
//!
//! `train` introduces nets and optimizers to each other and to data. It knows nothing of experiments, files or terminals: it
//! gives back rows, and tells an [`Observer`] how far it is.

mod checkpoint;
mod config;
mod curvature;
mod evaluate;
mod length;
pub mod memory;
mod observer;
mod recorder;
pub mod schedule;
mod start;
mod tally;
mod task;

use std::sync::Arc;

use candle_core::{DType, Device, Tensor};

pub use checkpoint::{CheckpointConfig, EXTENSION, Keeper, Position};
pub use config::{Config, Dtype, Loss};
pub use evaluate::{Evaluation, evaluate};
pub use observer::{Note, Observer, Progress};
pub use schedule::Schedule;
pub use start::start;
pub use task::{Score, Task, shape};

use crate::cause;
use crate::clock::{Clock, Phase};
use crate::data::{Batch, Batches, Dataset, Loader};
use crate::nn::{self, Net, Pass, weights};
use crate::optim::{self, Optimizer, Step};
use crate::param::{Params, Updates};
use crate::random::Random;
use crate::record::{Row, Status};
use recorder::Recorder;
use schedule::Moment;
use tally::Tally;

/// Why a trial cannot begin or go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("group {group} of `optimizer.groups` takes no parameter of `{model}`")]
    Group { group: usize, model: &'static str },
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
    /// The net's parameters at the end, those that were evaluated.
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
    for epoch in start.epoch..config.rounds() {
        let first = if epoch == start.epoch { start.step } else { 0 };
        ended = match trial.epoch(Position { epoch, step: first }, &mut keeper, observer)? {
            Epoch::Whole | Epoch::Spent => None,
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
        trial.recorder.epoch(trial.task, &trial.clock, trial.lr, [train, test], validation);
        trial.tally = Tally::new(trial.task);
        observer.epoch(epoch, train, test);
        if !test.loss.is_finite() {
            ended = Some(format!("test loss is {} after epoch {}", test.loss, epoch + 1));
            break;
        }
        if trial.is_spent() {
            break;
        }
        let end = Position { epoch: epoch + 1, step: 0 };
        if let Some(keeper) = keeper.as_mut().filter(|_| end.epoch < config.rounds()) {
            let stops = keeper.stops();
            let saved = (stops || keeper.is_due_after(epoch)) && keeper.save(&trial, end, observer);
            if stops {
                return Ok(Ending::Stopped { step: trial.steps, saved });
            }
        }
    }
    trial.recorder.broken(data.broken().len());
    trial.recorder.end(&trial.clock, data.train.len(), trial.net.params.count(), &trial.optimizer.factors());
    trial.go_to_evaluated()?;
    let status = if ended.is_some() { Status::Diverged } else { Status::Finished };
    Ok(Ending::Ended(Outcome { status, reason: ended, rows: trial.recorder.rows, params: trial.net.params }))
}

/// How an epoch of training ended.
enum Epoch {
    Whole,
    /// In the middle, because there was no more time.
    Spent,
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
    task: Task,
    device: &'a Device,
    net: Net,
    optimizer: Optimizer,
    loader: Loader,
    /// Those of the epoch that is under way.
    batches: Option<Batches>,
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
        let (net, remarks) = start(config, device)?;
        let mut optimizer = Optimizer::new(&config.optimizer, &net.params);
        if config.probe {
            optimizer.probe();
        }
        Ok(Self {
            optimizer,
            loader: Loader::new(data.train.clone(), &config.data.augment, config.batch, config.seed)?,
            clock: Arc::new(Clock::new(device)),
            recorder: Recorder::default(),
            tally: Tally::new(Task::of(config)),
            task: Task::of(config),
            batches: None,
            steps: 0,
            lr: 0.0,
            remarks,
            config,
            device,
            net,
        })
    }

    /// One epoch of training, or what lies between two evaluations, from a step on.
    fn epoch(
        &mut self,
        start: Position,
        keeper: &mut Option<&mut Keeper>,
        observer: &mut dyn Observer,
    ) -> Result<Epoch, optim::Error> {
        let (epoch, every, total) = (start.epoch, self.config.evaluation_steps(), self.config.total_steps());
        let steps = every.min(total - epoch * every);
        let clock = self.clock.clone();
        self.catch_up()?;
        let mut running = clock.start();
        for step in start.step..steps {
            let batch = self.next()?;
            let of_epoch = self.loader.steps();
            self.lr = self.config.schedule.lr(Moment { step: self.steps, of_epoch, total });
            observer.memory(&mut self.optimizer, &self.net.params);
            let (loss, mut gradients) = self.differentiate(&batch)?;
            observer.gradients(&mut gradients);
            let samples = self.task.terms(&batch.targets);
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
                let seconds = clock.total();
                self.recorder.loss(loss);
                observer.step(&Progress { epoch, step: step + 1, steps: every, loss, seconds });
                running = clock.start();
            }
            if self.is_spent() {
                return Ok(Epoch::Spent);
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

    /// Whether it has trained for as long as it may.
    fn is_spent(&self) -> bool {
        self.config.max_seconds.is_some_and(|most| self.clock.total() >= most)
    }

    /// In the middle of an epoch of the data, passes over what was seen of it.
    fn catch_up(&mut self) -> candle_core::Result<()> {
        let (epoch, seen) = (self.steps / self.loader.steps(), self.steps % self.loader.steps());
        if self.batches.is_none() && seen > 0 {
            let mut batches = self.loader.epoch(epoch)?;
            for _ in 0..seen {
                batches.next().transpose()?;
            }
            self.batches = Some(batches);
        }
        Ok(())
    }

    fn next(&mut self) -> candle_core::Result<Batch> {
        let of_epoch = self.loader.steps();
        let mut batches = match self.batches.take() {
            Some(batches) => batches,
            None => self.loader.epoch(self.steps / of_epoch)?,
        };
        let _data = self.clock.phase(Phase::Data);
        let Some(batch) = batches.next() else {
            candle_core::bail!("batches ended at step {} of {of_epoch}", self.steps % of_epoch)
        };
        // The last one ends its epoch.
        self.batches = Some(batches).filter(|_| !(self.steps + 1).is_multiple_of(of_epoch));
        batch?.to(self.device, self.config.dtype.candle())
    }

    /// The mean loss of a batch and its gradients, moments captured on the way where the optimizer listens.
    fn differentiate(&mut self, batch: &Batch) -> candle_core::Result<(Tensor, Updates)> {
        let images = batch.targets.dim(0)?;
        // A batch that misses images may not divide evenly, or hold less than one image a part.
        let parts = self.config.accumulate.min(images);
        let mut random = Random::new(self.config.seed, &format!("fisher/{}", self.steps));
        let mut sum: Option<(Tensor, Updates)> = None;
        for part in 0..parts {
            let start = part * images / parts;
            let size = (part + 1) * images / parts - start;
            let [inputs, targets] = [&batch.inputs, &batch.targets].map(|all| all.narrow(0, start, size));
            let part = Batch { inputs: inputs?, targets: targets? };
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
            let logits = self.net.forward(&batch.inputs, &pass)?;
            let loss = self.task.loss(&logits, &batch.targets, self.config.label_smoothing)?;
            (logits, loss)
        };
        if let Some((tap, fisher)) = &listener {
            // The zoo's nets use each layer once.
            tap.set_whole(self.config.accumulate == 1);
            tap.set_terms(self.task.terms(&batch.targets) / batch.targets.dim(0)?);
            curvature::capture(self.task, tap, *fisher, &logits, images, random, &self.clock)?;
        }
        let _backward = self.clock.phase(Phase::Backward);
        self.tally.add(&loss, &logits, &batch.targets)?;
        let part = batch.targets.dim(0)?;
        let loss = if part == images { loss } else { (loss * (part as f64 / images as f64))? };
        let gradients = self.net.params.gradients(&nn::backward(&loss)?)?;
        let value = loss.detach();
        // The graph is freed here, while the clock still counts it as backward.
        drop((loss, logits));
        Ok((value, gradients))
    }

    /// Scores on the validation and test images, outside the clock, at the point that the optimizer has evaluated.
    fn evaluate(&self, data: &Dataset) -> candle_core::Result<(Option<Score>, Score)> {
        let dtype = self.config.dtype.candle();
        let score = |examples| evaluate::score(self.task, &self.net, examples, self.config.batch, dtype, self.device);
        let trained = self.go_to_evaluated()?;
        let validation = data.validation.as_ref().map(score).transpose()?;
        let test = score(&data.test)?;
        if let Some(trained) = trained {
            self.net.params.set(&trained)?;
        }
        Ok((validation, test))
    }

    /// Moves the net to the point that the optimizer has evaluated, if that is another one; gives back where it was.
    fn go_to_evaluated(&self) -> candle_core::Result<Option<Vec<Tensor>>> {
        let params = &self.net.params;
        let Some(point) = self.optimizer.evaluated(params)? else { return Ok(None) };
        let trained = params.params.iter().map(|param| param.var.as_detached_tensor().copy());
        let trained = trained.collect::<candle_core::Result<_>>()?;
        params.set(&point)?;
        Ok(Some(trained))
    }
}
