//! What is put around an optimizer: cautious updates, an average of weights, groups of parameters.

use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use nkfac_bench::clock::Clock;
use nkfac_bench::experiment;
use nkfac_bench::nn::layer::Linear;
use nkfac_bench::nn::{Init, Store};
use nkfac_bench::optim::{Optimizer, Step};
use nkfac_bench::param::{Params, Updates};

use crate::program::run;
use crate::sweep::folder;

/// Two layers, `fc1` of 3×2 and `fc2` of 2×1, all weights and biases at 1.
fn net() -> Params {
    let store = Store::new(1, Init::Torch, DType::F64, &Device::Cpu);
    Linear::new(&store.at("fc1"), 3, 2).unwrap();
    Linear::new(&store.at("fc2"), 2, 1).unwrap();
    let params = store.params();
    params.params.iter().for_each(|param| param.var.set(&param.var.ones_like().unwrap()).unwrap());
    params
}

/// Steps with every gradient a multiple of one that counts up from −2.
fn train(optimizer: &mut Optimizer, params: &Params, scales: &[f64]) {
    let clock = Arc::new(Clock::new(&Device::Cpu));
    for (index, scale) in scales.iter().enumerate() {
        let gradient = |param: &nkfac_bench::param::Param| {
            let count = param.var.elem_count();
            let numbers: Vec<f64> = (0..count).map(|i| scale * (i as f64 - 2.0)).collect();
            Tensor::from_vec(numbers, param.var.shape(), &Device::Cpu).unwrap()
        };
        let gradients = Updates(params.params.iter().map(gradient).collect());
        optimizer.step(gradients, &Step { index, lr: 0.1, samples: 1, params, clock: &clock }).unwrap();
    }
}

fn optimizer(text: &str, params: &Params) -> Optimizer {
    Optimizer::new(&experiment::optimizer(text).unwrap(), params)
}

fn numbers(tensor: &Tensor) -> Vec<f64> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

const PLAIN: &str = "preset = 'sgd'\nupdate.weight_decay = 0\n";

#[test]
fn a_cautious_update_leaves_out_what_goes_with_the_gradient() {
    let moved = |text: &str| {
        let params = net();
        train(&mut optimizer(text, &params), &params, &[1.0, -0.5]);
        numbers(&params.params[0].var)
    };
    // m = 0.9·g − 0.5·g goes with the old gradients, against the new: the second step is none, be it cautious.
    let plain = moved(PLAIN);
    let cautious = moved(&format!("{PLAIN}cautious = true"));
    for i in 0..6 {
        let g = i as f64 - 2.0;
        // In the first step five of six agree, for a gradient of zero has no sign.
        assert!((cautious[i] - (1.0 - 0.1 * g * 6.0 / 5.0)).abs() < 1e-12, "{cautious:?}");
        assert!((plain[i] - (1.0 - 0.1 * g * 1.4)).abs() < 1e-12, "{plain:?}");
    }
}

#[test]
fn the_average_of_weights_is_evaluated_and_the_weights_go_on() {
    let params = net();
    let mut optimizer = optimizer(&format!("{PLAIN}update.momentum = 0\naverage.decay = 0.26"), &params);
    assert!(optimizer.evaluated(&params).unwrap().is_none());
    train(&mut optimizer, &params, &[1.0, 1.0, 1.0]);
    let average = numbers(&optimizer.evaluated(&params).unwrap().unwrap()[0]);
    for (i, average) in average.into_iter().enumerate() {
        let step = 0.1 * (i as f64 - 2.0);
        assert!((numbers(&params.params[0].var)[i] - (1.0 - 3.0 * step)).abs() < 1e-12);
        // d is (1 + 2)/(10 + 2), and then 0.26, for (1 + 3)/(10 + 3) is more.
        let second = 0.25 * (1.0 - step) + 0.75 * (1.0 - 2.0 * step);
        assert!((average - (0.26 * second + 0.74 * (1.0 - 3.0 * step))).abs() < 1e-12);
    }
}

#[test]
fn a_group_has_a_rate_and_a_decay_of_its_own_and_the_first_that_takes_a_parameter_counts() {
    let groups = "groups = [{ of = ['biases'], decay = 0 }, { names = ['fc2.*'], lr = 0.5, decay = 3 }]";
    let params = net();
    train(&mut optimizer(&format!("preset = 'sgd'\nupdate.weight_decay = 0.01\n{groups}"), &params), &params, &[1.0]);
    let expected =
        [("fc1.weight", 1.0, 0.01), ("fc1.bias", 1.0, 0.0), ("fc2.weight", 0.5, 0.03), ("fc2.bias", 1.0, 0.0)];
    for (param, (name, rate, decay)) in params.params.iter().zip(expected) {
        assert_eq!(param.name, name);
        // The first gradient is −2.
        let moved = numbers(&param.var)[0];
        assert!((moved - (1.0 - 0.1 * rate * (-2.0 + decay))).abs() < 1e-12, "{name}: {moved}");
    }
}

#[test]
fn what_cannot_be_put_around_is_refused_in_words() {
    let said = |optimizer: &str| {
        let text = format!(
            "name = 'x'\n[base]\nepochs = 1\nbatch = 32\ndata = {{ kind = 'digits', train_limit = 64 }}\n\
             model = {{ kind = 'mlp', hidden = [4] }}\nschedule = {{ kind = 'constant', lr = 0.1 }}\n\
             optimizer = {{ {optimizer} }}\n"
        );
        let folder = folder(&text);
        let ran = run(folder.path(), &["run", "x.toml", "--threads", "1"]);
        assert_ne!(ran.code, 0, "{}", ran.out);
        ran.out + &ran.err
    };
    for (optimizer, expected) in [
        ("preset = 'schedule-free-adamw', cautious = true", "`optimizer.cautious` is given, but `schedule-free`"),
        ("preset = 'schedule-free-adamw', average = { decay = 0.9 }", "`optimizer.average` is given, but"),
        ("preset = 'sgd', average = { decay = 1 }", "`optimizer.average.decay` must be at least 0 and below 1 (got 1)"),
        (
            "preset = 'sgd', groups = [{ names = ['fc3.*'] }]",
            "group 1 of `optimizer.groups` takes no parameter of `mlp`",
        ),
        ("preset = 'sgd', groups = [{ of = ['bias'] }]", "did you mean `biases`?"),
    ] {
        let said = said(optimizer);
        assert!(said.contains(expected), "{said}");
        assert!(!said.contains("trial failed"), "found only by running: {said}");
    }
}
