//! Who is told how a trial goes.

use std::path::Path;

use super::task::Score;
use crate::optim::Optimizer;
use crate::param::{Params, Updates};

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
    /// What the optimizer remembers, before a step: a test moves it by as much as float32 rounds. Called inside the clock.
    fn memory(&mut self, optimizer: &mut Optimizer, params: &Params) {
        let _ = (optimizer, params);
    }
    /// What was differentiated, before the optimizer sees it, for the same test. Called inside the clock.
    fn gradients(&mut self, gradients: &mut Updates) {
        let _ = gradients;
    }
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
