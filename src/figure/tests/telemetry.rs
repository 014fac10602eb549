//! The numbers of figures about what a probe measured, and about inverters alone.

use super::{Measured, Trial, numbers};
use crate::record::Metric::{Drift, Loss, Residual};

/// Two refreshes of two factors.
pub const FIRST: [Measured; 8] = [
    ("fc1/a", 1, 4, 0.1, Drift, 0.5),
    ("fc1/g", 1, 4, 0.1, Drift, 0.125),
    ("fc1/a", 1, 8, 0.2, Drift, 0.25),
    ("fc1/g", 1, 8, 0.2, Drift, 0.0625),
    ("fc1/a", 1, 4, 0.1, Residual, 1e-3),
    ("fc1/g", 1, 4, 0.1, Residual, 2e-3),
    ("fc1/a", 1, 8, 0.2, Residual, 3e-3),
    ("fc1/g", 1, 8, 0.2, Residual, 4e-3),
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
    line,label,step,median,least,largest
    0,nkfac,4,0.5,0.125,1
    0,nkfac,8,0.1563,0.0625,0.25
    ");
}

#[test]
fn residuals_are_medians_over_factors_and_seeds_with_their_range() {
    insta::assert_snapshot!(numbers("residuals", &probed()), @r"
    line,label,step,median,least,largest
    0,nkfac,4,0.002,0.001,0.004
    0,nkfac,8,0.0035,0.003,0.004
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
fn residuals_of_inverters_are_medians_and_their_times_means_over_seeds() {
    for figure in ["newton-convergence", "inverters"] {
        insta::allow_duplicates! {
            insta::assert_snapshot!(numbers(figure, &inverters()), @r"
            at,line,label,epoch,milliseconds,residual
            0.01,0,newton,0,0,0.1
            0.01,0,newton,1,2,0.01
            0.01,0,newton,2,4,0.0001
            0.1,0,newton,0,0,0.2
            0.1,0,newton,1,1.5,0.03
            0.1,0,newton,2,4,0.0001
            0.1,1,exact,0,0,0.1
            0.1,1,exact,1,8,0
            ");
        }
    }
}

#[test]
fn a_trial_that_was_not_probed_has_no_row() {
    let plain = [Trial::new("nkfac", 1, 0.5, 2.0)];
    for figure in ["drift", "residuals", "newton-convergence", "inverters"] {
        assert_eq!(numbers(figure, &plain).lines().count(), 1, "{figure}");
    }
    // An iteration is no factor's: its residuals are not training's.
    assert_eq!(numbers("residuals", &inverters()).lines().count(), 1);
}
