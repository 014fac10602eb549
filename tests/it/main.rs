//! The program at its boundaries, in one binary.

mod curvature;
mod golden;
mod inverters;
mod models;
mod tidy;
