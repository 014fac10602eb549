//! KFAC's blocks against curvature matrices computed in full, through the program's own capture.
//!
//! T1, T2, T9 and T10 are those of "KFAC from scratch" (arXiv 2507.05127), in float64. Blocks are by vec of `d_in × d_out` weights, row after
//! row: `A ⊗ G`.

use std::sync::Arc;

use candle_core::{DType, Device, Result, Tensor, Var};
use nkfac_bench::clock::Clock;
use nkfac_bench::kernel::Engine;
use nkfac_bench::nn::op::conv::{Recorder, linear};
use nkfac_bench::nn::softmax;
use nkfac_bench::optim::{Kfac, KfacConfig, Side, Step, Transform};
use nkfac_bench::param::{Block, Demand, Layout, Param, Params, Tap, Updates};
use nkfac_bench::random::Random;

fn normal(dims: &[usize], seed: u64) -> Tensor {
    let mut random = Random::new(seed, "exactness");
    let values: Vec<f64> = (0..dims.iter().product()).map(|_| random.normal()).collect();
    Tensor::from_vec(values, dims, &Device::Cpu).unwrap()
}

/// ‖a − b‖ ≤ 1e-5‖b‖ + 1e-8, entry by entry.
fn equal(a: &Tensor, b: &Tensor) -> bool {
    let values = |tensor: &Tensor| tensor.flatten_all().unwrap().to_vec1::<f64>().unwrap();
    values(a).iter().zip(values(b)).all(|(a, b)| (a - b).abs() <= 1e-8 + 1e-5 * b.abs())
}

#[derive(Clone, Copy)]
enum Activation {
    None,
    Tanh,
}

#[derive(Clone, Copy)]
enum Loss {
    /// `½‖f − y‖²`, the mean over the batch.
    Squares,
    CrossEntropy,
}

/// A net of linear layers without biases, an activation behind each.
struct Net {
    params: Params,
    activation: Activation,
}

impl Net {
    fn new(sizes: &[usize], activation: Activation) -> Self {
        let mut params = Params::default();
        for (i, pair) in sizes.windows(2).enumerate() {
            let name = format!("fc{i}");
            let var = Var::from_tensor(&normal(&[pair[0], pair[1]], i as u64)).unwrap();
            params.params.push(Param { name: format!("{name}.weight"), var, layout: Layout::Linear });
            params.blocks.push(Block { name, weight: i, bias: None, channels: pair[0], taps: 1, outputs: pair[1] });
        }
        Self { params, activation }
    }

    fn forward(&self, x: &Tensor, tap: Option<&Arc<Tap>>) -> Result<Tensor> {
        let mut h = x.clone();
        for (block, param) in self.params.params.iter().enumerate() {
            let recorder = tap.map(|tap| Recorder { block, tap: tap.clone(), clock: clock() });
            h = linear(&h, param.var.as_tensor(), None, recorder, Engine::AUTO)?;
            if let Activation::Tanh = self.activation {
                h = h.tanh()?;
            }
        }
        Ok(h)
    }

    /// The derivative of a sum of outputs, each times its entry of `weights`, by the weight of a layer, as one column.
    fn derivative(&self, layer: usize, x: &Tensor, weights: &Tensor) -> Result<Tensor> {
        let grads = (self.forward(x, None)? * weights)?.sum_all()?.backward()?;
        grads.get(self.params.params[layer].var.as_tensor()).unwrap().flatten_all()?.unsqueeze(1)
    }
}

fn clock() -> Arc<Clock> {
    Arc::new(Clock::new(&Device::Cpu))
}

/// Columns of S, a row a sample, with `SSᵀ` the Hessian of the loss of one sample by its outputs.
fn output_roots(loss: Loss, outputs: &Tensor) -> Result<Vec<Tensor>> {
    let (batch, width) = outputs.dims2()?;
    let unit = |c: usize| -> Result<Tensor> {
        let row: Vec<f64> = (0..width).map(|j| f64::from(u8::from(j == c))).collect();
        Tensor::from_vec(row, (1, width), &Device::Cpu)?.broadcast_as((batch, width))?.contiguous()
    };
    let root = |c: usize| match loss {
        Loss::Squares => unit(c),
        Loss::CrossEntropy => {
            let p = softmax(&outputs.detach())?;
            (unit(c)? - &p)?.broadcast_mul(&p.narrow(1, c, 1)?.sqrt()?)
        }
    };
    (0..width).map(root).collect()
}

/// The gradient of each sample's own loss by its outputs, a row a sample, as one column more of its kind.
fn output_grads(loss: Loss, outputs: &Tensor) -> Result<Vec<Tensor>> {
    let (batch, width) = outputs.dims2()?;
    Ok(vec![match loss {
        Loss::Squares => (outputs - normal(&[batch, width], 77))?,
        Loss::CrossEntropy => {
            let labels: Vec<f64> =
                (0..batch * width).map(|i| f64::from(u8::from(i % width == i / width % 2))).collect();
            (softmax(outputs)? - Tensor::from_vec(labels, (batch, width), &Device::Cpu)?)?
        }
    }])
}

/// `1/N Σ_n Σ_c (Jₙᵀsₙ)(Jₙᵀsₙ)ᵀ` of one layer, sample by sample.
fn full(net: &Net, layer: usize, x: &Tensor, columns: &[Tensor]) -> Result<Tensor> {
    let batch = x.dim(0)?;
    let order = net.params.params[layer].var.elem_count();
    let mut sum = Tensor::zeros((order, order), DType::F64, &Device::Cpu)?;
    for column in columns {
        for n in 0..batch {
            let gradient = net.derivative(layer, &x.narrow(0, n, 1)?, &column.narrow(0, n, 1)?)?;
            sum = (sum + (gradient.matmul(&gradient.t()?)? / batch as f64)?)?;
        }
    }
    Ok(sum)
}

