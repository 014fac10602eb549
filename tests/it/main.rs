//! The program at its boundaries, in one binary.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on shall panic")]

mod axes;
mod config;
mod curvature;
mod errors;
mod golden;
mod inverters;
mod library;
mod models;
mod program;
mod schema;
mod sweep;
mod tidy;
mod weights;
