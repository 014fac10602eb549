//! All exact inverters agree, and Newton's iteration reaches them.

use candle_core::{DType, Device, Result, Tensor};
use nkfac_bench::optim::InverterConfig;
use nkfac_bench::optim::invert::{Branch, CATALOG, Inverse, Problem, inverter, newton_rounds};
use nkfac_bench::random::Random;
use proptest::prelude::*;

/// A random positive semidefinite matrix of rank up to `order`.
fn factor(order: usize, seed: u64, dtype: DType) -> Tensor {
    let mut random = Random::new(seed, "factor");
    let rows: Vec<f64> = (0..2 * order * order).map(|_| random.normal()).collect();
    let rows = Tensor::from_vec(rows, (2 * order, order), &Device::Cpu).unwrap();
    let gram = (rows.t().unwrap().matmul(&rows).unwrap() / (2 * order) as f64).unwrap();
    gram.to_dtype(dtype).unwrap()
}

fn norm(matrix: &Tensor) -> f64 {
    matrix.to_dtype(DType::F64).unwrap().sqr().unwrap().sum_all().unwrap().to_scalar::<f64>().unwrap().sqrt()
}

/// ‖I − (A + δI)B‖_F/√n.
fn residual(factor: &Tensor, damping: f64, inverse: &Tensor) -> Result<f64> {
    let order = factor.dim(0)?;
    let identity = Tensor::eye(order, factor.dtype(), factor.device())?;
    let product = (factor + (&identity * damping)?)?.matmul(inverse)?;
    Ok(norm(&(identity - product)?) / (order as f64).sqrt())
}

const EXACT: [InverterConfig; 4] = [
    InverterConfig::Cholesky {},
    InverterConfig::Lu {},
    InverterConfig::Eigen { cutoff: 0.0 },
    InverterConfig::Newton { steps: 1, exact_until: 0, exact_every: 1 },
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn exact_inverters_invert(order in 1usize..40, seed in 0u64..1000, damping in 1e-3f64..1.0) {
        for (dtype, bar) in [(DType::F64, 1e-10), (DType::F32, 1e-2)] {
            let factor = factor(order, seed, dtype);
            for config in EXACT {
                let problem = Problem { factor: &factor, damping, previous: None, refresh: 0 };
                let refreshed = inverter(config).invert(&problem).unwrap().unwrap();
                prop_assert_eq!(refreshed.branch, Branch::Exact);
                let inverse = refreshed.inverse.dense().unwrap();
                let residual = residual(&factor, damping, &inverse).unwrap();
                prop_assert!(residual < bar, "{config:?} {dtype:?}: {residual}");
                // Control: the same inverse under another damping is none.
                let wrong = self::residual(&factor, damping + 0.1, &inverse).unwrap();
                prop_assert!(wrong > bar, "{config:?}: {wrong}");
            }
        }
    }

    #[test]
    fn applying_an_inverse_is_multiplying_by_it(order in 1usize..20, seed in 0u64..1000) {
        let factor = factor(order, seed, DType::F64);
        let matrix = Tensor::randn(0f64, 1.0, (order, 3), &Device::Cpu).unwrap();
        for config in EXACT {
            let problem = Problem { factor: &factor, damping: 0.1, previous: None, refresh: 0 };
            let inverse = inverter(config).invert(&problem).unwrap().unwrap().inverse;
            let dense = inverse.dense().unwrap().matmul(&matrix).unwrap();
            prop_assert!(norm(&(inverse.apply(&matrix).unwrap() - dense).unwrap()) < 1e-10);
        }
    }
}

#[test]
fn newton_goes_to_the_inverse_and_one_round_does_not() -> Result<()> {
    let old = factor(30, 1, DType::F64);
    let new = (&old + (factor(30, 2, DType::F64) * 0.02)?)?;
    let exact = |factor: &Tensor| -> Result<Inverse> {
        let problem = Problem { factor, damping: 0.1, previous: None, refresh: 0 };
        Ok(inverter(InverterConfig::Cholesky {}).invert(&problem)?.unwrap().inverse)
    };
    let start = exact(&old)?;
    let after = |steps| -> Result<f64> {
        let newton = inverter(InverterConfig::Newton { steps, exact_until: 0, exact_every: 500 });
        let problem = Problem { factor: &new, damping: 0.1, previous: Some(&start), refresh: 3 };
        let refreshed = newton.invert(&problem)?.unwrap();
        assert_eq!(refreshed.branch, Branch::Newton);
        residual(&new, 0.1, &refreshed.inverse.dense()?)
    };
    assert!(after(8)? < 1e-12, "{}", after(8)?);
    assert!(after(1)? > 1e-6, "{}", after(1)?);
    Ok(())
}

#[test]
fn a_start_too_far_off_takes_the_damped_branch() -> Result<()> {
    let factor = factor(10, 3, DType::F64);
    let start = (Tensor::eye(10, DType::F64, &Device::Cpu)? * 50.0)?;
    let (_, branch) = newton_rounds(&factor, 0.0, start, 1)?.unwrap();
    assert_eq!(branch, Branch::NewtonDamped);
    Ok(())
}

#[test]
fn newton_in_numbers_that_are_not_finite_says_so() -> Result<()> {
    let nan = Tensor::full(f64::NAN, (4, 4), &Device::Cpu)?;
    assert!(newton_rounds(&nan, 0.0, Tensor::eye(4, DType::F64, &Device::Cpu)?, 1)?.is_none());
    Ok(())
}

#[test]
fn a_factor_without_an_inverse_is_said_to_have_none() -> Result<()> {
    let nan = Tensor::full(f64::NAN, (4, 4), &Device::Cpu)?;
    let negative = (Tensor::eye(4, DType::F64, &Device::Cpu)? * -1.0)?;
    for config in EXACT {
        let problem = Problem { factor: &nan, damping: 0.1, previous: None, refresh: 0 };
        assert!(inverter(config).invert(&problem)?.is_none(), "{config:?}");
    }
    let problem = Problem { factor: &negative, damping: 0.1, previous: None, refresh: 0 };
    assert!(inverter(InverterConfig::Cholesky {}).invert(&problem)?.is_none());
    Ok(())
}

#[test]
fn the_catalog_names_every_inverter() {
    let names: Vec<&str> = CATALOG.iter().map(|entry| entry.name).collect();
    for config in EXACT {
        assert!(names.contains(&config.name()), "{config:?}");
    }
    assert_eq!(names.len(), EXACT.len());
}
