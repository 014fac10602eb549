//! What nearness costs: inverters on random matrices by their seconds.

use polars::prelude::*;

use super::ink::Canvas;
use super::newton_convergence::{panels, residuals};
use super::{Data, Figure};
use crate::catalog::Entry;

/// The residual by the time that it took, a panel for each perturbation.
pub struct Inverters;

impl Figure for Inverters {
    fn entry(&self) -> Entry {
        Entry {
            name: "inverters",
            help: "the residual of an inverse by the milliseconds that it took, for each perturbation",
            example: "nkfac-bench figure results/figure-s1-newton inverters",
        }
    }

    fn query(&self, data: &Data) -> PolarsResult<DataFrame> {
        residuals(data)
    }

    fn draw(&self, numbers: &DataFrame, width: f64) -> PolarsResult<Canvas> {
        let note = "residuals: median over seeds; times: the least";
        panels(numbers, width, ("time per inverse (ms)", "milliseconds"), note)
    }
}
