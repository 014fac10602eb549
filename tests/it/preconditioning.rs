//! The KFAC stage as a whole: against dense solves, under evaluation, and with numbers that are not finite.

use std::sync::Arc;

use candle_core::{DType, Device, Result, Tensor};
use nkfac_bench::clock::Clock;
use nkfac_bench::linalg;
use nkfac_bench::nn::layer::Linear;
use nkfac_bench::nn::{Init, Layer, Pass, Store};
use nkfac_bench::optim::{Error, Kfac, KfacConfig, Side, Step, Transform};
use nkfac_bench::param::{Params, Updates};
use nkfac_bench::random::Random;

const INPUTS: usize = 4;
const OUTPUTS: usize = 3;

fn normal(dims: &[usize], seed: u64) -> Tensor {
    let mut random = Random::new(seed, "test");
    let values: Vec<f64> = (0..dims.iter().product()).map(|_| random.normal()).collect();
    Tensor::from_vec(values, dims, &Device::Cpu).unwrap()
}

fn distance(a: &Tensor, b: &Tensor) -> f64 {
    (a - b).unwrap().sqr().unwrap().sum_all().unwrap().to_scalar::<f64>().unwrap().sqrt()
}

/// Fresh statistics and inverses every step.
fn config(damping: &serde_json::Value, inverter: &serde_json::Value) -> KfacConfig {
    serde_json::from_value(serde_json::json!({
        "factor_every": 1,
        "inverse_every": 1,
        "moments": { "scale": "spatial-mean", "decay": 0.5, "start": "zero" },
        "damping": damping,
        "inverter": inverter,
        "rescale": "none",
    }))
    .unwrap()
}

/// A linear layer with its stage and the number of the next step.
struct Layered {
    layer: Linear,
    params: Params,
    kfac: Kfac,
    index: usize,
}

impl Layered {
    fn new(config: &KfacConfig) -> Result<Self> {
        let store = Store::new(1, Init::Torch, DType::F64, &Device::Cpu);
        let layer = Linear::new(&store.at("layer"), INPUTS, OUTPUTS)?;
        let params = store.params();
        Ok(Self { layer, kfac: Kfac::new(config, &params.blocks), params, index: 0 })
    }

    /// A step on `x`: the gradient, and what the stage makes of it, both `d_in × d_out` with the bias below.
    fn step(&mut self, x: &Tensor) -> std::result::Result<[Tensor; 2], Error> {
        self.step_beside(x, |_, _| Ok(()))
    }

    /// A step between whose forward and backward pass something else is done with the layer; the pass is the step's own.
    fn step_beside(
        &mut self,
        x: &Tensor,
        something: impl FnOnce(&Linear, &Pass) -> Result<()>,
    ) -> std::result::Result<[Tensor; 2], Error> {
        let clock = Arc::new(Clock::new(&Device::Cpu));
        let tap = self.kfac.listens(self.index).map(|(tap, _)| tap);
        let pass = Pass::Training { tap, clock: clock.clone() };
        let loss = self.layer.forward(x, &pass)?.sqr()?.mean_all()?;
        something(&self.layer, &pass)?;
        let mut updates: Updates = self.params.gradients(&loss.backward()?)?;
        let block = &self.params.blocks[0];
        let gradient = updates.matrix(block)?;
        let step = Step { index: self.index, lr: 0.1, samples: x.dim(0)?, params: &self.params, clock: &clock };
        self.kfac.apply(&mut updates, &step)?;
        self.index += 1;
        Ok([gradient, updates.matrix(block)?])
    }

    fn average(&self, side: Side) -> Tensor {
        self.kfac.factor("layer", side).unwrap().1.average.clone().unwrap()
    }
}

