//! Trials are run: in this process or in others, one shard of them or all, and whoever asks is told how they stand.
//!
//! Only here are results, locks and checkpoints made, and removed. What there is to be run, [`experiment`](crate::experiment) says.

mod choice;
mod claim;
mod error;
pub mod inverse;
mod jobs;
mod machine;
mod names;
mod origin;
mod progress;
mod ready;
mod run;
mod settings;
mod shard;
mod survey;

pub use choice::{Best, Choice, Waiting};
pub use claim::{Failures, Holder};
pub use error::Error;
pub use jobs::{NO_STORAGE, STOPPED, WAITING, run_jobs};
pub use machine::now;
pub use progress::{Progress, progress};
pub use run::{Event, Reporter, Summary, run};
pub use settings::Settings;
pub use shard::Shard;
pub use survey::{Entry, Standing, discard, leftovers, listed, survey, survey_by};
