//! Experiments drawn at random within what `plan` accepts: no panic, and no wrong number in a trial that is reported as finished.
//!
//! **What is wrong.** Float32 finishes, counts no fallback, and its loss is another than that of the same trial in float64, although
//! float64's own is the same where its inputs are moved by what float32 may do to them.
//!
//! **What float32 may do** follows from its unit roundoff u = 2⁻²⁴. A sum of n terms is that of terms moved by at most n·u, and, rounding
//! errors having no common direction, by about √n·u (Higham & Mary 2019). No sum here is longer than a batch has numbers, so a move is
//! √n·u, 2·10⁻⁶ for digits, of what goes through sums:
//! - every weight at the start, by a normal number times that of itself;
//! - every pixel, by that of a deviation. The first layer's factor is made of pixels alone; where it is singular its eigenvectors are any
//!   of many, and what squares or takes signs by coordinate in such a basis, as corrected eigenvalues do, has no answer but that which
//!   rounding chose;
//! - every gradient at every step, by that of its norm, since a product in float32 is right to norms and not to entries: an entry
//!   that is zero in theory is not in float32, and who divides it by its own size (Adam, Lion, SOAP) makes a step of it;
//! - every matrix of second moments that an optimizer keeps, wherever a trial can be stopped, by that of its norm: float32 does not
//!   resolve eigenvalues that are smaller, nor which order they have; and a damping that is a share of the largest eigenvalue, by that of
//!   the same eigenvalue, because what is inverted in a step cannot be moved before it is.
//!
//! Two cases are left, in which rounding decides and none of these moves shows it. Where all images look the same to a net, batch norms blow up
//! gradients whose sum over the batch is nothing: known by a gradient in float64 that vanishes to u times its earlier norm. And where a
//! step divides by next to nothing, weights grow a thousandfold in float64, too: which of them do, and whether a net that is dead by then
//! gives a loss that looks sane, is a matter of directions that no gradient has.
//!
//! **How far off is another loss.** A step is some tens of operations, each of which rounds, and there are up to eight; the errors of a
//! hundred are √100 = [`OPERATIONS`] times one. Float32 is right if it is not further off than that many times one of [`MOVES`] moves, or
//! anyhow where one changes a loss by more than half of it; and in any case within [`DIGITS`] of float64's loss, and [`LEAST`]: a loss is a
//! difference of logits, of which float32 does not have more.
//!
//! These rules were made while other draws were tried, those below 10,000, and not changed for the ones that were then counted.
//!
//! `NKFAC_DRAWS=10000 cargo test --release --test it -- draws --nocapture` runs many, from `NKFAC_DRAW_FROM` on; `NKFAC_DRAW=123` runs one.

mod file;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use candle_core::{DType, Device, Tensor};
use nkfac_bench::data::{DataConfig, Dataset, Examples, Images, Pixels};
use nkfac_bench::nn::weights;
use nkfac_bench::param::{Param, Updates};
use nkfac_bench::random::Random;
use nkfac_bench::record::{Metric, Row, Scope, Status};
use nkfac_bench::state;
use nkfac_bench::train::{
    CheckpointConfig, Config, Dtype, Ending, Keeper, Observer, Outcome, Progress, Score, shape, train,
};

use super::training::Silent;
use file::accepted;

/// Draws in a plain run of the tests.
const FEW: u64 = 60;

/// u, float32's unit roundoff.
const UNIT: f64 = 1.0 / (1 << 24) as f64;

/// How many moves there are of a trial whose float32 is off.
const MOVES: u64 = 8;

/// How many times as far as by one move float32 may be.
const OPERATIONS: f64 = 10.0;

/// What is not off: a share of the loss, and as many nats.
const DIGITS: f64 = 0.01;
const LEAST: f64 = 1e-4;

/// A weight at the end that is of no training: those at the start are of order one.
const GROWN: f64 = 1e3;

/// The training images alone, in place of the test images too; sets that were read before are kept.
fn data(known: &mut BTreeMap<String, Dataset>, config: &DataConfig) -> Dataset {
    let name = format!("{config:?}");
    let load = || {
        let mut data = Dataset::load(config, Path::new("")).unwrap();
        data.test = data.train.clone();
        data
    };
    known.entry(name).or_insert_with(load).clone()
}

fn piece(
    config: &Config,
    data: &Dataset,
    keeper: Option<&mut Keeper>,
    observer: &mut dyn Observer,
) -> Result<Ending, String> {
    match catch_unwind(AssertUnwindSafe(|| train(config, data, &Device::Cpu, keeper, observer))) {
        Ok(ending) => ending.map_err(|error| format!("failed: {error}")),
        Err(_) => Err("panicked".into()),
    }
}

fn ended(config: &Config, data: &Dataset, observer: &mut dyn Observer) -> Result<Outcome, String> {
    match piece(config, data, None, observer)? {
        Ending::Ended(outcome) => Ok(outcome),
        Ending::Stopped { .. } => Err("stopped".into()),
    }
}

