//! Where layers get their parameters: named, initialised from seeded numbers, remembered in the order of building.

use std::cell::RefCell;
use std::rc::Rc;

use candle_core::{DType, Device, Result, Tensor, Var};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kernel::Engine;
use crate::param::{Block, BlockId, Layout, Param, ParamId, Params};
use crate::random::Random;

/// How weights of linear and convolution layers start; biases of norms and such are always PyTorch's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Init {
    /// PyTorch's default: weights and biases uniform within ±1/√fan_in.
    #[default]
    Torch,
    /// He et al. 2015: normal, variance 2/fan_out for convolutions and 2/fan_in for linear layers; biases zero.
    Kaiming,
    /// Radford et al. 2019: normal, deviation 0.02, embeddings too; biases zero. What ends one of the 2·layers residual branches of `gpt` has
    /// 0.02/√(2·layers).
    Gpt2,
    /// Martens 2010: fifteen inputs of each unit, drawn at random, have normal weights, deviation 1, all others zero; biases zero.
    Sparse,
}

/// Inputs of a unit that are not zero under [`Init::Sparse`].
const SPARSE: usize = 15;
/// Deviation under [`Init::Gpt2`].
const GPT2: f64 = 0.02;

/// Where the values of one parameter come from.
#[derive(Debug, Clone, Copy)]
enum Fill {
    Constant(f64),
    /// Uniform within ±bound.
    Uniform(f64),
    /// Normal with this standard deviation.
    Normal(f64),
    /// Standard normal for so many inputs of each output, zero for the others.
    Sparse(usize),
}

impl Fill {
    /// A tensor's values; outputs are its last axis.
    fn values(self, dims: &[usize], random: &mut Random) -> Vec<f64> {
        let count = dims.iter().product();
        match self {
            Self::Constant(value) => vec![value; count],
            Self::Uniform(bound) => (0..count).map(|_| bound * (2.0 * random.uniform() - 1.0)).collect(),
            Self::Normal(deviation) => (0..count).map(|_| deviation * random.normal()).collect(),
            Self::Sparse(inputs) => {
                let outputs = dims[dims.len() - 1];
                let (mut values, mut rows) = (vec![0.0; count], (0..count / outputs).collect::<Vec<_>>());
                for output in 0..outputs {
                    random.shuffle(&mut rows);
                    for row in rows.iter().take(inputs) {
                        values[row * outputs + output] = random.normal();
                    }
                }
                values
            }
        }
    }
}

/// A builder of parameters at some place in the tree of names. Copies share what they build.
#[derive(Debug, Clone)]
pub struct Store {
    shared: Rc<RefCell<Params>>,
    prefix: String,
    seed: u64,
    init: Init,
    /// What weights are multiplied by under [`Init::Gpt2`].
    share: f64,
    dtype: DType,
    device: Device,
    engine: Engine,
}

impl Store {
    /// An empty store at the root. Equal seeds give equal numbers for equal names, whatever else is built.
    #[must_use]
    pub fn new(seed: u64, init: Init, dtype: DType, device: &Device) -> Self {
        Self {
            shared: Rc::default(),
            prefix: String::new(),
            seed,
            init,
            share: 1.0,
            dtype,
            device: device.clone(),
            engine: Engine::AUTO,
        }
    }

    /// The store for layers that compute their products by `engine`.
    #[must_use]
    pub fn with_engine(self, engine: Engine) -> Self {
        Self { engine, ..self }
    }

    /// The store for layers whose weights are `share` as large at the start, under [`Init::Gpt2`].
    #[must_use]
    pub fn damped(&self, share: f64) -> Self {
        Self { share, ..self.clone() }
    }

    /// The store one level down, for the layer `name`.
    #[must_use]
    pub fn at(&self, name: impl std::fmt::Display) -> Self {
        Self { prefix: self.path(&name.to_string()), ..self.clone() }
    }

    /// All that was built so far.
    #[must_use]
    pub fn params(&self) -> Params {
        self.shared.borrow().clone()
    }

    /// A convolution's weight, `[k, k, inputs, outputs]`, and bias, as one block of curvature.
    pub fn conv(&self, kernel: usize, inputs: usize, outputs: usize, bias: bool) -> Result<Affine> {
        self.affine(Layout::Conv, &[kernel, kernel, inputs, outputs], self.conv_fill(kernel, inputs, outputs), bias)
    }

    /// A linear layer's weight, `[inputs, outputs]`, and bias, as one block of curvature.
    pub fn linear(&self, inputs: usize, outputs: usize, bias: bool) -> Result<Affine> {
        let weight = match self.init {
            Init::Torch => Fill::Uniform(1.0 / (inputs as f64).sqrt()),
            Init::Kaiming => Fill::Normal((2.0 / inputs as f64).sqrt()),
            Init::Gpt2 => Fill::Normal(GPT2 * self.share),
            Init::Sparse => Fill::Sparse(SPARSE),
        };
        self.affine(Layout::Linear, &[inputs, outputs], weight, bias)
    }

    /// A grouped convolution's weight, `[k, k, inputs / groups, outputs]`: a parameter without a block of curvature.
    pub fn grouped_conv(&self, kernel: usize, [inputs, outputs]: [usize; 2], groups: usize) -> Result<Grouped> {
        let inputs = inputs / groups;
        // As in PyTorch, fan_out counts the outputs of all groups.
        let fill = self.conv_fill(kernel, inputs, outputs);
        let weight = self.trained("weight", Layout::Conv, &[kernel, kernel, inputs, outputs], fill)?;
        Ok(Grouped { weight, groups, engine: self.engine })
    }

