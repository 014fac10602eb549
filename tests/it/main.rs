//! The program at its boundaries, in one binary.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on shall panic")]

mod axes;
mod config;
mod curvature;
mod errors;
mod faults;
mod golden;
mod inverters;
mod models;
mod program;
mod resume;
mod sweep;
mod tidy;
