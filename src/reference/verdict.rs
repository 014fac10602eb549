//! How far our numbers are from the recorded ones.

use candle_core::{DType, Result, Tensor};

/// What is added to the allowed distance: gradients of biases before a batch norm are nothing but rounding.
const ABSOLUTE: f64 = 1e-12;

/// One compared tensor.
#[derive(Debug, Clone)]
pub struct Deviation {
    pub tensor: String,
    /// ‖ours − theirs‖ / (‖theirs‖ + 1e-12/tolerance), so that `error ≤ tolerance` is the bar; NaN is infinite.
    pub error: f64,
    pub tolerance: f64,
}

impl Deviation {
    /// How many times over the bar.
    #[must_use]
    pub fn excess(&self) -> f64 {
        self.error / self.tolerance
    }
}

/// The outcome of one replay.
#[derive(Debug)]
pub struct Verdict {
    /// What our numbers are computed in.
    pub dtype: DType,
    tolerance: Option<f64>,
    /// How many tensors were compared.
    pub compared: usize,
    /// The tensor that is worst for its bar.
    pub worst: Option<Deviation>,
    /// The first tensor over its bar.
    pub first: Option<Deviation>,
}

impl Verdict {
    /// Nothing compared yet. Without a `tolerance` each tensor has the bar of its kind.
    pub(super) const fn new(dtype: DType, tolerance: Option<f64>) -> Self {
        Self { dtype, tolerance, compared: 0, worst: None, first: None }
    }

    /// Whether something was compared and everything is within its bar.
    #[must_use]
    pub const fn passes(&self) -> bool {
        self.compared > 0 && self.first.is_none()
    }

    /// Whether our numbers are float64, so that everything recorded can be compared.
    pub(super) fn is_double(&self) -> bool {
        self.dtype == DType::F64
    }

    /// Compares one tensor in float64 at 1e-9, or in float32 at `single`.
    pub(super) fn compare(&mut self, tensor: &str, ours: &Tensor, theirs: &Tensor, single: f64) -> Result<()> {
        let tolerance = self.tolerance.unwrap_or(if self.is_double() { 1e-9 } else { single });
        let theirs = theirs.to_dtype(DType::F64)?;
        let ours = ours.to_dtype(DType::F64)?;
        let error = if ours.elem_count() == theirs.elem_count() {
            let ours = ours.reshape(theirs.shape())?;
            norm(&(ours - &theirs)?)? / (norm(&theirs)? + ABSOLUTE / tolerance)
        } else {
            f64::INFINITY
        };
        let error = if error.is_nan() { f64::INFINITY } else { error };
        self.record(Deviation { tensor: tensor.to_owned(), error, tolerance });
        Ok(())
    }

    fn record(&mut self, deviation: Deviation) {
        self.compared += 1;
        if self.first.is_none() && deviation.error > deviation.tolerance {
            self.first = Some(deviation.clone());
        }
        if self.worst.as_ref().is_none_or(|worst| deviation.excess() > worst.excess()) {
            self.worst = Some(deviation);
        }
    }
}

fn norm(tensor: &Tensor) -> Result<f64> {
    tensor.sqr()?.sum_all()?.sqrt()?.to_scalar()
}

#[cfg(test)]
mod tests {
    use super::Verdict;
    use candle_core::{DType, Device, Tensor};

    fn verdict(ours: f64, theirs: f64) -> bool {
        let tensor = |value: f64| Tensor::new(&[value], &Device::Cpu).unwrap();
        let mut verdict = Verdict::new(DType::F64, None);
        verdict.compare("x", &tensor(ours), &tensor(theirs), 1e-4).unwrap();
        verdict.passes()
    }

    #[test]
    fn the_bar_is_relative_with_an_absolute_floor() {
        assert!(verdict(1.0 + 0.9e-9, 1.0));
        assert!(!verdict(1.0 + 1.1e-9, 1.0));
        assert!(verdict(0.9e-12, 0.0));
        assert!(!verdict(1.1e-12, 0.0));
    }

    #[test]
    fn nan_and_nothing_at_all_fail() {
        assert!(!verdict(f64::NAN, 1.0));
        assert!(!Verdict::new(DType::F64, None).passes());
    }
}