/// `(A ⊗ G + λI)⁻¹ vec(gradient)`, by the inverse of the whole matrix.
fn dense_solve(a: &Tensor, g: &Tensor, damping: f64, gradient: &Tensor) -> Result<Tensor> {
    let (inputs, outputs) = gradient.dims2()?;
    let kronecker = a.reshape((inputs, 1, inputs, 1))?.broadcast_mul(&g.reshape((1, outputs, 1, outputs))?)?;
    let kronecker = kronecker.reshape((inputs * outputs, inputs * outputs))?;
    let identity = Tensor::eye(inputs * outputs, DType::F64, &Device::Cpu)?;
    let inverse = linalg::lu_inverse(&(kronecker + (identity * damping)?)?)?.unwrap();
    inverse.matmul(&gradient.reshape((inputs * outputs, 1))?)?.reshape((inputs, outputs))
}

#[test]
fn under_joint_damping_the_eigenbasis_solves_what_a_dense_solve_does() -> std::result::Result<(), Error> {
    let joint = serde_json::json!({ "joint": { "value": 0.03 } });
    let eigen = serde_json::json!({ "eigen": { "cutoff": 1e-12 } });
    let mut layered = Layered::new(&config(&joint, &eigen))?;
    let [gradient, direction] = layered.step(&normal(&[6, INPUTS], 2))?;
    let [a, g] = [Side::Inputs, Side::OutputGrads].map(|side| layered.average(side));
    let solved = dense_solve(&a, &g, 0.03, &gradient)?;
    assert!(distance(&direction, &solved) < 1e-9 * distance(&solved, &solved.zeros_like()?));
    // Control: another damping has another solution.
    assert!(distance(&direction, &dense_solve(&a, &g, 0.04, &gradient)?) > 1e-3);
    Ok(())
}

#[test]
fn evaluation_leaves_every_bit_of_the_stage_alone() -> std::result::Result<(), Error> {
    let absolute = serde_json::json!({ "absolute": { "value": 0.1 } });
    let newton = serde_json::json!({ "newton": { "steps": 1, "exact_until": 0, "exact_every": 100 } });
    type Something<'a> = &'a dyn Fn(&Linear, &Pass) -> Result<()>;
    let bits = |beside: Something<'_>| -> std::result::Result<Vec<f64>, Error> {
        let mut layered = Layered::new(&config(&absolute, &newton))?;
        layered.step(&normal(&[6, INPUTS], 2))?;
        layered.step_beside(&normal(&[6, INPUTS], 3), beside)?;
        let tensors = [Side::Inputs, Side::OutputGrads].map(|side| {
            let factor = layered.kfac.factor("layer", side).unwrap().1;
            let inverse = factor.inverse.as_ref().unwrap().dense().unwrap().clone();
            [factor.average.clone().unwrap(), inverse]
        });
        let values = tensors.as_flattened().iter().map(|tensor| tensor.flatten_all()?.to_vec1());
        Ok(values.collect::<Result<Vec<_>>>()?.concat())
    };
    let see = |layer: &Linear, pass: &Pass| -> Result<()> {
        layer.forward(&normal(&[6, INPUTS], 4), pass)?.sqr()?.mean_all()?.backward()?;
        Ok(())
    };
    let undisturbed = bits(&|_, _| Ok(()))?;
    assert_eq!(bits(&|layer, _| see(layer, &Pass::Evaluation))?, undisturbed);
    // Control: seen in the training pass, the same images change them.
    assert_ne!(bits(&see)?, undisturbed);
    Ok(())
}

#[test]
fn images_that_are_not_numbers_name_the_factor_that_cannot_be_inverted() -> std::result::Result<(), Error> {
    let absolute = serde_json::json!({ "absolute": { "value": 0.1 } });
    for inverter in ["cholesky", "lu", "eigen"] {
        let keys = if inverter == "eigen" { serde_json::json!({ "cutoff": 0.0 }) } else { serde_json::json!({}) };
        let mut layered = Layered::new(&config(&absolute, &serde_json::json!({ inverter: keys })))?;
        layered.step(&normal(&[6, INPUTS], 2))?;
        let nan = (normal(&[6, INPUTS], 3) * f64::NAN)?;
        let Err(error) = layered.step(&nan) else { panic!("{inverter} made an inverse of NaN") };
        assert_eq!(error.to_string(), "factor `layer/a` cannot be inverted");
    }
    Ok(())
}
