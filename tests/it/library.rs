//! The library in the hands of others.

use nkfac_bench::experiment;
use nkfac_bench::optim::{Precondition, Update};

#[expect(dead_code, reason = "its `main` is not called")]
#[path = "../../examples/own_loop.rs"]
mod own_loop;

#[test]
fn the_example_learns() {
    let outcome = own_loop::train(300).unwrap();
    assert!(outcome.before.1 < 0.7, "a start that knows the answer shows nothing: {}", outcome.before.1);
    assert!(outcome.after.1 > 0.95 && outcome.after.0 < 0.2, "{:?}", outcome.after);
    // The control: without steps nothing is learnt.
    let control = own_loop::train(0).unwrap();
    assert_eq!(control.before, control.after);
}

#[test]
fn an_optimizer_is_read_as_in_an_experiment_file() {
    let config = experiment::optimizer("preset = 'nkfac'\nprecondition.inverse_every = 7").unwrap();
    let Some(Precondition::Kfac(kfac)) = config.precondition else { panic!("no kfac in {config:?}") };
    assert_eq!((kfac.factor_every, kfac.inverse_every), (20, 7));
    let config = experiment::optimizer("update = { kind = 'sgd', momentum = 0.5 }").unwrap();
    assert!(config.precondition.is_none() && matches!(config.update, Update::Sgd { momentum: 0.5, .. }));
    let error = experiment::optimizer("preset = 'nkfak'").unwrap_err().to_string();
    assert!(error.contains("did you mean `nkfac`?"), "{error}");
    let error = experiment::optimizer("preset = 'nkfac'\nprecondition.factor_every = 0").unwrap_err().to_string();
    assert!(error.contains("precondition.factor_every` must be at least 1 (got 0)"), "{error}");
}
