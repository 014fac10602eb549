//! The words that nets and optimizers share: parameters, curvature blocks, updates and captured second moments.
//!
//! Neither `nn` nor `optim` knows the other; both speak these types, and `train` introduces them. A weight is stored as
//! its matrix `d_in × d_out`: a linear layer's as `[in, out]`, a convolution's as `[k, k, C_in, C_out]`, so that
//! activations stay channel-last. [`Layout`] knows the way to PyTorch's layouts, for checkpoints and traces.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};

use candle_core::backprop::GradStore;
use candle_core::{Result, Tensor, Var};

/// Where a parameter stands in [`Params::params`].
pub type ParamId = usize;

/// Where a block stands in [`Params::blocks`].
pub type BlockId = usize;

/// How PyTorch lays out a tensor that we keep as `d_in × d_out`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Biases, norms, running statistics, tokens: the same on both sides.
    Vector,
    /// `[in, out]` here, `[out, in]` there.
    Linear,
    /// `[k, k, C_in, C_out]` here, `[C_out, C_in, k, k]` there; C_in is that of one group.
    Conv,
}

impl Layout {
    /// From our layout to PyTorch's.
    pub fn to_torch(self, ours: &Tensor) -> Result<Tensor> {
        match self {
            Self::Vector => Ok(ours.clone()),
            Self::Linear => ours.t()?.contiguous(),
            Self::Conv => ours.permute((3, 2, 0, 1))?.contiguous(),
        }
    }

    /// From PyTorch's layout to ours.
    pub fn from_torch(self, theirs: &Tensor) -> Result<Tensor> {
        match self {
            Self::Vector => Ok(theirs.clone()),
            Self::Linear => theirs.t()?.contiguous(),
            Self::Conv => theirs.permute((2, 3, 1, 0))?.contiguous(),
        }
    }
}

/// A named tensor of a net: a trained parameter, or a running statistic.
#[derive(Debug, Clone)]
pub struct Param {
    /// PyTorch's name: `layer1.0.conv1.weight`.
    pub name: String,
    /// The value, shared with the layer that uses it.
    pub var: Var,
    pub layout: Layout,
}

/// What a parameter does in its layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Of a linear or convolution layer.
    Weight,
    Bias,
    /// A scale or a shift of normalisation.
    Norm,
    /// Tokens and positions.
    Embedding,
}

/// A linear or convolution layer as curvature sees it: one matrix, weight over bias, `d_in (+ 1) × d_out`.
#[derive(Debug, Clone)]
pub struct Block {
    /// The layer's name: `layer1.0.conv1`.
    pub name: String,
    pub weight: ParamId,
    pub bias: Option<ParamId>,
    /// Input channels.
    pub channels: usize,
    /// Positions of the kernel, k²; 1 for a linear layer.
    pub taps: usize,
    pub outputs: usize,
}

impl Block {
    /// Order of the input factor: `taps · channels`, and one more for a bias.
    #[must_use]
    pub fn inputs(&self) -> usize {
        self.taps * self.channels + usize::from(self.bias.is_some())
    }

    /// For each row of the matrix its row in PyTorch's order, where channels come before taps and the bias last.
    ///
    /// A permutation changes no norm, eigenvalue or inverse; what starts from a fixed vector must follow it.
    #[must_use]
    pub fn torch_rows(&self) -> Vec<usize> {
        let weights = (0..self.taps).flat_map(|tap| (0..self.channels).map(move |channel| channel * self.taps + tap));
        weights.chain(self.bias.map(|_| self.taps * self.channels)).collect()
    }

    /// A matrix over the inputs, such as A or its inverse, with rows and columns in PyTorch's order.
    pub fn inputs_to_torch(&self, matrix: &Tensor) -> Result<Tensor> {
        let mut ours = vec![0u32; self.inputs()];
        for (row, theirs) in self.torch_rows().into_iter().enumerate() {
            ours[theirs] = row as u32;
        }
        let ours = Tensor::new(ours, matrix.device())?;
        matrix.contiguous()?.index_select(&ours, 0)?.index_select(&ours, 1)
    }
}

/// All that a net is made of, in the order in which it was built.
#[derive(Debug, Clone, Default)]
pub struct Params {
    /// What is trained.
    pub params: Vec<Param>,
    /// What is only remembered: running means and variances.
    pub buffers: Vec<Param>,
    pub blocks: Vec<Block>,
}

