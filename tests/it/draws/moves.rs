//! Trials in float64 with their inputs moved by as much as float32 may move them.
//!
//! How much that is follows from its unit roundoff u = 2⁻²⁴. A sum of n terms is that of terms moved by at most n·u, and, rounding
//! errors having no common direction, by about √n·u (Higham & Mary 2019). No sum here is longer than a batch has numbers, so a move is
//! √n·u, 2·10⁻⁶ for digits, of what goes through sums:
//! - every weight at the start, by a normal number times that of itself;
//! - every pixel, by that of a deviation. The first layer's factor is made of pixels alone; where it is singular its eigenvectors are any
//!   of many, and what squares or takes signs by coordinate in such a basis, as corrected eigenvalues do, has no answer but that which
//!   rounding chose;
//! - every gradient at every step, by that of its norm, since a product in float32 is right to norms and not to entries: an entry
//!   that is zero in theory is not in float32, and who divides it by its own size (Adam, Lion, SOAP) makes a step of it. Nor is a sum
//!   whose terms cancel, as of the weight of a batch norm before another: by no less than u times the norm of the net's largest. Where
//!   inverses come from an iteration, which counts as fallen back when it is [`UNSURE`] of its direction, by a tenth of that;
//! - every matrix of second moments that an optimizer keeps, before every step, the first too, by that of its norm: float32 does not
//!   resolve eigenvalues that are smaller, nor which order they have.

use std::collections::BTreeMap;
use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use nkfac_bench::data::{Dataset, Examples, Images, Pixels};
use nkfac_bench::linalg::UNSURE;
use nkfac_bench::nn::weights;
use nkfac_bench::optim::{Optimizer, Precondition, Start, Update};
use nkfac_bench::param::{Params, Updates};
use nkfac_bench::random::Random;
use nkfac_bench::train::{Config, Observer, Outcome, Progress, Score, shape};

use super::{OPERATIONS, ended};

/// u, float32's unit roundoff.
const UNIT: f64 = 1.0 / (1 << 24) as f64;

/// Moves gradients and symmetric matrices by a share of their norms.
struct Unsettled {
    size: f64,
    of_gradients: f64,
    random: Random,
    averaging: Averaging,
    /// By step the averages that there are before it.
    averages: Vec<Averages>,
    steps: usize,
    /// The largest norm of a gradient so far.
    largest: f64,
}

/// Order and norm of averages of second moments, by name.
type Averages = BTreeMap<String, (usize, f64)>;

impl Observer for Unsettled {
    fn step(&mut self, _progress: &Progress) {}
    fn epoch(&mut self, _epoch: usize, _train: Score, _test: Score) {}
    fn memory(&mut self, optimizer: &mut Optimizer, params: &Params) {
        let mut state = optimizer.state();
        let (left, nothing) = (self.averaging.left(self.steps), Averages::new());
        let after = self.averages.get(self.steps + 1).unwrap_or(&nothing);
        for (name, tensor) in state.tensors.iter_mut().filter(|(_, tensor)| is_symmetric(tensor)) {
            let norm = after.get(name).map_or_else(|| norm(tensor), |(_, norm)| norm / left);
            *tensor = (&*tensor + symmetric_noise(tensor.dims()[0], self.size * norm, &mut self.random)).unwrap();
        }
        for (name, &(order, norm)) in after.iter().filter(|(name, _)| self.steps == 0 && name.ends_with(AVERAGE)) {
            let off = symmetric_noise(order, self.size * norm / left, &mut self.random);
            state.put(name, &(self.averaging.start(order) + off).unwrap());
        }
        optimizer.load(state, params).unwrap();
        self.steps += 1;
    }
    fn gradients(&mut self, gradients: &mut Updates) {
        self.largest = gradients.0.iter().map(norm).fold(self.largest, f64::max);
        for gradient in &mut gradients.0 {
            let size = (self.of_gradients * norm(gradient)).max(UNIT * self.largest);
            *gradient = (&*gradient + noise(gradient.dims(), size, &mut self.random)).unwrap();
        }
    }
}

/// Far below u, so that keeping that much of an average does not change a trial by as much as float32.
const LEAST_DECAY: f64 = 1e-9;

/// How averages of second moments go on.
struct Averaging {
    /// What is kept of an average when it takes more.
    decay: f64,
    /// Steps between that.
    every: usize,
    start: Start,
}

impl Averaging {
    /// Those of a trial, which keeps a little of them where it kept nothing: of nothing nothing could be moved.
    fn remembered(config: &mut Config) -> Self {
        let mut none = 1.0;
        let (decay, every, start) = match (&mut config.optimizer.precondition, &mut config.optimizer.update) {
            (Some(Precondition::Kfac(kfac)), _) => (&mut kfac.moments.decay, kfac.factor_every, kfac.moments.start),
            (Some(Precondition::Shampoo(shampoo)), _) => (&mut shampoo.decay, shampoo.factor_every, Start::Zero),
            (None, Update::Soap { betas, .. } | Update::KlShampoo { betas, .. }) => (&mut betas[1], 1, Start::Zero),
            (None, _) => (&mut none, 1, Start::Zero),
        };
        *decay = decay.max(LEAST_DECAY);
        Self { decay: *decay, every, start }
    }