fn kfac_config() -> KfacConfig {
    serde_json::from_value(serde_json::json!({
        "factor_every": 1,
        "inverse_every": 1,
        "moments": { "scale": "spatial-mean", "decay": 0.0, "start": "zero" },
        "damping": { "absolute": { "value": 0.1 } },
        "inverter": { "identity": {} },
        "rescale": "none",
    }))
    .unwrap()
}

/// `A ⊗ G` of every layer, as the KFAC stage keeps them, from one backward pass a column.
fn kronecker(net: &Net, x: &Tensor, columns: &[Tensor]) -> Result<Vec<Tensor>> {
    let mut kfac = Kfac::new(&kfac_config(), &net.params.blocks);
    let (tap, _) = kfac.listens(0).unwrap();
    let outputs = net.forward(x, Some(&tap))?;
    for column in columns {
        (&outputs * (column / x.dim(0)? as f64)?)?.sum_all()?.backward()?;
        tap.set(Demand::OutputGrads);
    }
    let mut zeros =
        Updates(net.params.params.iter().map(|param| param.var.zeros_like()).collect::<Result<Vec<Tensor>>>()?);
    let step = Step { index: 0, lr: 0.1, samples: x.dim(0)?, params: &net.params, clock: &clock() };
    kfac.apply(&mut zeros, &step).unwrap();
    let product = |block: &Block| {
        let [a, g] = [Side::Inputs, Side::OutputGrads]
            .map(|side| kfac.factor(&block.name, side).unwrap().1.average.clone().unwrap());
        let (inputs, outputs) = (block.channels, block.outputs);
        let product = a.reshape((inputs, 1, inputs, 1))?.broadcast_mul(&g.reshape((1, outputs, 1, outputs))?)?;
        product.reshape((inputs * outputs, inputs * outputs))
    };
    net.params.blocks.iter().map(product).collect()
}

/// Whether KFAC's block of every layer is the full one; columns from [`output_roots`] or [`output_grads`].
fn is_exact(net: &Net, batch: usize, loss: Loss, columns: fn(Loss, &Tensor) -> Result<Vec<Tensor>>) -> Result<bool> {
    let x = normal(&[batch, net.params.blocks[0].channels], 99);
    let columns = columns(loss, &net.forward(&x, None)?.detach())?;
    let blocks = kronecker(net, &x, &columns)?;
    let mut exact = true;
    for (layer, block) in blocks.iter().enumerate() {
        exact &= equal(block, &full(net, layer, &x, &columns)?);
    }
    Ok(exact)
}

#[test]
fn t1_of_a_batch_of_one_kfac_is_exact_and_of_two_it_is_not() -> Result<()> {
    let net = Net::new(&[5, 4, 4, 2], Activation::Tanh);
    for loss in [Loss::Squares, Loss::CrossEntropy] {
        assert!(is_exact(&net, 1, loss, output_roots)?, "the Gauss–Newton block");
        assert!(is_exact(&net, 1, loss, output_grads)?, "the empirical Fisher block");
        assert!(!is_exact(&net, 2, loss, output_roots)? && !is_exact(&net, 2, loss, output_grads)?);
    }
    Ok(())
}

#[test]
fn t2_of_a_deep_linear_net_under_squared_error_kfac_is_exact_and_the_empirical_one_is_not() -> Result<()> {
    let net = Net::new(&[4, 3, 3, 2], Activation::None);
    assert!(is_exact(&net, 6, Loss::Squares, output_roots)?);
    assert!(!is_exact(&net, 6, Loss::Squares, output_grads)?);
    Ok(())
}

#[test]
fn t9_and_t10_with_cross_entropy_or_an_activation_kfac_is_not_exact() -> Result<()> {
    assert!(!is_exact(&Net::new(&[4, 3, 3, 2], Activation::None), 6, Loss::CrossEntropy, output_roots)?);
    assert!(!is_exact(&Net::new(&[4, 3, 3, 2], Activation::Tanh), 6, Loss::Squares, output_roots)?);
    Ok(())
}

#[test]
fn a_weight_that_is_used_twice_sums_its_statistics() -> Result<()> {
    let net = Net::new(&[3, 2], Activation::None);
    let (x, other) = (normal(&[4, 3], 1), normal(&[4, 3], 2));
    let both = Tensor::cat(&[&x, &other], 0)?;
    let of = |inputs: &[&Tensor]| -> Result<Tensor> {
        let mut kfac = Kfac::new(&kfac_config(), &net.params.blocks);
        let (tap, _) = kfac.listens(0).unwrap();
        let outputs: Vec<Tensor> = inputs.iter().map(|x| net.forward(x, Some(&tap))).collect::<Result<_>>()?;
        Tensor::cat(&outputs, 0)?.sqr()?.sum_all()?.backward()?;
        let mut zeros = Updates(vec![net.params.params[0].var.zeros_like()?]);
        let step = Step { index: 0, lr: 0.1, samples: 8, params: &net.params, clock: &clock() };
        kfac.apply(&mut zeros, &step).unwrap();
        Ok(kfac.factor("fc0", Side::Inputs).unwrap().1.average.clone().unwrap())
    };
    assert!(equal(&of(&[&x, &other])?, &of(&[&both])?));
    // Control: half of the statistics are others.
    assert!(!equal(&of(&[&x, &other])?, &of(&[&x])?));
    Ok(())
}
