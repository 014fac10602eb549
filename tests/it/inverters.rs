//! Every inverter of the catalog inverts, and says which way it went.

use candle_core::{DType, Device, Result, Tensor};
use nkfac_bench::config::{Value, from_value};
use nkfac_bench::linalg::Products;
use nkfac_bench::optim::InverterConfig;
use nkfac_bench::optim::invert::{
    Branch, CATALOG, Curvature, Inverse, Problem, Refreshed, inverter, newton_rounds, residual,
};
use nkfac_bench::random::Random;
use proptest::prelude::*;

/// Random rows, `count × order`, such that the expected product is the identity.
fn rows(count: usize, order: usize, seed: u64, dtype: DType) -> Tensor {
    let mut random = Random::new(seed, "rows");
    let values: Vec<f64> = (0..count * order).map(|_| random.normal() / (count as f64).sqrt()).collect();
    Tensor::from_vec(values, (count, order), &Device::Cpu).unwrap().to_dtype(dtype).unwrap()
}

/// A random positive definite matrix.
fn factor(order: usize, seed: u64, dtype: DType) -> Tensor {
    Curvature::Rows(&rows(2 * order, order, seed, dtype)).dense().unwrap()
}

fn damped(factor: &Tensor, damping: f64) -> Tensor {
    Problem { factor: Curvature::Matrix(factor), damping, previous: None, refresh: 0 }.damped().unwrap()
}

fn norm(matrix: &Tensor) -> f64 {
    matrix.to_dtype(DType::F64).unwrap().sqr().unwrap().sum_all().unwrap().to_scalar::<f64>().unwrap().sqrt()
}

/// What the example of each entry of the catalog says.
fn catalog() -> Vec<InverterConfig> {
    let config = |example: &str| {
        let value = Value::parse("catalog", example).unwrap();
        from_value(value.get("inverter").unwrap()).unwrap()
    };
    CATALOG.iter().map(|entry| config(entry.example)).collect()
}

fn is_control(config: &InverterConfig) -> bool {
    matches!(config, InverterConfig::Diagonal {} | InverterConfig::Identity {})
}

fn invert(config: InverterConfig, factor: Curvature<'_>, damping: f64) -> Option<Refreshed> {
    inverter(config).invert(&Problem { factor, damping, previous: None, refresh: 0 }).unwrap()
}

