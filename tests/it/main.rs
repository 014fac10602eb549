//! The program at its boundaries, in one binary.

#![allow(clippy::panic, reason = "a test may")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on shall panic")]

mod axes;
mod config;
mod curvature;
mod data;
mod errors;
mod exactness;
mod faults;
mod fetch;
mod golden;
mod inverters;
mod library;
mod models;
mod names;
mod output;
mod paper;
mod preconditioning;
mod program;
mod question;
mod report;
mod resume;
mod schema;
mod search;
mod serve;
mod server;
mod storage;
mod sweep;
mod terminal;
mod tidy;
mod training;
mod watch;
mod weights;