fn last(rows: &[Row], scope: &Scope, metric: Metric) -> f64 {
    rows.iter().rfind(|row| row.scope == *scope && row.metric == metric).map_or(0.0, |row| row.value)
}

/// The largest weight at the end.
fn largest(outcome: &Outcome) -> f64 {
    let of = |param: &Param| {
        let numbers = param.var.as_detached_tensor().abs().unwrap().flatten_all().unwrap();
        numbers.max(0).unwrap().to_scalar::<f64>().unwrap()
    };
    outcome.params.params.iter().map(of).fold(0.0, f64::max)
}

/// The losses of training and test; infinite ones if it diverged.
fn losses(outcome: &Outcome) -> [f64; 2] {
    let of = |scope| match outcome.status {
        Status::Finished => last(&outcome.rows, &scope, Metric::Loss),
        _ => f64::INFINITY,
    };
    [of(Scope::Train), of(Scope::Test)]
}

/// How a draw went, or what is wrong with it.
fn judge(config: &Config, data: &Dataset) -> Result<&'static str, String> {
    let narrow = ended(&Config { dtype: Dtype::F32, ..config.clone() }, data, &mut Silent)?;
    if narrow.status != Status::Finished {
        return Ok("diverged");
    }
    if let Some(row) = narrow.rows.iter().find(|row| !row.value.is_finite()) {
        return Err(format!("finished with {:?} {} = {}", row.scope, row.metric, row.value));
    }
    if last(&narrow.rows, &Scope::Train, Metric::RefreshesFallback) > 0.0 {
        return Ok("counted");
    }
    compare(losses(&narrow), config, data)
}

/// Whether losses are those of the trial in float64.
fn compare(ours: [f64; 2], config: &Config, data: &Dataset) -> Result<&'static str, String> {
    let config = &Config { dtype: Dtype::F64, ..config.clone() };
    let mut watch = Unsettled::new(0.0, Random::new(0, "move"));
    let outcome = ended(config, data, &mut watch)?;
    let theirs = losses(&outcome);
    let far = |one: [f64; 2], other: [f64; 2]| {
        let far = |i: usize| if one[i] == other[i] { 0.0 } else { (one[i] - other[i]).abs() };
        [far(0), far(1)]
    };
    let off = far(ours, theirs);
    // Nothing is close to a loss that is infinite.
    let close = |i: usize| if f64::is_finite(theirs[i]) { LEAST.max(DIGITS * theirs[i].abs()) } else { 0.0 };
    // Of what one move changes by a factor of two not even the size is known.
    let open = |most: f64, loss: f64| if 2.0 * most > loss.abs() { f64::INFINITY } else { OPERATIONS * most };
    let is_right = |most: [f64; 2]| (0..2).all(|i| off[i] <= close(i).max(open(most[i], theirs[i])));
    if is_right([0.0; 2]) {
        return Ok("equal");
    }
    let mut most = [0f64; 2];
    for seed in 1..=MOVES {
        let there = far(losses(&moved(config, data, seed)?), theirs);
        most = [most[0].max(there[0]), most[1].max(there[1])];
        if is_right(most) {
            return Ok("unstable");
        }
    }
    if watch.vanishes {
        return Ok("vanishing");
    }
    if largest(&outcome) > GROWN {
        return Ok("grown");
    }
    Err(format!("losses of {ours:?} in float32, {theirs:?} in float64, ±{most:?} moved"))
}

/// Moves gradients by a share of their norms, and looks whether one vanishes.
struct Unsettled {
    size: f64,
    random: Random,
    /// The largest norm that each has had.
    norms: Vec<f64>,
    /// Whether one fell below what rounding leaves of terms as large as it was.
    vanishes: bool,
}

impl Unsettled {
    fn new(size: f64, random: Random) -> Self {
        Self { size, random, norms: Vec::new(), vanishes: false }
    }
}

impl Observer for Unsettled {
    fn step(&mut self, _progress: &Progress) {}
    fn epoch(&mut self, _epoch: usize, _train: Score, _test: Score) {}
    fn gradients(&mut self, gradients: &mut Updates) {
        self.norms.resize(gradients.0.len(), 0.0);
        for (gradient, largest) in gradients.0.iter_mut().zip(&mut self.norms) {
            let numbers = gradient.flatten_all().unwrap().to_vec1::<f64>().unwrap();
            let norm = norm(&numbers);
            *largest = largest.max(norm);
            self.vanishes |= norm > 0.0 && norm < UNIT * *largest;
            *gradient = (&*gradient + noise(gradient, self.size, &mut self.random)).unwrap();
        }
    }
}

/// Normal numbers, on average in the given size of a tensor's root mean square.
fn noise(tensor: &Tensor, size: f64, random: &mut Random) -> Tensor {
    let numbers = tensor.flatten_all().unwrap().to_vec1::<f64>().unwrap();
    let size = size * norm(&numbers) / (numbers.len() as f64).sqrt();
    let moves = numbers.iter().map(|_| size * random.normal()).collect();
    Tensor::from_vec(moves, tensor.shape(), &Device::Cpu).unwrap()
}

