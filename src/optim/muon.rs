//! Muon (Jordan et al. 2024): momentum made orthogonal, for the weights of linear and convolution layers; all else by Adam.
//!
//! A convolution's weight is its matrix `k²·C_in × C_out`. Which weights are taken is a choice: the authors leave embeddings and the last
//! layer to Adam. So is the precision of the iteration: theirs is bfloat16, in which it is torch.optim's bit for bit.

use candle_core::Tensor;

use super::adam::Adam;
use super::{Matrices, Notes, Precision, Result, Scaling, Step, Transform, probe};
use crate::clock::Phase;
use crate::linalg;
use crate::param::{Block, Params, Updates};
use crate::state::State;

/// `m ← μm + (1−μ)∇`, the update `msign(m)` or Nesterov's `msign((1−μ)∇ + μm)`, times its scaling.
pub struct Muon {
    settings: Settings,
    adam: Adam,
    /// By block, `d_in × d_out`.
    velocity: Vec<Tensor>,
    notes: Notes,
}

pub struct Settings {
    pub momentum: f64,
    pub nesterov: bool,
    /// Rounds of the Newton–Schulz iteration.
    pub rounds: usize,
    pub matrices: Matrices,
    pub scaling: Scaling,
    pub precision: Precision,
    /// Adam's result is multiplied by this.
    pub adam_ratio: f64,
}

impl Muon {
    pub const fn new(settings: Settings, adam: Adam) -> Self {
        Self { settings, adam, velocity: Vec::new(), notes: None }
    }

    /// The layers whose weights are made orthogonal.
    fn blocks<'a>(&self, params: &'a Params) -> &'a [Block] {
        match (self.settings.matrices, params.blocks.as_slice()) {
            (Matrices::All, blocks) => blocks,
            (Matrices::Inner, blocks) => blocks.split_last().map_or(blocks, |(_, inner)| inner),
        }
    }

    /// All other parameters.
    fn others(&self, params: &Params) -> Vec<usize> {
        let blocks = self.blocks(params);
        (0..params.params.len()).filter(|id| blocks.iter().all(|block| block.weight != *id)).collect()
    }

    /// The momentum of one weight from its gradient, both `d_in × d_out`, made orthogonal.
    fn orthogonal(&mut self, place: usize, gradient: &Tensor) -> Result<Tensor> {
        if self.velocity.len() == place {
            self.velocity.push(gradient.zeros_like()?);
        }
        let Settings { momentum, nesterov, rounds, precision, .. } = self.settings;
        let (keep, fresh) = (momentum, 1.0 - momentum);
        let velocity = linalg::combine(keep, &self.velocity[place], fresh, gradient)?;
        let direction = if nesterov { linalg::combine(keep, &velocity, fresh, gradient)? } else { velocity.clone() };
        self.velocity[place] = velocity;
        Ok(orthogonalise(&direction, rounds, precision)?)
    }
}

impl Transform for Muon {
    fn apply(&mut self, updates: &mut Updates, step: &Step<'_>) -> Result {
        let others = self.others(step.params);
        let mut rest = Updates(others.iter().map(|&id| updates.0[id].clone()).collect());
        self.adam.apply(&mut rest, step)?;
        let _update = step.clock.phase(Phase::Update);
        for (id, update) in others.into_iter().zip(rest.0) {
            updates.0[id] = (update * self.settings.adam_ratio)?;
        }
        for (place, block) in self.blocks(step.params).iter().enumerate() {
            let gradient = &updates.0[block.weight];
            let update = self.orthogonal(place, &gradient.reshape(((), block.outputs))?)?;
            if let Some(notes) = self.notes.as_mut().filter(|_| step.index.is_multiple_of(probe::EVERY)) {
                let _pause = step.clock.pause();
                notes.extend(probe::singular_values(&step.params.params[block.weight].name, &update)?);
            }
            let update = (&update * self.settings.scaling.stretch(update.dims2()?))?;
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
        self.velocity = state.take_all("velocity", self.blocks(params).len())?;
        let mut adam = state.take_part("adam");
        let others = self.others(params).len();
        self.adam.load_count(&mut adam, others)?;
        adam.finish()
    }

    fn notes(&mut self) -> Option<&mut Notes> {
        Some(&mut self.notes)
    }
}

impl Scaling {
    /// What an orthogonal update, `d_in × d_out`, is multiplied by.
    fn stretch(self, (inputs, outputs): (usize, usize)) -> f64 {
        match self {
            Self::Original => (outputs as f64 / inputs as f64).max(1.0).sqrt(),
            Self::MatchRmsAdamw => 0.2 * (outputs.max(inputs) as f64).sqrt(),
        }
    }
}

/// Coefficients of the quintic that takes singular values in (0, 1] to about 1 in five rounds.
const QUINTIC: [f64; 3] = [3.4445, -4.7750, 2.0315];

/// `msign(M) ≈ UVᵀ` of `M = UΣVᵀ` by the Newton–Schulz iteration `X ← aX + (bXXᵀ + c(XXᵀ)²)X` from `M/(‖M‖_F + 1e-7)`; in bfloat16 from
/// `M/max(‖M‖_F, 1e-7)`, as torch.optim does.
fn orthogonalise(matrix: &Tensor, rounds: usize, precision: Precision) -> candle_core::Result<Tensor> {
    if precision == Precision::Bfloat16 {
        return linalg::newton_schulz(matrix, rounds, QUINTIC);
    }
    let [a, b, c] = QUINTIC;
    let (rows, columns) = matrix.dims2()?;
    let wide = if rows > columns { matrix.t()?.contiguous()? } else { matrix.clone() };
    let mut x = linalg::unit(&wide, 1e-7)?;
    for _ in 0..rounds {
        let gram = linalg::product(&x, &x.t()?)?;
        let polynomial = linalg::combine(b, &gram, c, &linalg::product(&gram, &gram)?)?;
        x = linalg::combine(a, &x, 1.0, &linalg::product(&polynomial, &x)?)?;
    }
    if rows > columns { x.t()?.contiguous() } else { Ok(x) }
}

#[cfg(test)]
mod tests {
    use super::{Precision, orthogonalise};
    use candle_core::{Device, Result, Tensor};

    #[test]
    fn singular_values_come_near_to_one_and_without_rounds_do_not() -> Result<()> {
        let matrix = Tensor::new(&[[3.0, 0.5], [0.0, 1.0], [0.2, -0.7]], &Device::Cpu)?;
        let squares = |rounds| -> Result<Vec<f64>> {
            let x = orthogonalise(&matrix, rounds, Precision::Net)?;
            Ok(crate::linalg::eigen(&x.t()?.matmul(&x)?)?.map(|(values, _)| values).unwrap_or_default())
        };
        assert!(squares(5)?.iter().all(|square| (0.4..1.5).contains(square)), "{:?}", squares(5)?);
        assert!(squares(0)?.iter().any(|square| *square < 0.2), "{:?}", squares(0)?);
        Ok(())
    }
}
