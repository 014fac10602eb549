//! SOAP (Vyas et al. 2024), as nikhilvyas/SOAP computes it: Adam in the eigenbasis of Shampoo's factors.
//!
//! Every tensor of two axes or more has a factor for each axis that is not too long; one of one axis is left to plain Adam. Deviation: the
//! first basis of a singular factor is any of many, and is taken as [`basis::first`] says.

use candle_core::{DType, Tensor};

use super::{Error, Notes, Result, Step, Transform, basis, probe};
use crate::clock::Phase;
use crate::linalg;
use crate::param::{Params, Updates};
use crate::state::State;

/// `L ← β₂L + (1−β₂)·(∇ with itself over all other axes)` by axis, from zero, with Q its eigenvectors; m is the average of ∇ and v that of
/// `(Qᵀ∇)²`; the update is `√(1−β₂ᵗ)/(1−β₁ᵗ) · Q[Qᵀm / (√v + ε)]`. The first step only starts the factors, and t counts from the second.
///
/// The reference keeps m in the basis and turns it along; an average may as well be turned when it is used.
pub struct Soap {
    settings: Settings,
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
}

/// What is kept of one parameter.
struct Slot {
    /// m.
    first: Tensor,
    /// `√v`, in the basis.
    root: Tensor,
    axes: Vec<Option<Axis>>,
}

struct Axis {
    factor: Tensor,
    /// Eigenvectors in the columns, those of the largest eigenvalues first.
    vectors: Tensor,
}

impl Soap {
    pub const fn new(settings: Settings) -> Self {
        Self { settings, tensors: Vec::new(), notes: None }
    }
}

impl Transform for Soap {
    fn apply(&mut self, updates: &mut Updates, step: &Step<'_>) -> Result {
        let named = step.params.params.iter().zip(&mut updates.0);
        if self.tensors.is_empty() {
            let _inversion = step.clock.phase(Phase::Inversion);
            for (param, update) in named {
                self.tensors.push(Slot::new(&param.name, update, &self.settings)?);
                *update = update.zeros_like()?;
            }
            return Ok(());
        }
        for ((param, update), slot) in named.zip(&mut self.tensors) {
            let gradient = update.clone();
            {
                let _preconditioning = step.clock.phase(Phase::Preconditioning);
                *update = slot.direction(&gradient, &self.settings, step.index)?;
            }
            {
                let _moments = step.clock.phase(Phase::Moments);
                slot.gather(&gradient, self.settings.betas[1])?;
            }
            if step.index.is_multiple_of(self.settings.every) {
                if let Some(notes) = &mut self.notes {
                    let _pause = step.clock.pause();
                    for (k, axis) in slot.axes.iter().enumerate() {
                        let Some(axis) = axis else { continue };
                        notes.extend(probe::off_diagonal(&param.name, k, &axis.factor, &axis.vectors)?);
                    }
                }
                let _inversion = step.clock.phase(Phase::Inversion);
                slot.refresh(&param.name)?;
            }
        }
        Ok(())
    }

    fn state(&self) -> State {
        let mut state = State::new();
        state.put_all("first", self.tensors.iter().map(|slot| &slot.first));
        state.put_all("root", self.tensors.iter().map(|slot| &slot.root));
        for (i, slot) in self.tensors.iter().enumerate() {
            for (k, axis) in slot.axes.iter().enumerate() {
                let Some(axis) = axis else { continue };
                state.put(format!("factor/{i}/{k}"), &axis.factor);
                state.put(format!("vectors/{i}/{k}"), &axis.vectors);
            }
        }
        state
    }

    fn load(&mut self, state: &mut State, params: &Params) -> candle_core::Result<()> {
        let [first, root] = ["first", "root"].map(|name| state.take_all(name, params.params.len()));
        self.tensors.clear();
        for (i, (first, root)) in first?.into_iter().zip(root?).enumerate() {
            let mut axis = |k| {
                let (factor, vectors) = (format!("factor/{i}/{k}"), format!("vectors/{i}/{k}"));
                Some(Axis { factor: state.take(&factor)?, vectors: state.take(&vectors)? })
            };
            let axes = (0..first.rank()).map(&mut axis).collect();
            self.tensors.push(Slot { first, root, axes });
        }
        Ok(())
    }

    fn notes(&mut self) -> Option<&mut Notes> {
        Some(&mut self.notes)
    }
}

impl Slot {
    fn new(name: &str, gradient: &Tensor, settings: &Settings) -> Result<Self> {
        let axis = |k: usize| -> Result<Option<Axis>> {
            if gradient.rank() == 1 || gradient.dim(k)? > settings.largest {
                return Ok(None);
            }
            let [factor, vectors] =
                basis::first(gradient, k, 1.0 - settings.betas[1])?.ok_or_else(|| Error::of_axis(name, k))?;
            Ok(Some(Axis { factor, vectors }))
        };
        let axes = (0..gradient.rank()).map(axis).collect::<Result<_>>()?;
        Ok(Self { first: gradient.zeros_like()?, root: gradient.zeros_like()?, axes })
    }

    fn basis(&self) -> Vec<Option<&Tensor>> {
        self.axes.iter().map(|axis| axis.as_ref().map(|axis| &axis.vectors)).collect()
    }

    fn direction(&mut self, gradient: &Tensor, settings: &Settings, count: usize) -> Result<Tensor> {
        let [beta1, beta2] = settings.betas;
        let turned = basis::turn(gradient, &self.basis())?;
        self.first = linalg::combine(beta1, &self.first, 1.0 - beta1, gradient)?;
        self.root = linalg::root_of_average(beta2, &self.root, &turned)?;
        let basis = self.basis();
        let scaled = linalg::over_root(&basis::turn(&self.first, &basis)?, &self.root, 1.0, settings.eps)?;
        let correction = (1.0 - beta2.powi(count as i32)).sqrt() / (1.0 - beta1.powi(count as i32));
        Ok(linalg::scale(correction, &basis::back(&scaled, &basis)?)?)
    }

    fn gather(&mut self, gradient: &Tensor, beta: f64) -> Result {
        for (k, axis) in self.axes.iter_mut().enumerate() {
            if let Some(axis) = axis {
                axis.factor = linalg::combine(beta, &axis.factor, 1.0 - beta, &basis::moments(gradient, k)?)?;
            }
        }
        Ok(())
    }

    /// One round of orthogonal iteration an axis, its columns first brought into the order of what the factor has along them.
    fn refresh(&mut self, name: &str) -> Result {
        for (k, axis) in self.axes.iter_mut().enumerate() {
            let Some(axis) = axis else { continue };
            let along = linalg::product(&axis.factor, &axis.vectors)?;
            let order = descending(&(&axis.vectors * &along)?.sum(0)?)?;
            self.root = self.root.index_select(&order, k)?;
            axis.vectors =
                linalg::orthogonal(&along.index_select(&order, 1)?)?.ok_or_else(|| Error::of_axis(name, k))?;
        }
        Ok(())
    }
}

/// Places of the numbers, the largest first.
fn descending(numbers: &Tensor) -> candle_core::Result<Tensor> {
    let values = numbers.to_dtype(DType::F64)?.to_vec1::<f64>()?;
    let mut places: Vec<u32> = (0..values.len() as u32).collect();
    places.sort_by(|&a, &b| values[b as usize].total_cmp(&values[a as usize]));
    Tensor::new(places, numbers.device())
}