#[test]
fn the_catalog_names_what_its_examples_make() {
    for (entry, config) in CATALOG.iter().zip(catalog()) {
        assert_eq!(entry.name, config.name());
    }
    assert_eq!(catalog().iter().filter(|config| is_control(config)).count(), 2);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn every_inverter_inverts_and_a_control_does_not(order in 2usize..40, seed in 0u64..1000, damping in 0.02f64..1.0) {
        for (dtype, bar) in [(DType::F64, 1e-6), (DType::F32, 2e-3)] {
            let factor = factor(order, seed, dtype);
            for config in catalog() {
                let refreshed = invert(config, Curvature::Matrix(&factor), damping).unwrap();
                let inverse = refreshed.inverse.dense().unwrap();
                let right = residual(&damped(&factor, damping), &inverse).unwrap();
                prop_assert_eq!(right < bar, !is_control(&config), "{:?} {:?}: {}", config, dtype, right);
                // Another control: the same inverse under another damping is none.
                let wrong = residual(&damped(&factor, damping + 0.1), &inverse).unwrap();
                prop_assert!(wrong > bar, "{config:?}: {wrong}");
            }
        }
    }

    /// Woodbury equals dense, and all others take rows too.
    #[test]
    fn a_product_of_rows_has_the_inverse_of_its_matrix(order in 2usize..30, count in 1usize..40, seed in 0u64..1000) {
        let rows = rows(count, order, seed, DType::F64);
        let matrix = Curvature::Rows(&rows).dense().unwrap();
        let exact = invert(InverterConfig::Cholesky {}, Curvature::Matrix(&matrix), 0.1).unwrap().inverse.dense().unwrap();
        for config in catalog().into_iter().filter(|config| !is_control(config)) {
            let refreshed = invert(config, Curvature::Rows(&rows), 0.1).unwrap();
            let distance = norm(&(refreshed.inverse.dense().unwrap() - &exact).unwrap()) / norm(&exact);
            prop_assert!(distance < 1e-6, "{config:?}: {distance}");
            if config == (InverterConfig::Woodbury {}) {
                prop_assert_eq!(refreshed.branch, Branch::Exact);
                prop_assert_eq!(matches!(refreshed.inverse, Inverse::LowRank { .. }), count < order);
            }
        }
        // Control: without one of its rows it is another matrix.
        let fewer = rows.narrow(0, 0, count - 1).unwrap();
        if count > 1 {
            let other = invert(InverterConfig::Woodbury {}, Curvature::Rows(&fewer), 0.1).unwrap().inverse.dense().unwrap();
            prop_assert!(norm(&(other - &exact).unwrap()) > 1e-6);
        }
    }

    #[test]
    fn applying_an_inverse_is_multiplying_by_it(order in 2usize..20, seed in 0u64..1000) {
        let rows = rows(order / 2, order, seed, DType::F64);
        let matrix = self::rows(order, 3, seed + 1, DType::F64);
        for config in catalog() {
            let inverse = invert(config, Curvature::Rows(&rows), 0.1).unwrap().inverse;
            let dense = inverse.dense().unwrap().matmul(&matrix).unwrap();
            prop_assert!(norm(&(inverse.apply(&matrix).unwrap() - dense).unwrap()) < 1e-10);
        }
    }

    #[test]
    fn the_diagonal_of_rows_is_that_of_their_matrix(order in 1usize..20, seed in 0u64..1000) {
        let rows = rows(order + 1, order, seed, DType::F64);
        let matrix = Curvature::Rows(&rows).dense().unwrap();
        let of = |factor| invert(InverterConfig::Diagonal {}, factor, 0.1).unwrap().inverse.dense().unwrap();
        let distance = norm(&(of(Curvature::Rows(&rows)) - of(Curvature::Matrix(&matrix))).unwrap());
        prop_assert!(distance < 1e-9, "{}", distance);
    }
}

/// The factor of the last refresh with its exact inverse, and a factor that has drifted from there.
fn drifted(drift: f64) -> Result<(Inverse, Tensor)> {
    let old = factor(30, 1, DType::F64);
    let new = (&old + (factor(30, 2, DType::F64) * drift)?)?;
    let start = invert(InverterConfig::Cholesky {}, Curvature::Matrix(&old), 0.1).unwrap().inverse;
    Ok((start, new))
}

fn from(start: &Inverse, factor: &Tensor, config: InverterConfig) -> Result<(f64, Branch)> {
    let problem = Problem { factor: Curvature::Matrix(factor), damping: 0.1, previous: Some(start), refresh: 3 };
    let refreshed = inverter(config).invert(&problem)?.unwrap();
    Ok((residual(&damped(factor, 0.1), &refreshed.inverse.dense()?)?, refreshed.branch))
}

#[test]
fn iterations_go_to_the_inverse_and_one_round_does_not() -> Result<()> {
    let (start, new) = drifted(0.02)?;
    let newton = |steps| InverterConfig::Newton { steps, exact_until: 0, exact_every: 500, precision: Products::Full };
    let pure = |steps| InverterConfig::NewtonPure { steps, precision: Products::Full };
    let optimal = |steps| InverterConfig::NewtonOptimal { steps, precision: Products::Full };
    let third_order = |steps| InverterConfig::Hyperpower { steps, order: 3 };
    for config in [newton as fn(usize) -> InverterConfig, pure, optimal, third_order] {
        let ((one, _), (many, branch)) = (from(&start, &new, config(1))?, from(&start, &new, config(8))?);
        assert_eq!(branch, Branch::Newton);
        assert!(many < 1e-12, "{:?}: {many}", config(8));
        assert!(one > 1e-7, "{:?}: {one}", config(1));
    }
    Ok(())
}

