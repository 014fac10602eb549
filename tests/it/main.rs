//! The program at its boundaries, in one binary.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on shall panic")]

mod axes;
mod config;
mod curvature;
mod data;
mod errors;
mod fetch;
mod exactness;
mod faults;
mod golden;
mod inverters;
mod library;
mod models;
mod paper;
mod program;
mod server;
mod report;
mod schema;
mod resume;
mod sweep;
mod tidy;
mod weights;
mod training;