impl Params {
    /// Everything that has a name: parameters, then running statistics.
    pub fn all(&self) -> impl Iterator<Item = &Param> {
        self.params.iter().chain(&self.buffers)
    }

    /// How many numbers are trained.
    #[must_use]
    pub fn count(&self) -> usize {
        self.params.iter().map(|param| param.var.elem_count()).sum()
    }

    /// What the parameter `id` does.
    #[must_use]
    pub fn role(&self, id: ParamId) -> Role {
        let param = &self.params[id];
        if self.blocks.iter().any(|block| block.bias == Some(id)) {
            Role::Bias
        } else if param.layout != Layout::Vector {
            Role::Weight
        } else if param.var.rank() == 1 {
            Role::Norm
        } else {
            Role::Embedding
        }
    }

    /// Sets what is trained to these values.
    pub fn set(&self, values: &[Tensor]) -> Result<()> {
        self.params.iter().zip(values).try_for_each(|(param, value)| param.var.set(value))
    }

    /// The gradients of a backward pass, detached; zero for a parameter that the loss does not depend on.
    pub fn gradients(&self, grads: &GradStore) -> Result<Updates> {
        let gradient = |param: &Param| match grads.get(&param.var) {
            Some(gradient) => gradient.detach().contiguous(),
            None => param.var.zeros_like(),
        };
        Ok(Updates(self.params.iter().map(gradient).collect::<Result<_>>()?))
    }
}

/// One tensor a parameter, in the order of [`Params::params`]: the gradient, on its way to being the step.
#[derive(Debug, Clone)]
pub struct Updates(pub Vec<Tensor>);

impl Updates {
    /// The sum with others of the same parameters.
    pub fn add(&self, more: &Self) -> Result<Self> {
        Ok(Self(self.0.iter().zip(&more.0).map(|(a, b)| a + b).collect::<Result<_>>()?))
    }

    /// The matrix of a block, `d_in (+ 1) × d_out`: the bias is its last row.
    pub fn matrix(&self, block: &Block) -> Result<Tensor> {
        let weight = self.0[block.weight].reshape(((), block.outputs))?;
        match block.bias {
            Some(bias) => Tensor::cat(&[&weight, &self.0[bias].unsqueeze(0)?], 0),
            None => Ok(weight),
        }
    }

    /// Takes a block's matrix apart again, into its weight and bias.
    pub fn set_matrix(&mut self, block: &Block, matrix: &Tensor) -> Result<()> {
        let rows = block.taps * block.channels;
        let weight = matrix.narrow(0, 0, rows)?.reshape(self.0[block.weight].shape())?;
        self.0[block.weight] = weight;
        if let Some(bias) = block.bias {
            self.0[bias] = matrix.get(rows)?;
        }
        Ok(())
    }
}

/// Second moments of one layer on one batch, unscaled, with what is needed to scale them. A tap that pools gets, in place of `XᵀX` and
/// `DᵀD`, one row an example: the means of `X` and the sums of `D` over the example's rows.
#[derive(Debug, Clone)]
pub struct Capture {
    pub block: BlockId,
    /// `XᵀX`, `d_in (+ 1)` square: `X` holds the input rows (patches of a convolution), a column of ones appended for
    /// a bias. Absent in a backward pass after the first one of the same batch.
    pub inputs: Option<Tensor>,
    /// `DᵀD`, `d_out` square: `D` holds the rows of the gradient of the *mean* batch loss by the layer's output. Absent where nobody wants it.
    pub output_grads: Option<Tensor>,
    /// Images, or rows of a linear layer; to a tap that pools, examples.
    pub samples: usize,
    /// Rows a sample: output pixels of a convolution, 1 for a linear layer.
    pub positions: usize,
    /// Terms of the mean loss an example: as many as it has targets.
    pub terms: usize,
    /// Whether no other capture of these inputs follows in this step, so that they need not be kept to be summed.
    pub whole: bool,
}

/// Where captures go.
pub trait Sink: Send + Sync {
    /// Takes the moments of one layer; called once a layer and backward pass.
    fn receive(&self, capture: Capture) -> Result<()>;
}

/// What a layer's backward pass shall capture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Demand {
    /// Nothing: this pass is for gradients only.
    Nothing,
    /// The moments of inputs and of output gradients.
    Moments,
    /// Output gradients only: a further backward pass of a batch whose inputs are known.
    OutputGrads,
}

