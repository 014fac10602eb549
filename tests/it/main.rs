//! The program at its boundaries, in one binary.

mod curvature;
mod errors;
mod golden;
mod inverters;
mod models;
mod program;
mod sweep;
mod tidy;
