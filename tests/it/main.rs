//! The program at its boundaries, in one binary.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on shall panic")]

mod axes;
mod config;
mod curvature;
mod errors;
mod exactness;
mod golden;
mod inverters;
mod models;
mod paper;
mod program;
mod sweep;
mod tidy;
mod training;
