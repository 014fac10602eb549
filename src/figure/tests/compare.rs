//! Two lines against each other, and how they are named.

use super::queries::tuned;
use super::{Trial, results};
use crate::figure::{Comparison, Difference};

#[test]
fn arms_are_compared_seed_by_seed() {
    let trials = [
        Trial::new("nkfac", 1, 0.82, 3.0),
        Trial::new("nkfac", 2, 0.92, 3.0),
        Trial::new("nkfac", 3, 0.87, 3.0),
        Trial::new("nkfac", 4, 0.5, 3.0).diverged(),
        Trial::new("sgd", 1, 0.80, 2.0),
        Trial::new("sgd", 2, 0.90, 2.0),
        Trial::new("sgd", 3, 0.84, 2.0),
        Trial::new("sgd", 4, 0.84, 2.0),
        Trial::new("once", 1, 0.84, 2.0),
        Trial::new("never", 9, 0.84, 2.0),
    ];
    let (_folder, found) = results(&trials);
    let compare = |a, b| Comparison::new(&found, a, b).unwrap();
    let all = compare("nkfac", "sgd");
    assert_eq!((all.seeds.as_slice(), all.unpaired), (&[1, 2, 3][..], 2));
    let words = |comparison: &Comparison| comparison.differences[0].words();
    // Unpaired, the arms' spread of 5 points would hide the difference.
    assert_eq!(words(&all), "higher by 2.33 points, 95 % interval +0.90 to +3.77 points, 3 seeds");
    assert_eq!(words(&compare("sgd", "nkfac")), "lower by 2.33 points, 95 % interval -3.77 to -0.90 points, 3 seeds");
    assert_eq!(words(&compare("once", "sgd")), "higher by 4.00 points; 1 seed is too few to tell");
    assert_eq!(words(&compare("never", "sgd")), "no seed finished in both, so nothing can be said");
    let unknown = Comparison::new(&found, "nkfca", "sgd").unwrap_err().to_string();
    assert_eq!(unknown, "no arm is called `nkfca` here\nhint: did you mean `nkfac`?");
    let epoch = all.differences.iter().find(|of| of.measure.name == "epoch_seconds").unwrap();
    assert_eq!(epoch.means(), "3.00 and 2.00 s");
    assert!(all.differences.iter().all(|of| of.resampled().is_none()), "of three pairs a bootstrap is the range");
    assert!(!all.differences.iter().any(Difference::is_idle));
}

#[test]
fn a_swept_arm_is_compared_by_its_name_at_its_best_point() {
    let compare = |trials: &[Trial], a: &str, b: &str| Comparison::new(&results(trials).1, a, b);
    let best = compare(&tuned(true), "nkfac", "sgd").unwrap();
    assert_eq!([best.a, best.b], ["nkfac, schedule.lr = 0.1", "sgd, schedule.lr = 0.1"]);
    assert_eq!(best.chosen.unwrap(), "each arm at its best point by validation accuracy, 2 of 4 lines");
    let named = compare(&tuned(true), "nkfac, schedule.lr = 0.5", "sgd, schedule.lr = 0.5").unwrap();
    assert_eq!((named.b.as_str(), named.chosen), ("sgd, schedule.lr = 0.5", None));
    let one_arm = compare(&tuned(true)[..2], "sgd, schedule.lr = 0.1", "sgd").unwrap_err().to_string();
    assert_eq!(
        one_arm,
        "the arm `sgd` has several lines here\nhint: name one: `sgd, schedule.lr = 0.1`, `sgd, schedule.lr = 0.5`"
    );
    let misspelt = compare(&tuned(true), "nkfca", "sgd").unwrap_err().to_string();
    assert!(misspelt.ends_with("did you mean `nkfac`?"), "{misspelt}");
}
