//! The program at its boundaries, in one binary.

#![allow(clippy::panic, reason = "a test may")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on shall panic")]

mod axes;
mod config;
mod curvature;
mod data;
mod device;
mod draws;
mod errors;
mod exactness;
mod extremes;
mod faults;
mod fetch;
mod goals;
mod golden;
mod inverters;
mod library;
mod models;
mod names;
mod output;
mod own;
mod paper;
mod preconditioning;
mod printed;
mod processes;
mod program;
mod question;
mod reconstruction;
mod report;
mod resume;
mod scales;
mod schema;
mod scripts;
mod search;
mod serve;
mod server;
mod sharing;
mod storage;
mod sweep;
mod terminal;
mod tidy;
mod training;
mod watch;
mod weights;
mod wrappers;
