//! PSGD with Kronecker factors (Li 2018; Pooladzandi & Li 2024), in the form and with the defaults of evanatyourservice/kron_torch.
//!
//! `P = QᵀQ` by axis is moved by noise against gradients, along the group of triangular matrices, until it whitens them. Its probes and the
//! steps that move it are random: they depend on the seed, the step and the parameter's name alone. Deviation: weight decay is a stage of
//! its own and acts on every parameter; theirs leaves out vectors.

use candle_core::{DType, Tensor};

use super::{Error, Result, Step, Transform, basis};
use crate::clock::Phase;
use crate::linalg;
use crate::param::{Params, Updates};
use crate::random::Random;
use crate::state::State;

/// With `m̂` the debiased average of ∇, `A = Q m̂` and `B = Q⁻ᵀv` for a normal v, both along all axes: on some steps, by axis,
/// `Q ← Q − μ·triu(AAᵀ − BBᵀ)Q / bound(AAᵀ + BBᵀ)`; the update is `QᵀQ m̂`, shortened to a root mean square of 1.1.
pub struct Psgd {
    settings: Settings,
    tensors: Vec<Slot>,
}

pub struct Settings {
    pub momentum: f64,
    /// μ.
    pub precondition_lr: f64,
    /// The longest axis whose Q is triangular; that of a longer one, and of a vector's, is diagonal.
    pub largest: usize,
    /// Steps on which Q is moved for sure.
    pub certain_steps: usize,
    /// Behind them its probability falls as `exp(−decay·steps)`,
    pub probability_decay: f64,
    /// and not below this.
    pub least_probability: f64,
    pub seed: u64,
}

/// What is kept of one parameter.
struct Slot {
    momentum: Tensor,
    /// Q by axis: upper triangular n×n, or the n of a diagonal.
    axes: Vec<Tensor>,
}

/// The largest root mean square of an update.
const LARGEST: f64 = 1.1;

/// `P = 4I` at first, of all axes together.
const START: f64 = 2.0;

/// How often a step that moves Q first brings its axes to one size.
const BALANCED: f64 = 0.01;

impl Psgd {
    pub const fn new(settings: Settings) -> Self {
        Self { settings, tensors: Vec::new() }
    }

    /// Whether Q is moved in this step, and whether it is balanced before.
    fn draws(&self, step: usize) -> (bool, bool) {
        let Settings { certain_steps, probability_decay, least_probability, seed, .. } = self.settings;
        let mut random = Random::new(seed, &format!("psgd/{step}"));
        let behind = step as f64 - certain_steps as f64;
        let probability = (-probability_decay * behind).exp().clamp(least_probability, 1.0);
        let moves = random.uniform() < probability;
        (moves, moves && random.uniform() < BALANCED)
    }
}

impl Transform for Psgd {
    fn apply(&mut self, updates: &mut Updates, step: &Step<'_>) -> Result {
        if self.tensors.is_empty() {
            self.tensors =
                updates.0.iter().map(|update| Slot::new(update, self.settings.largest)).collect::<Result<_>>()?;
        }
        let (moves, balances) = self.draws(step.index);
        let Settings { momentum, precondition_lr, seed, .. } = self.settings;
        let debias = 1.0 / (1.0 - momentum.powi(step.index as i32 + 1));
        for ((param, update), slot) in step.params.params.iter().zip(&mut updates.0).zip(&mut self.tensors) {
            slot.momentum = linalg::combine(momentum, &slot.momentum, 1.0 - momentum, update)?;
            let average = linalg::scale(debias, &slot.momentum)?;
            if balances && average.rank() > 1 {
                slot.balance()?;
            }
            if moves {
                let _moments = step.clock.phase(Phase::Moments);
                let mut random = Random::new(seed, &format!("psgd/{}/{}", step.index, param.name));
                let probe: Vec<f64> = (0..average.elem_count()).map(|_| random.normal()).collect();
                let probe = Tensor::from_vec(probe, average.shape(), average.device())?.to_dtype(average.dtype())?;
                slot.move_factors(&param.name, &average, probe, precondition_lr)?;
            }
            let _preconditioning = step.clock.phase(Phase::Preconditioning);
            let whitened = slot.axes.iter().enumerate().try_fold(average, |tensor, (axis, q)| -> Result<Tensor> {
                Ok(along(&along(&tensor, axis, q, false)?, axis, q, true)?)
            })?;
            let root = (whitened.elem_count() as f64).sqrt();
            *update = whitened;
            linalg::clip(std::slice::from_mut(update), LARGEST * root, 1e-12 * root)?;
        }
        Ok(())
    }

    fn state(&self) -> State {
        let mut state = State::new();
        state.put_all("momentum", self.tensors.iter().map(|slot| &slot.momentum));
        for (i, slot) in self.tensors.iter().enumerate() {
            state.put_all(&format!("factor/{i}"), &slot.axes);
        }
        state
    }

    fn load(&mut self, state: &mut State, params: &Params) -> candle_core::Result<()> {
        let momentum = state.take_all("momentum", params.params.len())?;
        let slot = |(i, momentum): (usize, Tensor)| {
            Ok(Slot { axes: state.take_all(&format!("factor/{i}"), momentum.rank())?, momentum })
        };
        self.tensors = momentum.into_iter().enumerate().map(slot).collect::<candle_core::Result<_>>()?;
        Ok(())
    }
}

