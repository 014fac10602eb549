//! A factor with its inverse: what a layer's curvature is kept as.

use candle_core::Tensor;

use super::invert::{Branch, Curvature, Inverse, Problem, Refreshed};
use super::{Damping, Error, Result, damping};
use crate::clock::{Clock, Phase};
use crate::param::Block;
use crate::state::State;

/// Which of a layer's two factors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// A, of the inputs.
    Inputs = 0,
    /// G, of the output gradients.
    OutputGrads = 1,
}

/// One factor with its inverse, and an account of what keeping it cost.
#[derive(Debug)]
pub struct Factor {
    /// `layer1.0.conv1/a`, `layer1.0.conv1/g`.
    pub name: String,
    pub order: usize,
    /// The moving average, or the last batch's rows where the recipe keeps rows; absent before the first statistics.
    pub average: Option<Tensor>,
    /// Absent before the first refresh.
    pub inverse: Option<Inverse>,
    /// Refreshes so far by the way they went, in the order of [`Branch::ALL`].
    pub refreshes: [usize; Branch::ALL.len()],
    /// Seconds of damping and inversion so far.
    pub seconds: f64,
    /// Those of the last refresh.
    pub(super) last_seconds: f64,
    /// The statistics of the last refresh, n×n; kept for probes only.
    pub(super) last_statistics: Option<Tensor>,
    /// The inverse of the last refresh, n×n; kept for probes only.
    pub(super) last_inverse: Option<Tensor>,
    /// For each of our rows its place in PyTorch's order, which the power iteration's start follows.
    pub(super) rows: Vec<usize>,
}

impl Factor {
    fn new(name: String, rows: Vec<usize>) -> Self {
        Self {
            name,
            order: rows.len(),
            average: None,
            inverse: None,
            refreshes: [0; Branch::ALL.len()],
            seconds: 0.0,
            last_seconds: 0.0,
            last_statistics: None,
            last_inverse: None,
            rows,
        }
    }

    /// The two factors of a layer: over its inputs, and over its outputs.
    pub(super) fn of(block: &Block) -> [Self; 2] {
        let inputs = Self::new(format!("{}/a", block.name), block.torch_rows());
        [inputs, Self::new(format!("{}/g", block.name), (0..block.outputs).collect())]
    }

    /// A new inverse of the damped average, if there is an average: what `invert` makes of it, be it the inverse or a root of that.
    ///
    /// # Errors
    /// There is none to be found in these numbers.
    pub(super) fn refresh(
        &mut self,
        keeps_rows: bool,
        damping: Damping,
        number: usize,
        clock: &Clock,
        invert: impl FnOnce(&Problem<'_>) -> candle_core::Result<Option<Refreshed>>,
    ) -> Result<Option<Refresh>> {
        let Some(average) = self.average.clone() else { return Ok(None) };
        let before = clock.total();
        let factor = curvature(&average, keeps_rows);
        let damping = {
            let _damping = clock.phase(Phase::Damping);
            damping::resolve(damping, factor, || damping::power_start(self.rows.iter().copied(), &average))?
        };
        let inversion = clock.phase(Phase::Inversion);
        let problem = Problem { factor, damping, previous: self.inverse.as_ref(), refresh: number };
        let Some(Refreshed { inverse, branch }) = invert(&problem)? else {
            return Err(Error::NotInvertible { factor: self.name.clone() });
        };
        drop(inversion);
        self.inverse = Some(inverse.contiguous()?);
        self.refreshes[branch as usize] += 1;
        self.last_seconds = clock.total() - before;
        self.seconds += self.last_seconds;
        Ok(Some(Refresh { average, damping, branch }))
    }

    /// Counts a refresh as fallen back, whichever way it went.
    pub(super) fn fall_back(&mut self, refresh: &mut Refresh) {
        self.refreshes[refresh.branch as usize] -= 1;
        refresh.branch = Branch::Fallback;
        self.refreshes[refresh.branch as usize] += 1;
    }
}

/// What a factor's refresh took, and which way it went.
pub(super) struct Refresh {
    pub average: Tensor,
    pub damping: f64,
    pub branch: Branch,
}

/// What an average stands for: itself, or the product of the rows that are kept.
pub(super) const fn curvature(average: &Tensor, keeps_rows: bool) -> Curvature<'_> {
    if keeps_rows { Curvature::Rows(average) } else { Curvature::Matrix(average) }
}

/// Names of [`Factor::refreshes`] in checkpoints.
const REFRESHES: [&str; Branch::ALL.len()] = ["exact", "newton", "newton-damped", "fallback", "approximate"];

/// Checkpoints, under the factor's name.
impl Factor {
    pub(super) fn state(&self) -> State {
        let mut state = State::new();
        if let Some(average) = &self.average {
            state.put("average", average);
        }
        if let Some(inverse) = &self.inverse {
            state.put_part("inverse", inverse.state());
        }
        for (name, count) in REFRESHES.into_iter().zip(self.refreshes) {
            state.put_number(name, count as f64);
        }
        state.put_number("seconds", self.seconds);
        if let Some(statistics) = &self.last_statistics {
            state.put("last-statistics", statistics);
        }
        if let Some(inverse) = &self.last_inverse {
            state.put("last-inverse", inverse);
        }
        state
    }

    pub(super) fn load(&mut self, state: &mut State) -> candle_core::Result<()> {
        let mut state = state.take_part(&self.name);
        self.average = state.take("average");
        self.last_statistics = state.take("last-statistics");
        self.last_inverse = state.take("last-inverse");
        self.inverse = Inverse::load(state.take_part("inverse"))?;
        for (name, count) in REFRESHES.into_iter().zip(&mut self.refreshes) {
            *count = state.take_count(name)?;
        }
        self.seconds = state.take_number("seconds")?;
        state.finish()
    }
}