/// The trial with weights, pixels and gradients moved by what float32 may.
fn moved(config: &Config, data: &Dataset, seed: u64) -> Result<Outcome, String> {
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
    let damped = damped(config, size * random.normal());
    let config = Config { init_from: Some(file.path().into()), ..damped };
    in_pieces(&config, &data, size, random)
}

/// The trial with a relative damping moved by a share of the largest eigenvalue.
fn damped(config: &Config, by: f64) -> Config {
    let mut json = serde_json::to_value(config).unwrap();
    if let Some(factor) = json.pointer_mut("/optimizer/precondition/damping/factor") {
        *factor = (factor.as_f64().unwrap() + by).abs().into();
    }
    serde_json::from_value(json).unwrap()
}

/// The trial stopped wherever it can be, and matrices of second moments moved meanwhile, in sizes of their norms.
fn in_pieces(config: &Config, data: &Dataset, size: f64, random: Random) -> Result<Outcome, String> {
    let folder = tempfile::tempdir().unwrap();
    let every = CheckpointConfig { epochs: None, minutes: 1e6 };
    let mut keeper = Keeper::new(folder.path(), "draw", "here", every, Arc::new(AtomicBool::new(true)));
    let mut observer = Unsettled::new(size, random);
    loop {
        let step = match piece(config, data, Some(&mut keeper), &mut observer)? {
            Ending::Ended(outcome) => return Ok(outcome),
            Ending::Stopped { step, .. } => step,
        };
        let path = folder.path().join(format!("{step:012}.checkpoint"));
        let mut kept = state::read(&path).unwrap();
        for tensor in
            kept.tensors.iter_mut().filter(|(name, _)| name.starts_with("optimizer/")).map(|(_, tensor)| tensor)
        {
            let Ok((rows, columns)) = tensor.dims2() else { continue };
            if rows == columns && distance(tensor, &tensor.t().unwrap()) == 0.0 {
                let noise = noise(tensor, size, &mut observer.random);
                *tensor = ((&noise + noise.t().unwrap()).unwrap() / 2f64.sqrt() + &*tensor).unwrap();
            }
        }
        state::write(&path, &kept).unwrap();
    }
}

fn distance(a: &Tensor, b: &Tensor) -> f64 {
    norm((a - b).unwrap().flatten_all().unwrap().to_vec1().unwrap().as_slice())
}

fn norm(numbers: &[f64]) -> f64 {
    numbers.iter().map(|number| number * number).sum::<f64>().sqrt()
}

/// The images with their normalised pixels moved, in sizes of a deviation of theirs.
fn unsettled(images: &Images, size: f64, random: &mut Random) -> Images {
    let Pixels::Memory(bytes) = &images.pixels else { panic!("images in memory as bytes expected") };
    let deviations = images.normalisation.deviation.iter().cycle();
    let moved =
        |(&byte, &deviation): (&u8, &f32)| f32::from(byte) / 255.0 + (size * random.normal()) as f32 * deviation;
    Images { pixels: Pixels::Floats(bytes.iter().zip(deviations).map(moved).collect()), ..images.clone() }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn experiments_drawn_at_random_neither_panic_nor_finish_with_wrong_numbers() {
    let first = number("NKFAC_DRAW").or(number("NKFAC_DRAW_FROM")).unwrap_or(0);
    let total = if number("NKFAC_DRAW").is_some() { 1 } else { number("NKFAC_DRAWS").unwrap_or(FEW) };
    let (mut known, mut counts, mut faults) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
    for draw in first..first + total {
        let text = file::draw(draw);
        let Some(config) = accepted(&text) else { panic!("draw {draw} is refused:\n{text}") };
        match judge(&config, &data(&mut known, &config.data)) {
            Ok(how) => *counts.entry(how).or_insert(0) += 1,
            Err(fault) => {
                println!("draw {draw}: {fault}");
                faults.push(format!("draw {draw}: {fault}\n{text}"));
            }
        }
    }
    println!("{total} draws from {first}: {counts:?}, {} faults", faults.len());
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    // Control: most are not merely excused.
    assert!(total < FEW || counts.get("equal").is_some_and(|&equal| equal > total / 3), "{counts:?}");
}

#[test]
fn a_number_of_another_trial_is_told_from_float64s() {
    let text = "name = \"draw\"\n[base]\nepochs = 2\nbatch = 8\ndata = { kind = \"digits\", train_limit = 32 }
model = { kind = \"mlp\", hidden = [3] }\nschedule = { kind = \"constant\", lr = 0.1 }\noptimizer.preset = \"kfac-star\"\n";
    let config = accepted(text).unwrap();
    let data = data(&mut BTreeMap::new(), &config.data);
    assert_eq!(judge(&config, &data), Ok("equal"));
    let other = accepted(&text.replace("0.1 }", "0.12 }")).unwrap();
    assert!(compare(losses(&ended(&other, &data, &mut Silent).unwrap()), &config, &data).is_err());
}
