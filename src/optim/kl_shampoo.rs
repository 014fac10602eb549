//! KL-Shampoo (Lin et al. 2025), after yorkerlin/KL-Methods at 4cb97e0: Shampoo's factors by minimising a Kullback–Leibler divergence, each
//! of gradients that all others have whitened, with eigenvalues that move in every step.
//!
//! Every tensor of two axes or more has them; those of one axis are Adam's, as all that is no matrix is in the authors' runs. Deviations: the
//! net's precision in place of bfloat16; any number of axes, where theirs is of two or three; an axis that is too long keeps its diagonal
//! alone; the first basis of a singular factor is taken as [`basis::first`] says.

use candle_core::{DType, Tensor};

use super::adam::Adam;
use super::{Error, Notes, Result, Step, Transform, basis, probe};
use crate::clock::Phase;
use crate::linalg;
use crate::param::{Params, Updates};
use crate::state::State;

/// By axis k of length n, Q being the basis of all axes and `U = (Qᵀ∇) ⊘ √(d₁ ⊗ d₂ ⊗ …)`:
/// `dₖ ← β₂dₖ + (1−β₂)·dₖ·(mean of U² over all other axes)`, not below `1/c²` with `c = max(10, min(n, 4000))`, and
/// `Sₖ ← β₂Sₖ + (1−β₂)·Qₖ[√dₖ U with itself over all other axes]Qₖᵀ·n/|∇|`, whose eigenvectors Qₖ follows by a round of orthogonal iteration
/// now and then. The update is `Q[Qᵀm ⊘ (√(d₁ ⊗ d₂ ⊗ …) + ε)]`, `m ← β₁m + (1−β₁)∇`. The first step only starts the factors, of gradients as
/// they are.
pub struct KlShampoo {
    settings: Settings,
    /// Of the tensors of one axis.
    adam: Adam,
    /// Of all others, in their order.
    tensors: Vec<Slot>,
    notes: Notes,
}

pub struct Settings {
    pub betas: [f64; 2],
    pub eps: f64,
    /// Steps between refreshes of the bases.
    pub every: usize,
    /// The longest axis that has a factor.
    pub largest: usize,
    /// Of all eigenvalues.
    pub start: f64,
}

/// What is kept of one tensor.
struct Slot {
    momentum: Tensor,
    axes: Vec<Axis>,
}

struct Axis {
    /// `√d`, which has room wherever the gradient has.
    root: Tensor,
    /// S and Q.
    factor: Option<[Tensor; 2]>,
}

impl KlShampoo {
    pub const fn new(settings: Settings) -> Self {
        let adam = Adam::new(settings.betas, settings.eps);
        Self { settings, adam, tensors: Vec::new(), notes: None }
    }
}

impl Transform for KlShampoo {
    fn apply(&mut self, updates: &mut Updates, step: &Step<'_>) -> Result {
        let (matrices, vectors) = places(step.params);
        let mut rest = Updates(vectors.iter().map(|&id| updates.0[id].clone()).collect());
        self.adam.apply(&mut rest, step)?;
        vectors.into_iter().zip(rest.0).for_each(|(id, update)| updates.0[id] = update);
        let is_first = self.tensors.is_empty();
        for (place, id) in matrices.into_iter().enumerate() {
            let (name, gradient) = (&step.params.params[id].name, updates.0[id].clone());
            if is_first {
                let _inversion = step.clock.phase(Phase::Inversion);
                self.tensors.push(Slot::new(name, &gradient, &self.settings)?);
                updates.0[id] = gradient.zeros_like()?;
                continue;
            }
            let slot = &mut self.tensors[place];
            {
                let _preconditioning = step.clock.phase(Phase::Preconditioning);
                updates.0[id] = slot.direction(&gradient, &self.settings)?;
            }
            {
                let _moments = step.clock.phase(Phase::Moments);
                slot.gather(name, &gradient, self.settings.betas[1])?;
            }
            if step.index.is_multiple_of(self.settings.every) {
                if let Some(notes) = &mut self.notes {
                    let _pause = step.clock.pause();
                    for (k, axis) in slot.axes.iter().enumerate() {
                        let Some([factor, vectors]) = &axis.factor else { continue };
                        notes.extend(probe::off_diagonal(name, k, factor, vectors)?);
                    }
                }
                let _inversion = step.clock.phase(Phase::Inversion);
                slot.refresh(name)?;
            }
        }
        Ok(())
    }

    fn state(&self) -> State {
        let mut state = State::new();
        state.put_part("adam", self.adam.state());
        state.put_all("momentum", self.tensors.iter().map(|slot| &slot.momentum));
        for (i, slot) in self.tensors.iter().enumerate() {
            for (k, axis) in slot.axes.iter().enumerate() {
                state.put(format!("root/{i}/{k}"), &axis.root);
                let Some([factor, vectors]) = &axis.factor else { continue };
                state.put(format!("factor/{i}/{k}"), factor);
                state.put(format!("vectors/{i}/{k}"), vectors);
            }
        }
        state
    }

