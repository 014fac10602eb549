//! `nkfac-bench`: benchmark second-order optimizers against first-order ones, honestly timed.

#![warn(clippy::print_stdout, clippy::print_stderr, reason = "these panic where a disk is full or a terminal is gone")]

pub mod catalog;
pub mod cause;
pub mod clock;
pub mod config;
pub mod random;
pub mod state;
pub mod stats;
pub mod storage;
pub mod text;

pub mod param;

pub mod device;
pub mod kernel;
pub mod linalg;

pub mod data;
pub mod nn;
pub mod optim;
pub mod record;

pub mod reference;
pub mod train;

pub mod bench;
pub mod experiment;
pub mod export;
pub mod figure;
pub mod report;
pub mod runner;
pub mod watch;
