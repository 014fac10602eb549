//! Running trials, in this process or in others, one shard of them or all, and reporting how they stand.
//!
//! Only here are results, locks and checkpoints made, and removed. What there is to be run, [`experiment`](crate::experiment) says.

mod bits;
mod choice;
mod claim;
mod error;
mod event;
mod guard;
pub mod inverse;
mod jobs;
mod left;
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
pub use claim::{Failures, Holder, UNFINISHED};
pub use error::Error;
pub use event::{Event, Reporter};
pub use jobs::{Jobs, NO_STORAGE, STOPPED, WAITING, run_jobs};
pub use left::{Left, Pace, Phase, left, running};
pub use machine::{load, now};
pub use progress::{Progress, progress};
pub use run::{Summary, run};
pub use settings::Settings;
pub use shard::Shard;
pub use survey::{Entry, Standing, discard, leftovers, listed, survey, survey_by};
