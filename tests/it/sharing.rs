//! KFAC's blocks against curvature matrices computed in full where an example uses a weight several times: at its tokens, or at the
//! positions of a convolution (Eschenhagen et al. 2023, arXiv 2311.00636).
//!
//! Of a deep linear net, `expand` is exact where the loss has a term a position, `reduce` where positions are averaged before the loss, and
//! neither in the other's setting. Blocks are by vec of `(d_in + 1) × d_out`, weight over bias: `A ⊗ G`. Float64, squared error.

use std::sync::Arc;

use candle_core::{D, DType, Device, Result, Tensor, Var};
use nkfac_bench::clock::Clock;
use nkfac_bench::kernel::Engine;
use nkfac_bench::nn::op::conv::{Recorder, conv2d, linear};
use nkfac_bench::nn::op::window::Window;
use nkfac_bench::optim::{Kfac, KfacConfig, Side, Step, Transform};
use nkfac_bench::param::{Block, Demand, Layout, Param, Params, Tap, Updates};
use nkfac_bench::random::Random;

/// Examples, and the edge of an image, whose pixels are as many positions as a text has tokens.
const EXAMPLES: usize = 4;
const EDGE: usize = 3;
const POSITIONS: usize = EDGE * EDGE;

/// Where positions meet.
#[derive(Clone, Copy, PartialEq)]
enum Setting {
    /// Nowhere: a loss each.
    Expand,
    /// In the mean of the outputs, before the loss.
    Reduce,
}

fn normal(dims: &[usize], seed: u64) -> Tensor {
    let mut random = Random::new(seed, "sharing");
    let values: Vec<f64> = (0..dims.iter().product()).map(|_| random.normal()).collect();
    Tensor::from_vec(values, dims, &Device::Cpu).unwrap()
}

/// A net of linear layers with biases, applied to every token; or of convolutions, whose kernels have these edges.
struct Net {
    params: Params,
    kernels: Option<[usize; 3]>,
}

impl Net {
    fn new(kernels: Option<[usize; 3]>) -> Self {
        let mut params = Params::default();
        for (i, pair) in [3, 4, 3, 2].windows(2).enumerate() {
            let (kernel, layout) = kernels.map_or((1, Layout::Linear), |kernels| (kernels[i], Layout::Conv));
            let dims = if kernels.is_some() { vec![kernel, kernel, pair[0], pair[1]] } else { pair.to_vec() };
            let name = format!("fc{i}");
            for (part, layout, dims) in [("weight", layout, dims), ("bias", Layout::Vector, vec![pair[1]])] {
                let var = Var::from_tensor(&normal(&dims, params.params.len() as u64)).unwrap();
                params.params.push(Param { name: format!("{name}.{part}"), var, layout });
            }
            let (channels, taps, outputs) = (pair[0], kernel * kernel, pair[1]);
            params.blocks.push(Block { name, weight: 2 * i, bias: Some(2 * i + 1), channels, taps, outputs });
        }
        Self { params, kernels }
    }

    fn inputs(&self) -> Tensor {
        match self.kernels {
            None => normal(&[EXAMPLES, POSITIONS, 3], 99),
            Some(_) => normal(&[EXAMPLES, EDGE, EDGE, 3], 99),
        }
    }

    /// `N×M×K`, M losses an example.
    fn forward(&self, x: &Tensor, setting: Setting, tap: Option<&Arc<Tap>>) -> Result<Tensor> {
        let mut h = x.clone();
        for (block, pair) in self.params.params.chunks(2).enumerate() {
            let recorder = tap.map(|tap| Recorder { block, tap: tap.clone(), clock: clock() });
            let (weight, bias) = (pair[0].var.as_tensor(), Some(pair[1].var.as_tensor()));
            h = match self.kernels {
                None => linear(&h, weight, bias, recorder, Engine::AUTO)?,
                Some(kernels) => {
                    let window = Window { kernel: kernels[block], stride: 1, padding: kernels[block] / 2 };
                    conv2d(&h, weight, bias, window, recorder, Engine::AUTO)?
                }
            };
        }
        let outputs = h.flatten(1, h.rank() - 2)?;
        if setting == Setting::Reduce { outputs.mean_keepdim(1) } else { Ok(outputs) }
    }

    /// What the sum over losses and examples is multiplied by. Tokens are averaged, as `gpt` is trained; of positions in an image KFC, whose
    /// scaling convolutions have, takes the sum.
    fn share(&self, setting: Setting) -> f64 {
        let terms = if setting == Setting::Expand && self.kernels.is_none() { POSITIONS } else { 1 };
        1.0 / (EXAMPLES * terms) as f64
    }
}

fn clock() -> Arc<Clock> {
    Arc::new(Clock::new(&Device::Cpu))
}

