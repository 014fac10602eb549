//! What the tests of operations share: random tensors and finite differences.

use candle_core::{Device, Result, Tensor, Var};

use crate::random::Random;

/// Normal numbers in float64, the same for the same seed.
pub fn random(dims: &[usize], seed: u64) -> Tensor {
    let mut random = Random::new(seed, "operation");
    let values: Vec<f64> = (0..dims.iter().product()).map(|_| random.normal()).collect();
    Tensor::from_vec(values, dims, &Device::Cpu).unwrap()
}

/// Numbers at least 0.01 apart and 0.005 from zero in some order: no step of [`gradients`] changes which is the largest, or a sign.
pub fn distinct(dims: &[usize], seed: u64) -> Tensor {
    let drawn = values(&random(dims, seed));
    let rank = |value: f64| drawn.iter().filter(|&&other| other < value).count() as f64;
    let middle = (drawn.len() / 2) as f64;
    let ranks: Vec<f64> = drawn.iter().map(|&value| 0.01 * (rank(value) - middle) + 0.005).collect();
    Tensor::from_vec(ranks, dims, &Device::Cpu).unwrap()
}

/// All numbers of a tensor.
pub fn values(tensor: &Tensor) -> Vec<f64> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// Whether two lists are equal up to `tolerance`.
pub fn close(ours: &[f64], theirs: &[f64], tolerance: f64) -> bool {
    ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(a, b)| (a - b).abs() < tolerance)
}

/// Panics unless the gradient of `⟨f(args), fixed numbers⟩` by each argument is that of central differences in a fixed direction.
pub fn gradients(args: &[Tensor], f: impl Fn(&[Tensor]) -> Result<Tensor>) {
    let vars: Vec<Var> = args.iter().map(|arg| Var::from_tensor(arg).unwrap()).collect();
    let loss = |args: &[Tensor]| {
        let y = f(args).unwrap();
        let weights = random(y.dims(), 11);
        (y * weights).unwrap().sum_all().unwrap()
    };
    let tracked: Vec<Tensor> = vars.iter().map(|var| var.as_tensor().clone()).collect();
    let grads = loss(&tracked).backward().unwrap();
    for (i, arg) in args.iter().enumerate() {
        let direction = random(arg.dims(), 12 + i as u64);
        let analytic = match grads.get(&vars[i]) {
            Some(grad) => values(&(grad * &direction).unwrap()).iter().sum::<f64>(),
            None => panic!("no gradient by argument {i}"),
        };
        let at = |step: f64| {
            let mut args = args.to_vec();
            args[i] = (arg + (&direction * step).unwrap()).unwrap();
            loss(&args).to_scalar::<f64>().unwrap()
        };
        let step = 1e-5;
        let numeric = (at(step) - at(-step)) / (2.0 * step);
        assert!((numeric - analytic).abs() < 1e-6 * (1.0 + analytic.abs()), "argument {i}: {numeric}, {analytic}");
    }
}