    /// A trained tensor of normal numbers with this deviation, such as a token; the same layout in PyTorch, and without a block.
    pub fn normal(&self, name: &str, dims: &[usize], deviation: f64) -> Result<Var> {
        self.trained(name, Layout::Vector, dims, Fill::Normal(deviation))
    }

    /// A table of embeddings, a row each; the same layout in PyTorch, and without a block.
    pub fn embedding(&self, name: &str, dims: [usize; 2]) -> Result<Var> {
        let deviation = if self.init == Init::Gpt2 { GPT2 } else { 1.0 };
        self.normal(name, &dims, deviation)
    }

    /// A trained vector of one value, such as a norm's scale.
    pub fn vector(&self, name: &str, size: usize, value: f64) -> Result<Var> {
        self.trained(name, Layout::Vector, &[size], Fill::Constant(value))
    }

    /// A remembered vector of one value, such as a running mean.
    pub fn buffer(&self, name: &str, size: usize, value: f64) -> Result<Var> {
        let param = self.param(name, Layout::Vector, &[size], Fill::Constant(value))?;
        self.shared.borrow_mut().buffers.push(param.clone());
        Ok(param.var)
    }

    fn conv_fill(&self, kernel: usize, inputs: usize, outputs: usize) -> Fill {
        let taps = kernel * kernel;
        match self.init {
            Init::Torch => Fill::Uniform(1.0 / ((taps * inputs) as f64).sqrt()),
            Init::Kaiming => Fill::Normal((2.0 / (taps * outputs) as f64).sqrt()),
            Init::Gpt2 => Fill::Normal(GPT2 * self.share),
            Init::Sparse => Fill::Sparse(SPARSE),
        }
    }

    fn trained(&self, name: &str, layout: Layout, dims: &[usize], fill: Fill) -> Result<Var> {
        let param = self.param(name, layout, dims, fill)?;
        self.shared.borrow_mut().params.push(param.clone());
        Ok(param.var)
    }

    fn affine(&self, layout: Layout, dims: &[usize], weight: Fill, bias: bool) -> Result<Affine> {
        let (outputs, channels) = (dims[dims.len() - 1], dims[dims.len() - 2]);
        let rows: usize = dims[..dims.len() - 1].iter().product();
        let weight = self.param("weight", layout, dims, weight)?;
        let bias = if bias {
            let fill = match self.init {
                Init::Torch => Fill::Uniform(1.0 / (rows as f64).sqrt()),
                Init::Kaiming | Init::Gpt2 | Init::Sparse => Fill::Constant(0.0),
            };
            Some(self.param("bias", Layout::Vector, &[outputs], fill)?)
        } else {
            None
        };
        let mut shared = self.shared.borrow_mut();
        let mut push = |param: &Param| -> ParamId {
            shared.params.push(param.clone());
            shared.params.len() - 1
        };
        let block = Block {
            name: self.prefix.clone(),
            weight: push(&weight),
            bias: bias.as_ref().map(push),
            channels,
            taps: rows / channels,
            outputs,
        };
        shared.blocks.push(block);
        Ok(Affine {
            weight: weight.var,
            bias: bias.map(|bias| bias.var),
            block: shared.blocks.len() - 1,
            engine: self.engine,
        })
    }

    fn param(&self, name: &str, layout: Layout, dims: &[usize], fill: Fill) -> Result<Param> {
        let name = self.path(name);
        let mut random = Random::new(self.seed, &format!("init/{name}"));
        let values = fill.values(dims, &mut random);
        let value = Tensor::from_vec(values, dims, &self.device)?.to_dtype(self.dtype)?;
        Ok(Param { name, var: Var::from_tensor(&value)?, layout })
    }

    fn path(&self, name: &str) -> String {
        if self.prefix.is_empty() { name.to_owned() } else { format!("{}.{name}", self.prefix) }
    }
}

/// The parameters of a linear or convolution layer.
#[derive(Debug)]
pub struct Affine {
    pub weight: Var,
    pub bias: Option<Var>,
    pub block: BlockId,
    pub engine: Engine,
}

/// The parameter of a grouped convolution.
#[derive(Debug)]
pub struct Grouped {
    pub weight: Var,
    pub groups: usize,
    pub engine: Engine,
}

#[cfg(test)]
mod tests {
    use super::{Init, Store};
    use candle_core::{DType, Device};

    #[test]
    fn a_sparse_start_gives_each_unit_fifteen_inputs() {
        let store = Store::new(1, Init::Sparse, DType::F64, &Device::Cpu);
        for (inputs, expected) in [(40, 15), (6, 6)] {
            let weight = store.at(inputs).linear(inputs, 9, true).unwrap().weight;
            let columns = weight.t().unwrap().to_vec2::<f64>().unwrap();
            assert!(columns.iter().all(|column| column.iter().filter(|value| **value != 0.0).count() == expected));
            assert!(columns[0].iter().zip(&columns[1]).any(|(a, b)| (*a == 0.0) != (*b == 0.0)) == (inputs > expected));
        }
    }
}
