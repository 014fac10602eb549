//! The numbers of figures about what a probe measured, and about inverters alone.

use super::{Measured, Trial, numbers};
use crate::record::Metric::{Drift, Loss, Residual, StaleResidual};

/// Two refreshes of two factors.
pub const FIRST: [Measured; 9] = [
    ("fc1/a", 1, 4, 0.1, Drift, 0.5),
    ("fc1/g", 1, 4, 0.1, Drift, 0.125),
    ("fc1/a", 1, 8, 0.2, Drift, 0.25),
    ("fc1/g", 1, 8, 0.2, Drift, 0.0625),
    ("fc1/a", 1, 4, 0.1, Residual, 1e-3),
    ("fc1/g", 1, 4, 0.1, Residual, 2e-3),
    ("fc1/a", 1, 8, 0.2, Residual, 3e-3),
    ("fc1/g", 1, 8, 0.2, Residual, 4e-3),
    ("fc1/a", 1, 8, 0.2, StaleResidual, 5e-3),
];

/// Another seed, which refreshed once.
const SECOND: [Measured; 3] =
    [("fc1/a", 1, 4, 0.1, Drift, 1.0), ("fc1/a", 1, 4, 0.1, Residual, 4e-3), ("fc1/a", 1, 4, 0.1, Loss, 9.0)];

/// Numbers that are none.
pub const GONE: [Measured; 2] = [("fc1/a", 1, 4, 0.1, Drift, f64::NAN), ("fc1/a", 1, 4, 0.1, Residual, f64::INFINITY)];

/// An iteration from its start, and one that takes no rounds.
pub const NEWTON: [Measured; 3] = [
    ("probe", 0, 0, 0.0, Residual, 0.1),
    ("probe", 1, 1, 0.002, Residual, 0.01),
    ("probe", 2, 2, 0.004, Residual, 0.0001),
];
/// An iteration that goes astray.
pub const ASTRAY: [Measured; 3] = [
    ("probe", 0, 0, 0.0, Residual, 0.1),
    ("probe", 1, 1, 0.002, Residual, f64::INFINITY),
    ("probe", 2, 2, 0.004, Residual, f64::NAN),
];
const FASTER: [Measured; 2] = [("probe", 0, 0, 0.0, Residual, 0.3), ("probe", 1, 1, 0.001, Residual, 0.05)];
const EXACT: [Measured; 2] = [("probe", 0, 0, 0.0, Residual, 0.1), ("probe", 1, 1, 0.008, Residual, 0.0)];

fn probed() -> [Trial; 3] {
    [
        Trial::new("nkfac", 1, 0.5, 2.0).probed(&FIRST),
        Trial::new("nkfac", 2, 0.5, 2.0).probed(&SECOND),
        Trial::new("sgd", 1, 0.5, 2.0),
    ]
}

#[test]
fn drift_is_a_median_over_factors_and_seeds_with_its_range() {
    insta::assert_snapshot!(numbers("drift", &probed()), @r"
    line,label,arm,point,step,low,median,high,left_out
    0,nkfac,0,0,4,0.3125,0.5,0.75,
    0,nkfac,0,0,8,0.1094,0.1563,0.2031,
    ");
}

#[test]
fn residuals_are_medians_over_factors_and_seeds_with_their_range() {
    insta::assert_snapshot!(numbers("residuals", &probed()), @r"
    line,label,arm,point,step,low,median,high,left_out
    0,nkfac,0,0,4,0.0015,0.002,0.003,
    0,nkfac,0,0,8,0.0033,0.0035,0.0038,
    ");
}

#[test]
fn the_quality_of_inverses_is_of_new_ones_and_of_those_that_they_replace() {
    let trials = [
        Trial::new("nkfac", 1, 0.5, 2.0).probed(&FIRST),
        Trial::new("nkfac", 2, 0.5, 2.0)
            .probed(&[("fc1/g", 1, 8, 0.2, StaleResidual, 7e-3), ("fc1/a", 1, 8, 0.2, Loss, 9.0)]),
        Trial::new("kfac", 1, 0.5, 2.0).probed(&GONE),
        Trial::new("sgd", 1, 0.5, 2.0),
    ];
    insta::assert_snapshot!(numbers("inverse-quality", &trials), @r"
    line,label,arm,point,seeds,diverged,goal,final,low,high,residual,left_out
    0,nkfac,0,0,2,0,accuracy,0.5,0.5,0.5,0.0043,
    ");
}

/// Two inverters at one perturbation, and one of them at another.
fn inverters() -> [Trial; 4] {
    let trial = |arm, seed, swept, measured| Trial::of_an_inverter(arm, seed, measured).swept(swept);
    [
        trial("newton", 1, r#"{"perturbation":0.1}"#, &NEWTON),
        trial("newton", 2, r#"{"perturbation":0.1}"#, &FASTER),
        trial("newton", 1, r#"{"perturbation":0.01}"#, &NEWTON),
        trial("exact", 1, r#"{"perturbation":0.1}"#, &EXACT),
    ]
}

#[test]
fn residuals_of_inverters_are_medians_and_their_times_the_least_over_seeds() {
    for figure in ["newton-convergence", "inverters"] {
        insta::allow_duplicates! {
            insta::assert_snapshot!(numbers(figure, &inverters()), @r"
            at,line,label,arm,point,epoch,milliseconds,residual
            0.01,0,newton,0,0,0,0,0.1
            0.01,0,newton,0,0,1,2,0.01
            0.01,0,newton,0,0,2,4,0.0001
            0.1,0,newton,0,0,0,0,0.2
            0.1,0,newton,0,0,1,1,0.03
            0.1,0,newton,0,0,2,4,0.0001
            0.1,1,exact,1,0,0,0,0.1
            0.1,1,exact,1,0,1,8,0
            ");
        }
    }
}

#[test]
fn a_trial_that_was_not_probed_has_no_row() {
    let plain = [Trial::new("nkfac", 1, 0.5, 2.0)];
    for figure in ["drift", "residuals", "inverse-quality", "newton-convergence", "inverters"] {
        assert_eq!(numbers(figure, &plain).lines().count(), 1, "{figure}");
    }
    // An iteration is no factor's: its residuals are not training's.
    assert_eq!(numbers("residuals", &inverters()).lines().count(), 1);
}