/// The Gauss–Newton block of every layer: a derivative of every output of every example, one after the other.
fn full(net: &Net, setting: Setting) -> Result<Vec<Tensor>> {
    let outputs = net.forward(&net.inputs(), setting, None)?.flatten_all()?;
    let mut blocks: Vec<Option<Tensor>> = vec![None; net.params.blocks.len()];
    for i in 0..outputs.elem_count() {
        let grads = outputs.get(i)?.backward()?;
        for (sum, pair) in blocks.iter_mut().zip(net.params.params.chunks(2)) {
            let parts = pair.iter().map(|param| grads.get(param.var.as_tensor()).unwrap().flatten_all());
            let derivative = Tensor::cat(&parts.collect::<Result<Vec<_>>>()?, 0)?.unsqueeze(1)?;
            let product = (derivative.matmul(&derivative.t()?)? * net.share(setting))?;
            *sum = Some(match sum.take() {
                Some(sum) => (sum + product)?,
                None => product,
            });
        }
    }
    Ok(blocks.into_iter().flatten().collect())
}

fn config(sharing: &str) -> KfacConfig {
    serde_json::from_value(serde_json::json!({
        "factor_every": 1,
        "inverse_every": 1,
        "moments": { "scale": "spatial-mean", "sharing": sharing, "decay": 0.0, "start": "zero" },
        "damping": { "absolute": { "value": 0.1 } },
        "inverter": { "identity": {} },
        "rescale": "none",
    }))
    .unwrap()
}

/// `A ⊗ G` of every layer, as the KFAC stage keeps them: a backward pass a position and output, as for the exact Fisher in training.
fn kronecker(net: &Net, sharing: &str, setting: Setting) -> Result<Vec<Tensor>> {
    let mut kfac = Kfac::new(&config(sharing), &net.params.blocks);
    let (tap, _) = kfac.listens(0).unwrap();
    let outputs = net.forward(&net.inputs(), setting, Some(&tap))?;
    let (_, terms, width) = outputs.dims3()?;
    tap.set_terms(terms);
    for (term, output) in (0..terms).flat_map(|term| (0..width).map(move |output| (term, output))) {
        (outputs.narrow(1, term, 1)?.narrow(2, output, 1)? * net.share(setting))?.sum_all()?.backward()?;
        tap.set(Demand::OutputGrads);
    }
    let zeros = net.params.params.iter().map(|param| param.var.zeros_like()).collect::<Result<Vec<Tensor>>>()?;
    let step = Step { index: 0, lr: 0.1, samples: EXAMPLES * terms, params: &net.params, clock: &clock() };
    kfac.apply(&mut Updates(zeros), &step).unwrap();
    let product = |block: &Block| {
        let [a, g] = [Side::Inputs, Side::OutputGrads].map(|side| {
            let kept = kfac.factor(&block.name, side).unwrap().1.average.clone().unwrap();
            // Kept as rows.
            if sharing == "reduce" { kept.t().unwrap().matmul(&kept).unwrap() } else { kept }
        });
        let (inputs, outputs) = (block.inputs(), block.outputs);
        let product = a.reshape((inputs, 1, inputs, 1))?.broadcast_mul(&g.reshape((1, outputs, 1, outputs))?)?;
        product.reshape((inputs * outputs, inputs * outputs))
    };
    net.params.blocks.iter().map(product).collect()
}

/// By layer, the largest difference from the full block, as a share of its largest entry.
fn differences(net: &Net, sharing: &str, setting: Setting) -> Result<Vec<f64>> {
    let largest =
        |tensor: Tensor| tensor.abs()?.flatten_all()?.max(D::Minus1)?.to_dtype(DType::F64)?.to_scalar::<f64>();
    let pairs = kronecker(net, sharing, setting)?.into_iter().zip(full(net, setting)?);
    pairs.map(|(ours, full)| Ok(largest((ours - &full)?)? / largest(full)?)).collect()
}

#[test]
fn each_way_to_share_a_weight_is_exact_in_its_own_setting_and_in_no_other() -> Result<()> {
    // Behind a convolution of 3×3 those of 1×1 see one position each, as linear layers do.
    for net in [Net::new(None), Net::new(Some([3, 1, 1]))] {
        for (sharing, setting, other) in
            [("expand", Setting::Expand, Setting::Reduce), ("reduce", Setting::Reduce, Setting::Expand)]
        {
            let own = differences(&net, sharing, setting)?;
            assert!(own.len() == 3 && own.iter().all(|&difference| difference < 1e-12), "{sharing}: {own:?}");
            let others = differences(&net, sharing, other)?;
            assert!(others.iter().all(|&difference| difference > 1e-2), "{sharing}: {others:?}");
        }
    }
    Ok(())
}

#[test]
fn where_positions_mix_behind_a_layer_its_block_is_not_exact() -> Result<()> {
    let net = Net::new(Some([3, 3, 1]));
    for (sharing, setting) in [("expand", Setting::Expand), ("reduce", Setting::Reduce)] {
        let found = differences(&net, sharing, setting)?;
        assert!(found[0] > 1e-2, "{sharing}: {found:?}");
        // Behind the second convolution nothing mixes.
        assert!(found[1] < 1e-12 && found[2] < 1e-12, "{sharing}: {found:?}");
    }
    Ok(())
}
