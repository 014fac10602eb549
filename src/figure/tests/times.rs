//! Whether times can be compared.

use super::{Trial, results};
use crate::figure::guard::disturbed;
use crate::figure::{Table, unequal};
use crate::record::Metric;

#[test]
fn equal_passes_that_differ_by_more_than_a_tenth_are_told_of() {
    // Half of an epoch's time is the forward pass.
    let said = |seconds: [f64; 3]| {
        let trials = [Trial::new("sgd", 1, 0.5, seconds[0]), Trial::new("sgd", 2, 0.5, seconds[1])];
        let trials = trials.into_iter().chain([Trial::new("nkfac", 1, 0.5, seconds[2])]).collect::<Vec<_>>();
        unequal(&results(&trials).1).unwrap()
    };
    assert_eq!(said([4.0, 4.2, 4.3]), [""; 0]);
    assert_eq!(
        said([4.0, 4.2, 6.0]),
        [
            "times of digits, mlp are not on equal terms: the same forward and backward passes took 2.00 to 3.00 s per epoch (1 trial more \
          than 10 % above the fastest; slowest 2 of nkfac)"
        ]
    );
    assert_eq!(said([0.4, 0.4, 0.6]), [""; 0], "too short to tell");
}

#[test]
fn lines_with_trials_whose_times_were_disturbed_are_counted() {
    let beside = &[("machine", 2, 20, 4.0, Metric::Neighbours, 1.0)];
    let trials = [
        Trial::new("sgd", 1, 0.5, 2.0),
        Trial::new("nkfac", 1, 0.5, 2.0).probed(beside),
        Trial::new("nkfac", 2, 0.5, 2.0),
        Trial::new("nkfac", 3, 0.5, 2.0).probed(beside),
    ];
    assert_eq!(disturbed(&results(&trials).1).unwrap(), [("nkfac".to_owned(), 2, 3)]);
    assert_eq!(disturbed(&results(&trials[..1]).1).unwrap(), []);
    let all = Table::new(&results(&trials[1..2]).1).unwrap().markdown();
    assert!(all.contains("times disturbed: every trial;"), "{all}");
    let table = Table::new(&results(&trials).1).unwrap();
    let text = table.markdown();
    let (marked, plain) =
        (text.lines().find(|line| line.contains("nkfac")), text.lines().find(|line| line.contains("| sgd")));
    assert!(marked.unwrap().contains('†') && !plain.unwrap().contains('†'), "{text}");
    assert!(text.ends_with("† times disturbed: nkfac (2 of 3); \\`nkfac-bench status\\` says by what\n"), "{text}");
    assert!(table.terminal(None).ends_with("† times disturbed: nkfac (2 of 3); `nkfac-bench status` says by what\n"));
}