/// The line between layers and a [`Sink`]: opened and closed between the backward passes of one step.
pub struct Tap {
    sink: Arc<dyn Sink>,
    demand: AtomicU8,
    pools: bool,
    of_inputs: bool,
    whole: AtomicBool,
    terms: AtomicUsize,
}

impl Tap {
    /// A tap that captures moments from the first pass on.
    #[must_use]
    pub fn new(sink: Arc<dyn Sink>) -> Self {
        let demand = AtomicU8::new(Demand::Moments as u8);
        Self { sink, demand, pools: false, of_inputs: false, whole: AtomicBool::new(false), terms: AtomicUsize::new(1) }
    }

    /// The same for one row an example in place of moments.
    #[must_use]
    pub fn pooled(sink: Arc<dyn Sink>) -> Self {
        Self { pools: true, ..Self::new(sink) }
    }

    /// The same without anything of output gradients.
    #[must_use]
    pub fn of_inputs(self) -> Self {
        Self { of_inputs: true, ..self }
    }

    /// Whether it takes one row an example in place of moments.
    #[must_use]
    pub const fn pools(&self) -> bool {
        self.pools
    }

    /// Says whether each layer is used once in a step: whether there is one pass of one batch, and no layer twice in it.
    pub fn set_whole(&self, whole: bool) {
        self.whole.store(whole, Ordering::Relaxed);
    }

    /// Whether each layer is used once in a step.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.whole.load(Ordering::Relaxed)
    }

    /// Says how many terms of the mean loss each example has; one, unless it is said.
    pub fn set_terms(&self, terms: usize) {
        self.terms.store(terms, Ordering::Relaxed);
    }

    /// How many terms of the mean loss each example has.
    #[must_use]
    pub fn terms(&self) -> usize {
        self.terms.load(Ordering::Relaxed)
    }

    /// Says what the next backward pass shall capture.
    pub fn set(&self, demand: Demand) {
        self.demand.store(demand as u8, Ordering::Relaxed);
    }

    /// What this backward pass shall capture.
    #[must_use]
    pub fn demand(&self) -> Demand {
        match self.demand.load(Ordering::Relaxed) {
            demand if demand == Demand::Moments as u8 => Demand::Moments,
            demand if demand == Demand::OutputGrads as u8 => Demand::OutputGrads,
            _ => Demand::Nothing,
        }
    }

    /// Whether this backward pass shall capture something of inputs, and of output gradients.
    #[must_use]
    pub fn takes(&self) -> [bool; 2] {
        let demand = self.demand();
        [demand == Demand::Moments, demand != Demand::Nothing && !self.of_inputs]
    }

    /// Hands a capture on.
    pub fn send(&self, capture: Capture) -> Result<()> {
        self.sink.receive(capture)
    }
}

impl std::fmt::Debug for Tap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tap").field("demand", &self.demand()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::{Block, Layout};
    use candle_core::{Device, Result, Tensor};

    #[test]
    fn layouts_go_to_pytorch_and_back() -> Result<()> {
        let cases: [(Layout, &[usize], &[usize]); 3] = [
            (Layout::Vector, &[1, 5, 2], &[1, 5, 2]),
            (Layout::Linear, &[3, 4], &[4, 3]),
            (Layout::Conv, &[3, 3, 2, 5], &[5, 2, 3, 3]),
        ];
        for (layout, ours, theirs) in cases {
            let count: usize = ours.iter().product();
            let tensor = Tensor::arange(0f32, count as f32, &Device::Cpu)?.reshape(ours)?;
            let torch = layout.to_torch(&tensor)?;
            assert_eq!(torch.dims(), theirs);
            let back = layout.from_torch(&torch)?;
            assert_eq!(back.dims(), ours);
            assert_eq!(back.flatten_all()?.to_vec1::<f32>()?, tensor.flatten_all()?.to_vec1::<f32>()?);
        }
        Ok(())
    }

    #[test]
    fn rows_follow_pytorch_order() {
        let block = Block { name: "conv".into(), weight: 0, bias: Some(1), channels: 2, taps: 4, outputs: 1 };
        assert_eq!(block.torch_rows(), [0, 4, 1, 5, 2, 6, 3, 7, 8]);
    }
}
