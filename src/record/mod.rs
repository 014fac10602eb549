//! What trials leave behind: rows of numbers with their origin, one Parquet file per trial.
//!
//! A row is one number of one trial, in long format, so that a new metric is no new schema. This layer knows files, not what the
//! numbers mean.

mod brief;
mod compare;
mod course;
mod csv;
mod disturbance;
mod error;
mod goal;
mod metric;
mod named;
mod order;
mod origin;
mod read;
mod row;
mod seal;
mod stamp;
mod validation;
mod write;

pub use brief::{Brief, brief};
pub use compare::compare;
pub use course::{Course, Milestone, course};
pub use csv::csv;
pub use disturbance::disturbance;
pub use error::Error;
pub use goal::{Beside, Gap, Goal};
pub use metric::Metric;
pub use named::{Name, Names};
pub use origin::{Origin, Status};
pub use read::{Results, Skipped, files, parts, read, read_file};
pub use row::{Row, Scope};
pub use stamp::Stamp;
pub use validation::{Validation, validation};
pub use write::write;
