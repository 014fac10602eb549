//! What the folder of a sweep tells. Results never change once they are there, so each is read once.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::experiment::Experiment;
use crate::record::{self, Brief, Milestone, Stamp};
use crate::runner::{self, Entry, Pace, Phase, Progress, Standing};

/// What is known of one trial.
#[derive(Debug, Clone)]
pub struct Found {
    pub entry: Entry,
    /// Epochs that were asked for.
    pub epochs: Option<usize>,
    /// In the order of epochs.
    pub milestones: Arc<[Milestone]>,
    /// Of one that has begun and not ended.
    pub progress: Option<Progress>,
    /// How much there is to compute, in a unit that all trials share; 1 if unknown.
    pub cost: f64,
    /// Its wall-clock seconds, if it ran to its end.
    pub took: Option<f64>,
}

impl Found {
    /// What it tells of the time that it takes.
    #[must_use]
    pub fn pace(&self) -> Pace<'_> {
        let standing = self.entry.standing;
        let phase = match standing {
            Standing::Finished | Standing::Diverged => Phase::Ended(self.took),
            Standing::Running | Standing::Stopped => {
                let (runs, epochs) = (standing == Standing::Running, self.milestones.len());
                let (share, spent) = self.progress.as_ref().map_or((0.0, 0.0), |at| (at.share(), at.wall));
                Phase::Begun { runs, share, spent, epochs }
            }
            Standing::Waiting => Phase::Waiting,
            Standing::Failed | Standing::Broken => Phase::Gone,
        };
        Pace { arm: &self.entry.arm, cost: self.cost, phase }
    }
}

/// Looks into one folder again and again.
pub struct Reader {
    folder: PathBuf,
    experiment: Option<Experiment>,
    /// Epochs and cost of the experiment's trials.
    planned: HashMap<String, (usize, f64)>,
    ended: HashMap<PathBuf, Ended>,
}

/// What a file held when it had this stamp, or why that is nothing.
struct Ended {
    stamp: Option<Stamp>,
    course: Result<(Brief, Arc<[Milestone]>), String>,
}

impl Reader {
    /// For a folder of results; with an experiment, trials that have not begun are known too.
    ///
    /// # Errors
    /// candle's, on making the experiment's nets to see how large they are.
    pub fn new(folder: PathBuf, experiment: Option<Experiment>) -> candle_core::Result<Self> {
        let mut planned = HashMap::new();
        if let Some(experiment) = &experiment {
            let trials = experiment.trials.iter().zip(experiment.costs()?);
            planned.extend(trials.map(|(trial, cost)| (trial.id.clone(), (trial.config.rounds(), cost))));
        }
        Ok(Self { folder, experiment, planned, ended: HashMap::new() })
    }

    /// The experiment's arms, in its order.
    #[must_use]
    pub fn arms(&self) -> Vec<String> {
        self.experiment.as_ref().map_or(Vec::new(), |experiment| experiment.names().arms)
    }

    /// All trials as they stand now: the experiment's first, in its order.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn look(&mut self) -> io::Result<Vec<Found>> {
        let ended = &mut self.ended;
        let mut brief = |path: &Path| read(ended, path).as_ref().map(|(brief, _)| brief.clone()).map_err(Clone::clone);
        let entries = runner::survey_by(&self.folder, self.experiment.as_ref(), &mut brief)?;
        Ok(entries.into_iter().map(|entry| self.found(entry)).collect())
    }

    /// Who reads the reruns, once all of a search was `found` to have ended and there are some.
    #[must_use]
    pub fn reruns(&self, found: &[Found]) -> Option<Self> {
        let has_ended = |trial: &Found| matches!(trial.entry.standing, Standing::Finished | Standing::Diverged);
        let search = self.experiment.as_ref().filter(|experiment| experiment.search.is_some())?;
        let choice = found.iter().all(has_ended).then(|| search.choose(&self.folder))??.ok()?;
        let some = !choice.reruns.trials.is_empty();
        some.then(|| Self::new(self.folder.parent()?.to_owned(), Some(choice.reruns)).ok())?
    }

    fn found(&self, entry: Entry) -> Found {
        let planned = self.planned.get(&entry.trial);
        let (mut epochs, mut milestones) = (planned.map(|(epochs, _)| *epochs), Arc::default());
        let (mut progress, mut took) = (None, None);
        match entry.standing {
            Standing::Finished | Standing::Diverged => {
                let path = self.folder.join(format!("{}.parquet", entry.trial));
                if let Some(Ended { course: Ok((brief, course)), .. }) = self.ended.get(&path) {
                    (epochs, milestones, took) = (Some(brief.epochs as usize), course.clone(), brief.took());
                }
            }
            Standing::Running | Standing::Stopped | Standing::Failed => {
                progress = runner::progress(&self.folder, &entry.trial);
                if let Some(progress) = &progress {
                    (epochs, milestones) = (Some(progress.epochs), progress.milestones.clone().into());
                }
            }
            Standing::Waiting | Standing::Broken => {}
        }
        Found { epochs, milestones, progress, took, cost: planned.map_or(1.0, |(_, cost)| *cost), entry }
    }
}

/// What is in `path`, read if it is not the file that was read before.
fn read<'a>(ended: &'a mut HashMap<PathBuf, Ended>, path: &Path) -> &'a Result<(Brief, Arc<[Milestone]>), String> {
    let stamp = Stamp::of(path).ok();
    let fresh = || {
        let course = record::course(path).map(|course| (course.brief, course.milestones.into()));
        Ended { stamp, course }
    };
    let known = ended.entry(path.to_owned()).or_insert_with(fresh);
    if known.stamp != stamp {
        *known = fresh();
    }
    &known.course
}
