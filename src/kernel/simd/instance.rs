//! Vectors of float32, as processors have them: what a kernel is generic over, and the only code that speaks to the processor.
//!
//! The crate `pulp`, which faer brings, would do, but its AVX-512 is behind a feature that nothing else here switches on, and it knows
//! neither the shape of a register tile nor bfloat16.

use std::mem::MaybeUninit;

/// Vectors of a processor. A value of such a type exists only where the processor has them, which is what makes its methods safe.
pub trait Lanes: Copy + Send + Sync {
    /// `LANES` numbers in a register.
    type Vector: Copy;
    const LANES: usize;
    /// Rows of a register tile two vectors wide that leave room for a row of the other factor.
    const ROWS: usize;

    /// `x` in every lane.
    fn splat(self, x: f32) -> Self::Vector;
    /// The first numbers of `from`.
    fn load(self, from: &[f32]) -> Self::Vector;
    /// To the first places of `to`.
    fn store(self, to: &mut [f32], values: Self::Vector);
    /// To the first places of `to`, where nothing is yet.
    fn write(self, to: &mut [MaybeUninit<f32>], values: Self::Vector);
    fn add(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    fn sub(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    fn mul(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// `a·b + c`, rounded once.
    fn mul_add(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;
    /// `c − a·b`, rounded once.
    fn neg_mul_add(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;
}

/// Work that is written once for vectors of any length. Everything it calls on the way to a vector has to be `#[inline(always)]`, for only
/// what ends up in one function with the instance's features becomes its instructions.
pub trait Work {
    type Output;
    fn run<S: Lanes>(self, simd: S) -> Self::Output;
}

/// The vectors to be used, of those that this processor has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Instance {
    #[cfg(target_arch = "x86_64")]
    Avx512(x86::Avx512),
    #[cfg(target_arch = "x86_64")]
    Avx2(x86::Avx2),
}

impl Instance {
    /// Does the work with these vectors.
    pub fn run<W: Work>(self, work: W) -> W::Output {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(simd) => simd.run(work),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(simd) => simd.run(work),
        }
    }

    /// With AVX-512 (F, BW, DQ, VL).
    pub fn avx512() -> Option<Self> {
        #[cfg(target_arch = "x86_64")]
        return x86::Avx512::detect().map(Self::Avx512);
        #[cfg(not(target_arch = "x86_64"))]
        None
    }

    /// With AVX2 and FMA.
    pub fn avx2() -> Option<Self> {
        #[cfg(target_arch = "x86_64")]
        return x86::Avx2::detect().map(Self::Avx2);
        #[cfg(not(target_arch = "x86_64"))]
        None
    }
}

/// Runs plain loops, an expression, with the longest vectors that the processor has: the compiler takes many numbers at once, and no result
/// changes. What the loops call has to be `#[inline(always)]`, as for [`Work`].
macro_rules! widest {
    ($loops:expr) => {
        $crate::kernel::simd::with_widest(
            #[inline(always)]
            || $loops,
        )
    };
}
pub(in crate::kernel) use widest;

/// What `widest!` calls.
#[inline]
pub fn with_widest<R>(loops: impl FnOnce() -> R) -> R {
    struct Loops<F>(F);
    impl<R, F: FnOnce() -> R> Work for Loops<F> {
        type Output = R;
        #[inline(always)]
        fn run<S: Lanes>(self, _simd: S) -> R {
            (self.0)()
        }
    }
    match Instance::avx512().or_else(Instance::avx2) {
        Some(instance) => instance.run(Loops(loops)),
        None => loops(),
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;
    use std::mem::MaybeUninit;

    use super::{Lanes, Work};

    /// Vectors made of some intrinsics, in the order of the trait's methods.
    macro_rules! instance {
        (
            $name:ident: $vector:ty, $lanes:literal lanes, $rows:literal rows, $features:literal, [$($feature:tt),*],
            $splat:ident, $load:ident, $store:ident, $add:ident, $sub:ident, $mul:ident, $mul_add:ident, $neg_mul_add:ident
        ) => {
            #[derive(Debug, Clone, Copy, PartialEq, Eq)]
            pub struct $name(());

            impl $name {
                pub fn detect() -> Option<Self> {
                    ($(is_x86_feature_detected!($feature))&&*).then_some(Self(()))
                }

                #[allow(unsafe_code)]
                pub fn run<W: Work>(self, work: W) -> W::Output {
                    #[target_feature(enable = $features)]
                    fn run<W: Work>(simd: $name, work: W) -> W::Output {
                        work.run(simd)
                    }
                    // SAFETY: `detect`, the only way to a value of this type, found the features.
                    unsafe { run(self, work) }
                }
            }

            // SAFETY of all blocks below: as above, and slices are cut to as many numbers as are read or written.
            #[allow(unsafe_code, clippy::undocumented_unsafe_blocks)]
            impl Lanes for $name {
                type Vector = $vector;
                const LANES: usize = $lanes;
                const ROWS: usize = $rows;

                #[inline(always)]
                fn splat(self, x: f32) -> $vector {
                    unsafe { $splat(x) }
                }
                #[inline(always)]
                fn load(self, from: &[f32]) -> $vector {
                    unsafe { $load(from[..$lanes].as_ptr()) }
                }
                #[inline(always)]
                fn store(self, to: &mut [f32], values: $vector) {
                    unsafe { $store(to[..$lanes].as_mut_ptr(), values) }
                }
                #[inline(always)]
                fn write(self, to: &mut [MaybeUninit<f32>], values: $vector) {
                    unsafe { $store(to[..$lanes].as_mut_ptr().cast(), values) }
                }
                #[inline(always)]
                fn add(self, a: $vector, b: $vector) -> $vector {
                    unsafe { $add(a, b) }
                }
                #[inline(always)]
                fn sub(self, a: $vector, b: $vector) -> $vector {
                    unsafe { $sub(a, b) }
                }
                #[inline(always)]
                fn mul(self, a: $vector, b: $vector) -> $vector {
                    unsafe { $mul(a, b) }
                }
                #[inline(always)]
                fn mul_add(self, a: $vector, b: $vector, c: $vector) -> $vector {
                    unsafe { $mul_add(a, b, c) }
                }
                #[inline(always)]
                fn neg_mul_add(self, a: $vector, b: $vector, c: $vector) -> $vector {
                    unsafe { $neg_mul_add(a, b, c) }
                }
            }
        };
    }

    instance!(
        Avx512: __m512, 16 lanes, 12 rows, "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma",
        ["avx512f", "avx512bw", "avx512dq", "avx512vl", "avx2", "fma"],
        _mm512_set1_ps, _mm512_loadu_ps, _mm512_storeu_ps, _mm512_add_ps, _mm512_sub_ps, _mm512_mul_ps, _mm512_fmadd_ps,
        _mm512_fnmadd_ps
    );

    instance!(
        Avx2: __m256, 8 lanes, 6 rows, "avx2,fma", ["avx2", "fma"],
        _mm256_set1_ps, _mm256_loadu_ps, _mm256_storeu_ps, _mm256_add_ps, _mm256_sub_ps, _mm256_mul_ps, _mm256_fmadd_ps,
        _mm256_fnmadd_ps
    );
}
