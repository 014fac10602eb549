//! Muon (Jordan et al. 2024): momentum made orthogonal, for the weights of linear and convolution layers; all else by Adam.
//!
//! A convolution's weight is its matrix `k²·C_in × C_out`. Deviation: the classifier's weight is one of them, for nothing here knows which
//! layer is the last; the authors leave it to Adam. Numbers stay in the net's own precision, theirs are bfloat16.

use candle_core::Tensor;

use super::adam::Adam;
use super::{Result, Step, Transform};
use crate::clock::Phase;
use crate::linalg;
use crate::param::{Params, Updates};
use crate::state::State;

/// `m ← μm + (1−μ)∇`, the update `msign(m)` or Nesterov's `msign((1−μ)∇ + μm)`, times `√max(1, d_out/d_in)`.
pub struct Muon {
    momentum: f64,
    nesterov: bool,
    rounds: usize,
    adam: Adam,
    /// Adam's result is multiplied by this.
    adam_ratio: f64,
    /// By block, `d_in × d_out`.
    velocity: Vec<Tensor>,
}

impl Muon {
    pub const fn new(momentum: f64, nesterov: bool, rounds: usize, adam: Adam, adam_ratio: f64) -> Self {
        Self { momentum, nesterov, rounds, adam, adam_ratio, velocity: Vec::new() }
    }

    /// The update of one weight from its gradient, both `d_in × d_out`.
    fn orthogonal(&mut self, place: usize, gradient: &Tensor) -> Result<Tensor> {
        if self.velocity.len() == place {
            self.velocity.push(gradient.zeros_like()?);
        }
        let (keep, fresh) = (self.momentum, 1.0 - self.momentum);
        let velocity = linalg::combine(keep, &self.velocity[place], fresh, gradient)?;
        let direction =
            if self.nesterov { linalg::combine(keep, &velocity, fresh, gradient)? } else { velocity.clone() };
        self.velocity[place] = velocity;
        let (inputs, outputs) = gradient.dims2()?;
        let stretch = (outputs as f64 / inputs as f64).max(1.0).sqrt();
        Ok((orthogonalise(&direction, self.rounds)? * stretch)?)
    }
}

impl Transform for Muon {
    fn apply(&mut self, updates: &mut Updates, step: &Step<'_>) -> Result {
        let others = others(step.params);
        let mut rest = Updates(others.iter().map(|&id| updates.0[id].clone()).collect());
        self.adam.apply(&mut rest, step)?;
        let _update = step.clock.phase(Phase::Update);
        for (id, update) in others.into_iter().zip(rest.0) {
            updates.0[id] = (update * self.adam_ratio)?;
        }
        for (place, block) in step.params.blocks.iter().enumerate() {
            let gradient = &updates.0[block.weight];
            let update = self.orthogonal(place, &gradient.reshape(((), block.outputs))?)?;
            updates.0[block.weight] = update.reshape(gradient.shape())?;
        }
        Ok(())
    }

    fn state(&self) -> State {
        let mut state = State::new();
        state.put_all("velocity", &self.velocity);
        state.put_part("adam", self.adam.state());
        state
    }

    fn load(&mut self, state: &mut State, params: &Params) -> candle_core::Result<()> {
        self.velocity = state.take_all("velocity", params.blocks.len())?;
        let mut adam = state.take_part("adam");
        self.adam.load_count(&mut adam, others(params).len())?;
        adam.finish()
    }
}

/// The parameters that are no layer's weight: biases and norms.
fn others(params: &Params) -> Vec<usize> {
    (0..params.params.len()).filter(|id| params.blocks.iter().all(|block| block.weight != *id)).collect()
}

/// Coefficients of the quintic that takes singular values in (0, 1] to about 1 in five rounds.
const QUINTIC: [f64; 3] = [3.4445, -4.7750, 2.0315];

/// `msign(M) ≈ UVᵀ` of `M = UΣVᵀ` by the Newton–Schulz iteration `X ← aX + (bXXᵀ + c(XXᵀ)²)X` from `M/(‖M‖_F + 1e-7)`.
fn orthogonalise(matrix: &Tensor, rounds: usize) -> candle_core::Result<Tensor> {
    let [a, b, c] = QUINTIC;
    let (rows, columns) = matrix.dims2()?;
    let wide = if rows > columns { matrix.t()?.contiguous()? } else { matrix.clone() };
    let mut x = linalg::scale(1.0 / (linalg::norm(&wide)? + 1e-7), &wide)?;
    for _ in 0..rounds {
        let gram = linalg::product(&x, &x.t()?.contiguous()?)?;
        let polynomial = linalg::combine(b, &gram, c, &linalg::product(&gram, &gram)?)?;
        x = linalg::combine(a, &x, 1.0, &linalg::product(&polynomial, &x)?)?;
    }
    if rows > columns { x.t()?.contiguous() } else { Ok(x) }
}

#[cfg(test)]
mod tests {
    use super::orthogonalise;
    use candle_core::{Device, Result, Tensor};

    #[test]
    fn singular_values_come_near_to_one_and_without_rounds_do_not() -> Result<()> {
        let matrix = Tensor::new(&[[3.0, 0.5], [0.0, 1.0], [0.2, -0.7]], &Device::Cpu)?;
        let squares = |rounds| -> Result<Vec<f64>> {
            let x = orthogonalise(&matrix, rounds)?;
            Ok(crate::linalg::eigen(&x.t()?.matmul(&x)?)?.map(|(values, _)| values).unwrap_or_default())
        };
        assert!(squares(5)?.iter().all(|square| (0.4..1.5).contains(square)), "{:?}", squares(5)?);
        assert!(squares(0)?.iter().any(|square| *square < 0.2), "{:?}", squares(0)?);
        Ok(())
    }
}