#[test]
fn a_round_of_higher_order_and_one_of_the_best_step_leave_less() -> Result<()> {
    let (start, new) = drifted(0.1)?;
    let after = |config| from(&start, &new, config).map(|(residual, _)| residual);
    let newton = after(InverterConfig::NewtonPure { steps: 1, precision: Products::Full })?;
    assert!((after(InverterConfig::Hyperpower { steps: 1, order: 2 })? - newton).abs() < 1e-12);
    assert!(after(InverterConfig::Hyperpower { steps: 1, order: 3 })? < newton);
    assert!(after(InverterConfig::NewtonOptimal { steps: 1, precision: Products::Full })? <= newton);
    Ok(())
}

#[test]
fn a_start_too_far_off_takes_the_damped_branch() -> Result<()> {
    let factor = factor(10, 3, DType::F64);
    let start = (Tensor::eye(10, DType::F64, &Device::Cpu)? * 50.0)?;
    let (_, branch) = newton_rounds(Products::Full, &factor, 0.0, start, 1)?.unwrap();
    assert_eq!(branch, Branch::NewtonDamped);
    Ok(())
}

#[test]
fn an_iteration_that_goes_astray_falls_back_and_is_counted() -> Result<()> {
    let (_, new) = drifted(0.02)?;
    let far = Inverse::Dense((Tensor::eye(30, DType::F64, &Device::Cpu)? * 50.0)?);
    for config in [
        InverterConfig::NewtonPure { steps: 2, precision: Products::Full },
        InverterConfig::Hyperpower { steps: 2, order: 3 },
        InverterConfig::NewtonScaled { steps: 8 },
        InverterConfig::Newton { steps: 1, exact_until: 0, exact_every: 500, precision: Products::Full },
    ] {
        let (residual, branch) = from(&far, &new, config)?;
        match config {
            InverterConfig::NewtonScaled { .. } => assert_eq!(branch, Branch::Newton, "it needs no start"),
            InverterConfig::Newton { .. } => assert_eq!(branch, Branch::NewtonDamped, "its own guard"),
            _ => assert!(branch == Branch::Fallback && residual < 1e-10, "{config:?}: {branch:?} {residual}"),
        }
    }
    let nan = Inverse::Dense(Tensor::full(f64::NAN, (30, 30), &Device::Cpu)?);
    let (residual, branch) = from(
        &nan,
        &new,
        InverterConfig::Newton { steps: 1, exact_until: 0, exact_every: 500, precision: Products::Full },
    )?;
    assert!(branch == Branch::Fallback && residual < 1e-10, "{branch:?} {residual}");
    let matrix = invert(InverterConfig::Woodbury {}, Curvature::Matrix(&new), 0.1).unwrap();
    assert_eq!(matrix.branch, Branch::Fallback, "a matrix has no rows");
    Ok(())
}

#[test]
fn newton_in_numbers_that_are_not_finite_says_so() -> Result<()> {
    let nan = Tensor::full(f64::NAN, (4, 4), &Device::Cpu)?;
    assert!(newton_rounds(Products::Full, &nan, 0.0, Tensor::eye(4, DType::F64, &Device::Cpu)?, 1)?.is_none());
    Ok(())
}

#[test]
fn a_factor_without_an_inverse_is_said_to_have_none() -> Result<()> {
    let nan = Tensor::full(f64::NAN, (4, 4), &Device::Cpu)?;
    for config in catalog().into_iter().filter(|config| *config != InverterConfig::Identity {}) {
        assert!(invert(config, Curvature::Matrix(&nan), 0.1).is_none(), "{config:?}");
    }
    Ok(())
}

#[test]
fn an_indefinite_factor_is_inverted_by_its_eigenvalues_and_is_counted() -> Result<()> {
    let negative = Tensor::new(&[[1.0, 0.0], [0.0, -0.2]], &Device::Cpu)?;
    for config in [
        InverterConfig::Cholesky {},
        InverterConfig::Newton { steps: 1, exact_until: 0, exact_every: 1, precision: Products::Full },
    ] {
        let Refreshed { inverse, branch } = invert(config, Curvature::Matrix(&negative), 0.1).unwrap();
        assert_eq!(branch, Branch::Fallback, "{config:?}");
        let inverse = inverse.dense()?.to_vec2::<f64>()?;
        assert!((inverse[0][0] - 1.0 / 1.1).abs() < 1e-12 && (inverse[1][1] - 10.0).abs() < 1e-9, "{inverse:?}");
    }
    Ok(())
}