impl Slot {
    fn new(gradient: &Tensor, largest: usize) -> Result<Self> {
        let start = START.powf(1.0 / gradient.rank() as f64);
        let axis = |&order: &usize| -> Result<Tensor> {
            let (dtype, device) = (gradient.dtype(), gradient.device());
            let is_diagonal = gradient.rank() == 1 || order == 1 || order > largest;
            let ones =
                if is_diagonal { Tensor::ones(order, dtype, device)? } else { Tensor::eye(order, dtype, device)? };
            Ok((ones * start)?)
        };
        let axes = gradient.dims().iter().map(axis).collect::<Result<_>>()?;
        Ok(Self { momentum: gradient.zeros_like()?, axes })
    }

    /// Brings the largest entries of all axes to their geometric mean.
    fn balance(&mut self) -> Result {
        let sizes = self.axes.iter().map(largest_entry).collect::<candle_core::Result<Vec<f64>>>()?;
        let mean = (sizes.iter().map(|size| size.ln()).sum::<f64>() / sizes.len() as f64).exp();
        for (q, size) in self.axes.iter_mut().zip(sizes) {
            *q = linalg::scale(mean / size, q)?;
        }
        Ok(())
    }

    fn move_factors(&mut self, name: &str, average: &Tensor, probe: Tensor, rate: f64) -> Result {
        let (mut a, mut b) = (average.clone(), probe);
        for (axis, q) in self.axes.iter().enumerate() {
            a = along(&a, axis, q, false)?;
            let inverse = if q.rank() == 1 { Some(q.recip()?) } else { linalg::lu_inverse(q)? };
            let inverse = inverse.ok_or_else(|| Error::of_axis(name, axis))?;
            b = along(&b, axis, &inverse, true)?;
        }
        for (axis, q) in self.axes.iter_mut().enumerate() {
            let [of_a, of_b] = [moments(&a, axis, q.rank())?, moments(&b, axis, q.rank())?];
            let (sum, difference) =
                (linalg::combine(1.0, &of_a, 1.0, &of_b)?, linalg::combine(1.0, &of_a, -1.0, &of_b)?);
            let bound = if q.rank() == 1 { largest_entry(&sum)? } else { norm_bound(&sum)? };
            if !bound.is_finite() {
                return Err(Error::of_axis(name, axis));
            }
            let change = if q.rank() == 1 {
                (difference * &*q)?
            } else {
                let upper = Tensor::triu2(q.dim(0)?, q.dtype(), q.device())?;
                linalg::product(&(difference * upper)?, q)?
            };
            *q = linalg::combine(1.0, q, -rate / (bound + f64::from(f32::MIN_POSITIVE)), &change)?;
        }
        Ok(())
    }
}

/// A matrix, or its transpose, or a diagonal, times a tensor along one axis.
fn along(tensor: &Tensor, axis: usize, q: &Tensor, transposed: bool) -> candle_core::Result<Tensor> {
    if q.rank() == 2 {
        return basis::along(tensor, axis, &if transposed { q.clone() } else { q.t()? });
    }
    basis::times(tensor, axis, q)
}

/// A tensor's second moments along an axis, or their diagonal.
fn moments(tensor: &Tensor, axis: usize, rank: usize) -> candle_core::Result<Tensor> {
    if rank == 2 { basis::moments(tensor, axis) } else { basis::squares(tensor, axis) }
}

fn largest_entry(tensor: &Tensor) -> candle_core::Result<f64> {
    tensor.abs()?.flatten_all()?.max(0)?.to_dtype(DType::F64)?.to_scalar()
}

/// A lower bound of a symmetric matrix's spectral norm: with x its longest row, `‖A²x‖/‖Ax‖`.
fn norm_bound(matrix: &Tensor) -> candle_core::Result<f64> {
    let largest = largest_entry(matrix)?;
    if largest == 0.0 || !largest.is_finite() {
        return Ok(largest);
    }
    let unit = linalg::scale(1.0 / largest, matrix)?;
    let lengths = unit.sqr()?.sum(1)?.to_dtype(DType::F64)?.to_vec1::<f64>()?;
    let longest = (0..lengths.len()).fold(0, |best, i| if lengths[i] > lengths[best] { i } else { best });
    let x = linalg::times_vector(&unit, &unit.get(longest)?)?;
    let x = linalg::scale(1.0 / linalg::norm(&x)?, &x)?;
    Ok(largest * linalg::norm(&linalg::times_vector(&unit, &x)?)?)
}

#[cfg(test)]
mod tests {
    use super::norm_bound;
    use candle_core::{Device, Result, Tensor};

    #[test]
    fn the_bound_is_near_the_largest_eigenvalue_and_not_above_it() -> Result<()> {
        let matrix = Tensor::new(&[[4.0, 1.0, 0.5], [1.0, 3.0, 0.0], [0.5, 0.0, 1.0]], &Device::Cpu)?;
        let largest = crate::linalg::eigen(&matrix)?.map_or(0.0, |(values, _)| values[2]);
        let bound = norm_bound(&matrix)?;
        assert!(bound <= largest && bound > 0.97 * largest, "{bound} of {largest}");
        assert_eq!(norm_bound(&matrix.zeros_like()?)?, 0.0);
        Ok(())
    }
}