    /// What is left of an average after a step, so that it is to be moved by as much more before.
    fn left(&self, step: usize) -> f64 {
        if step.is_multiple_of(self.every) { self.decay } else { 1.0 }
    }

    fn start(&self, order: usize) -> Tensor {
        match self.start {
            Start::Zero => Tensor::zeros((order, order), DType::F64, &Device::Cpu).unwrap(),
            Start::Identity => Tensor::eye(order, DType::F64, &Device::Cpu).unwrap(),
        }
    }
}

/// How names of averages end that are inverted in the step that takes the first of them: nobody could move them in it, so they are there before.
const AVERAGE: &str = "/average";

/// The averages before each step.
#[derive(Default)]
struct Record(Vec<Averages>);

impl Observer for Record {
    fn step(&mut self, _progress: &Progress) {}
    fn epoch(&mut self, _epoch: usize, _train: Score, _test: Score) {}
    fn memory(&mut self, optimizer: &mut Optimizer, _params: &Params) {
        let is_average = |name: &str| name.ends_with(AVERAGE) || name.contains("/factor/");
        let tensors = optimizer.state().tensors.into_iter();
        let averages = tensors.filter(|(name, tensor)| is_average(name) && is_symmetric(tensor));
        self.0.push(averages.map(|(name, tensor)| (name, (tensor.dims()[0], norm(&tensor)))).collect());
    }
}

/// But for rounding.
fn is_symmetric(tensor: &Tensor) -> bool {
    let is_square = tensor.dims2().is_ok_and(|(rows, columns)| rows == columns);
    is_square && norm(&(tensor - tensor.t().unwrap()).unwrap()) <= 1e-12 * norm(tensor)
}

/// A symmetric matrix of normal numbers, on average of the given norm.
fn symmetric_noise(order: usize, norm: f64, random: &mut Random) -> Tensor {
    let noise = noise(&[order, order], norm, random);
    ((&noise + noise.t().unwrap()).unwrap() / 2f64.sqrt()).unwrap()
}

/// Normal numbers, on average of the given norm.
fn noise(dims: &[usize], norm: f64, random: &mut Random) -> Tensor {
    let count: usize = dims.iter().product();
    let size = norm / (count as f64).sqrt();
    Tensor::from_vec((0..count).map(|_| size * random.normal()).collect(), dims, &Device::Cpu).unwrap()
}

/// The trial with all of these moved; `iterates` if any of its inverses comes from an iteration.
pub fn moved(config: &Config, data: &Dataset, iterates: bool, seed: u64) -> Result<Outcome, String> {
    let mut random = Random::new(seed, "move");
    let numbers = match &*data.train {
        Examples::Images(images) => images.shape.height * images.shape.width * images.shape.channels,
        Examples::Text(_) => config.data.context(),
    };
    let size = UNIT * ((config.batch * numbers) as f64).sqrt();
    let net = config.model.build_for(shape(&config.data), config.seed, DType::F64, &Device::Cpu, config.engine);
    let params = net.unwrap().params;
    for param in &params.params {
        let numbers = param.var.as_detached_tensor().flatten_all().unwrap().to_vec1::<f64>().unwrap();
        let numbers: Vec<f64> = numbers.into_iter().map(|number| number * (1.0 + size * random.normal())).collect();
        param.var.set(&Tensor::from_vec(numbers, param.var.shape(), &Device::Cpu).unwrap()).unwrap();
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    weights::save(&params, file.path()).unwrap();
    let train = match &*data.train {
        Examples::Images(images) => Arc::new(Examples::Images(unsettled(images, size, &mut random))),
        Examples::Text(_) => data.train.clone(),
    };
    let data = Dataset { test: train.clone(), train, validation: None };
    let mut record = Record::default();
    // With an epoch more, so that there is a step after the last.
    ended(&Config { epochs: config.epochs.map(|epochs| epochs + 1.0), ..config.clone() }, &data, &mut record)?;
    let mut config = Config { init_from: Some(file.path().into()), ..config.clone() };
    let averaging = Averaging::remembered(&mut config);
    let of_gradients = if iterates { size.max(UNSURE / OPERATIONS) } else { size };
    let mut moves = Unsettled { size, of_gradients, random, averaging, averages: record.0, steps: 0, largest: 0.0 };
    ended(&config, &data, &mut moves)
}

fn norm(tensor: &Tensor) -> f64 {
    tensor.sqr().unwrap().sum_all().unwrap().to_scalar::<f64>().unwrap().sqrt()
}

/// The images with their normalised pixels moved, in sizes of a deviation of theirs.
fn unsettled(images: &Images, size: f64, random: &mut Random) -> Images {
    let Pixels::Memory(bytes) = &images.pixels else { panic!("images in memory as bytes expected") };
    let deviations = images.normalisation.deviation.iter().cycle();
    let moved =
        |(&byte, &deviation): (&u8, &f32)| f32::from(byte) / 255.0 + (size * random.normal()) as f32 * deviation;
    Images { pixels: Pixels::Floats(bytes.iter().zip(deviations).map(moved).collect()), ..images.clone() }
}
