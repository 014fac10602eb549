//! NKFAC in a training loop of your own: `cargo run --release --example own_loop`.
//!
//! The linear and convolution layers must be this library's, because they capture second moments inside their backward pass;
//! activations, loss, data and the loop are yours, in plain candle.

use std::f32::consts::PI;
use std::sync::Arc;

use candle_core::{D, DType, Device, Tensor};
use nkfac_bench::clock::Clock;
use nkfac_bench::experiment;
use nkfac_bench::nn::layer::Linear;
use nkfac_bench::nn::{Init, Layer, Pass, Store};
use nkfac_bench::optim::{Optimizer, Step};

/// What an experiment file would say under `optimizer`.
const OPTIMIZER: &str = r#"
preset = "nkfac"
precondition.factor_every = 1
precondition.inverse_every = 5
update.weight_decay = 0.0
"#;

/// Loss and accuracy before and after training.
pub struct Outcome {
    pub before: (f32, f32),
    pub after: (f32, f32),
}

fn main() -> anyhow::Result<()> {
    let Outcome { before, after } = train(300)?;
    println!("loss {:.3} → {:.3}, accuracy {:.3} → {:.3}", before.0, after.0, before.1, after.1);
    Ok(())
}

/// Learns to tell two spirals apart.
pub fn train(steps: usize) -> anyhow::Result<Outcome> {
    let device = Device::Cpu;
    let (x, y) = spirals(&device)?;

    let store = Store::new(1, Init::Torch, DType::F32, &device);
    let net = Net {
        first: Linear::new(&store.at("first"), 2, 32)?,
        second: Linear::new(&store.at("second"), 32, 32)?,
        last: Linear::new(&store.at("last"), 32, 2)?,
    };
    // All parameters and curvature blocks that the layers asked the store for.
    let params = store.params();
    let mut optimizer = Optimizer::new(&experiment::optimizer(OPTIMIZER)?, &params);
    let clock = Arc::new(Clock::new(&device));

    let before = score(&net, &x, &y)?;
    for index in 0..steps {
        // On statistics steps the optimizer listens, and the backward pass below feeds it.
        let tap = optimizer.listens(index).map(|(tap, _)| tap);
        let pass = Pass::Training { tap, clock: clock.clone() };
        let loss = candle_nn::loss::cross_entropy(&net.forward(&x, &pass)?, &y)?;
        let gradients = params.gradients(&loss.backward()?)?;
        let lr = 0.3 * (1.0 - index as f64 / steps as f64);
        optimizer.step(gradients, &Step { index, lr, samples: x.dim(0)?, params: &params, clock: &clock })?;
    }
    Ok(Outcome { before, after: score(&net, &x, &y)? })
}

struct Net {
    first: Linear,
    second: Linear,
    last: Linear,
}

impl Net {
    fn forward(&self, x: &Tensor, pass: &Pass) -> candle_core::Result<Tensor> {
        let x = self.first.forward(x, pass)?.tanh()?;
        let x = self.second.forward(&x, pass)?.tanh()?;
        self.last.forward(&x, pass)
    }
}

fn score(net: &Net, x: &Tensor, y: &Tensor) -> candle_core::Result<(f32, f32)> {
    let logits = net.forward(x, &Pass::Evaluation)?;
    let hits = logits.argmax(D::Minus1)?.eq(y)?.to_dtype(DType::F32)?;
    Ok((candle_nn::loss::cross_entropy(&logits, y)?.to_scalar()?, hits.mean_all()?.to_scalar()?))
}

/// 200 points of two spirals, `N×2`, and which one each is on.
fn spirals(device: &Device) -> candle_core::Result<(Tensor, Tensor)> {
    let point = |i: usize| {
        let radius = 0.2 + (i / 2) as f32 / 100.0;
        let angle = 1.5 * PI * radius + PI * (i % 2) as f32;
        [radius * angle.cos(), radius * angle.sin()]
    };
    let points: Vec<f32> = (0..200).flat_map(point).collect();
    let labels: Vec<u32> = (0..200).map(|i| i % 2).collect();
    Ok((Tensor::from_vec(points, (200, 2), device)?, Tensor::new(labels, device)?))
}
