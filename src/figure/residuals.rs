//! How good the inverses are that training works with: what a probe measured, over training.

use polars::prelude::*;

use super::drift::{by_step, draw};
use super::ink::Canvas;
use super::{Data, Figure};
use crate::catalog::Entry;
use crate::record::Metric;

/// `‖I − ÃB‖_F/√n` of every refreshed inverse.
pub struct Residuals;

impl Figure for Residuals {
    fn entry(&self) -> Entry {
        Entry {
            name: "residuals",
            help: "the residual of refreshed inverses over training, of trials with `probe = true`",
            example: "nkfac-bench figure results/figure-s2-drift residuals",
        }
    }

    fn query(&self, data: &Data) -> PolarsResult<DataFrame> {
        by_step(data, Metric::Residual)
    }

    fn draw(&self, numbers: &DataFrame, width: f64) -> PolarsResult<Canvas> {
        draw(numbers, "residual of inverses", width)
    }
}