    fn load(&mut self, state: &mut State, params: &Params) -> candle_core::Result<()> {
        let (matrices, vectors) = places(params);
        let mut adam = state.take_part("adam");
        self.adam.load_count(&mut adam, vectors.len())?;
        adam.finish()?;
        let momentum = state.take_all("momentum", matrices.len())?;
        let slot = |(i, momentum): (usize, Tensor)| {
            let roots = state.take_all(&format!("root/{i}"), momentum.rank())?;
            let axis = |(k, root)| {
                let [factor, vectors] = ["factor", "vectors"].map(|kind| state.take(&format!("{kind}/{i}/{k}")));
                Axis { root, factor: factor.zip(vectors).map(Into::into) }
            };
            Ok(Slot { momentum, axes: roots.into_iter().enumerate().map(axis).collect() })
        };
        self.tensors = momentum.into_iter().enumerate().map(slot).collect::<candle_core::Result<_>>()?;
        Ok(())
    }

    fn notes(&mut self) -> Option<&mut Notes> {
        Some(&mut self.notes)
    }
}

/// The parameters of two axes or more, and those of one.
fn places(params: &Params) -> (Vec<usize>, Vec<usize>) {
    (0..params.params.len()).partition(|&id| params.params[id].var.rank() > 1)
}

impl Slot {
    fn new(name: &str, gradient: &Tensor, settings: &Settings) -> Result<Self> {
        let axis = |k: usize| -> Result<Axis> {
            let order = gradient.dim(k)?;
            let root = (Tensor::ones(order, gradient.dtype(), gradient.device())? * settings.start.sqrt())?;
            if order > settings.largest {
                return Ok(Axis { root, factor: None });
            }
            let share = (1.0 - settings.betas[1]) * order as f64 / gradient.elem_count() as f64;
            let factor = basis::first(gradient, k, share)?.ok_or_else(|| Error::of_axis(name, k))?;
            Ok(Axis { root, factor: Some(factor) })
        };
        let axes = (0..gradient.rank()).map(axis).collect::<Result<_>>()?;
        Ok(Self { momentum: gradient.zeros_like()?, axes })
    }

    fn basis(&self) -> Vec<Option<&Tensor>> {
        self.axes.iter().map(|axis| axis.factor.as_ref().map(|[_, vectors]| vectors)).collect()
    }

    /// `√(d₁ ⊗ d₂ ⊗ …)`.
    fn root(&self) -> candle_core::Result<Tensor> {
        let ones = Tensor::ones(self.momentum.shape(), self.momentum.dtype(), self.momentum.device())?;
        self.axes.iter().enumerate().try_fold(ones, |product, (k, axis)| basis::times(&product, k, &axis.root))
    }

    fn direction(&mut self, gradient: &Tensor, settings: &Settings) -> Result<Tensor> {
        let beta = settings.betas[0];
        self.momentum = linalg::combine(beta, &self.momentum, 1.0 - beta, gradient)?;
        let basis = self.basis();
        let turned = basis::turn(&self.momentum, &basis)?;
        Ok(basis::back(&linalg::over_root(&turned, &self.root()?, 1.0, settings.eps)?, &basis)?)
    }

    /// What all axes take of one gradient, each by the others as they were.
    fn gather(&mut self, name: &str, gradient: &Tensor, beta: f64) -> Result {
        let whitened = linalg::over_root(&basis::turn(gradient, &self.basis())?, &self.root()?, 1.0, 0.0)?;
        for (k, axis) in self.axes.iter_mut().enumerate() {
            let (order, count) = (gradient.dim(k)? as f64, gradient.elem_count() as f64);
            if let Some([factor, vectors]) = &mut axis.factor {
                let by_others = basis::along(&basis::times(&whitened, k, &axis.root)?, k, &vectors.t()?)?;
                let share = (1.0 - beta) * order / count;
                *factor = linalg::combine(beta, factor, share, &basis::moments(&by_others, k)?)?;
            }
            // In float64, where squares have room.
            let mean = (basis::squares(&whitened.to_dtype(DType::F64)?, k)? * (order / count))?;
            let seen = (&axis.root * mean.sqrt()?.to_dtype(axis.root.dtype())?)?;
            let least = 1.0 / order.clamp(10.0, 4000.0);
            axis.root = linalg::root_of_average(beta, &axis.root, &seen)?.maximum(least)?;
            if !linalg::norm(&axis.root)?.is_finite() {
                return Err(Error::of_axis(name, k));
            }
        }
        Ok(())
    }

    /// One round of orthogonal iteration an axis.
    fn refresh(&mut self, name: &str) -> Result {
        for (k, axis) in self.axes.iter_mut().enumerate() {
            let Some([factor, vectors]) = &mut axis.factor else { continue };
            let along = linalg::product(factor, vectors)?;
            *vectors = linalg::orthogonal(&along)?.ok_or_else(|| Error::of_axis(name, k))?;
        }
        Ok(())
    }
}
