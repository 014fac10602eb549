//! The numbers that kernels compute with.

use std::ops::{Add, AddAssign, Div, DivAssign, Mul, Sub};

/// float32 or float64.
pub trait Real:
    Copy
    + Default
    + Send
    + Sync
    + PartialOrd
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + AddAssign
    + DivAssign
    + faer::traits::RealField
    + 'static
{
    const ZERO: Self;
    const ONE: Self;
    const NEG_INFINITY: Self;

    /// The nearest number of this type.
    fn real(value: f64) -> Self;
    fn double(self) -> f64;
    /// These numbers, if they are float32: the way into kernels that exist for it alone.
    fn single(values: &[Self]) -> Option<&[f32]>;
    /// The way back.
    fn from_single(values: Vec<f32>) -> Option<Vec<Self>>;
}

impl Real for f32 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
    const NEG_INFINITY: Self = Self::NEG_INFINITY;

    fn real(value: f64) -> Self {
        value as Self
    }

    fn double(self) -> f64 {
        f64::from(self)
    }

    fn single(values: &[Self]) -> Option<&[f32]> {
        Some(values)
    }

    fn from_single(values: Vec<f32>) -> Option<Vec<Self>> {
        Some(values)
    }
}

impl Real for f64 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
    const NEG_INFINITY: Self = Self::NEG_INFINITY;

    fn real(value: f64) -> Self {
        value
    }

    fn double(self) -> f64 {
        self
    }

    fn single(_values: &[Self]) -> Option<&[f32]> {
        None
    }

    fn from_single(_values: Vec<f32>) -> Option<Vec<Self>> {
        None
    }
}
