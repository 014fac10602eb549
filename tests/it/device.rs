//! The kernels for CUDA devices, compiled for the host by whatever C++ compiler there is, against the loops for the CPU.
//!
//! Only the launch is not CUDA's: `tests/cuda/host` runs blocks one after the other and the threads of a block by turns. Everything else
//! is what a GPU gets: sources, arguments, grids.

mod host;

use candle_core::{DType, Device, Result, Tensor, Var};
use nkfac_bench::device::{bounds, elementwise, loss, matrix, norm, pool, window};
use nkfac_bench::kernel::Geometry;
use nkfac_bench::linalg::{self, Adam};
use nkfac_bench::nn::op;
use nkfac_bench::nn::op::window::Window;
use nkfac_bench::random::Random;
use proptest::prelude::*;

use host::{HOSTS, Host};

fn random(dims: &[usize], seed: u64) -> Tensor {
    let mut random = Random::new(seed, "device");
    let values: Vec<f64> = (0..dims.iter().product()).map(|_| random.normal()).collect();
    Tensor::from_vec(values, dims, &Device::Cpu).unwrap()
}

fn whole_numbers(dims: &[usize], seed: u64) -> Tensor {
    random(dims, seed).affine(2.0, 0.0).unwrap().round().unwrap()
}

/// The largest difference as a share of the largest number, over all tensors; what is no number is infinitely far off.
fn off(ours: &[Tensor], theirs: &[Tensor]) -> f64 {
    assert_eq!(ours.len(), theirs.len());
    let numbers =
        |tensor: &Tensor| tensor.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1::<f64>().unwrap();
    let of = |(ours, theirs): (&Tensor, &Tensor)| {
        assert_eq!(ours.dims(), theirs.dims());
        let (ours, theirs) = (numbers(ours), numbers(theirs));
        let size = theirs.iter().fold(1e-3, |size: f64, number| size.max(number.abs()));
        let errors = ours.iter().zip(&theirs).map(|(a, b)| (a - b).abs() / size);
        errors.map(|error| if error.is_nan() { f64::INFINITY } else { error }).fold(0.0, f64::max)
    };
    ours.iter().zip(theirs).map(of).fold(0.0, f64::max)
}

/// What the loops for the CPU make of tensors, and what kernels do.
trait Pair {
    fn theirs(&self, args: &[Tensor]) -> Result<Vec<Tensor>>;
    fn ours(&self, on: &Host, args: &[Tensor]) -> Result<Vec<Tensor>>;

    /// In float64 and float32, the same bits in whatever order threads and blocks run; and with any argument changed the difference is seen.
    fn check(&self, args: &[Tensor]) {
        let Some(hosts) = &*HOSTS else { return };
        let theirs = self.theirs(args).unwrap();
        let error = off(&self.ours(&hosts.ordered, args).unwrap(), &theirs);
        assert!(error < 1e-11, "float64: {error}");
        let cast = |arg: &Tensor| if arg.dtype() == DType::F64 { arg.to_dtype(DType::F32) } else { Ok(arg.clone()) };
        let singles: Vec<Tensor> = args.iter().map(|arg| cast(arg).unwrap()).collect();
        let first = self.ours(&hosts.ordered, &singles).unwrap();
        let error = off(&first, &theirs);
        assert!(error < 2e-4, "float32: {error}");
        assert!(off(&self.ours(&hosts.ordered, &singles).unwrap(), &first) == 0.0, "another order, another sum");
        for i in (0..args.len()).filter(|&i| args[i].dtype() == DType::F64) {
            let mut args = args.to_vec();
            args[i] = args[i].affine(-2.0, 1.0).unwrap();
            assert!(off(&self.ours(&hosts.ordered, &args).unwrap(), &theirs) > 1e-3, "argument {i} does not matter");
        }
    }

    /// The control: without barriers the same comparison fails.
    fn needs_barriers(&self, args: &[Tensor]) {
        let Some(hosts) = &*HOSTS else { return };
        let theirs = self.theirs(args).unwrap();
        assert!(off(&self.ours(&hosts.unordered, args).unwrap(), &theirs) > 1e-6);
    }
}

/// The value of an operation and the gradients of its sum weighted by the last argument, by the other ones.
fn with_gradients(args: &[Tensor], f: impl Fn(&[Tensor]) -> Result<Tensor>) -> Result<Vec<Tensor>> {
    let (weights, args) = args.split_last().unwrap();
    let vars = args.iter().map(Var::from_tensor).collect::<Result<Vec<_>>>()?;
    let y = f(&vars.iter().map(|var| var.as_tensor().clone()).collect::<Vec<_>>())?;
    let grads = (&y * weights)?.sum_all()?.backward()?;
    let grads = vars.iter().map(|var| grads.get(var).unwrap().clone());
    Ok(std::iter::once(y.detach()).chain(grads).collect())
}

struct BatchNorm {
    rectified: bool,
}

impl Pair for BatchNorm {
    fn theirs(&self, args: &[Tensor]) -> Result<Vec<Tensor>> {
        with_gradients(args, |args| Ok(op::norm::batch_norm(&args[0], &args[1], &args[2], 1e-5, self.rectified)?.0))
    }

    fn ours(&self, on: &Host, args: &[Tensor]) -> Result<Vec<Tensor>> {
        let [x, gamma, beta, grad] = args else { unreachable!() };
        let moments = norm::moments(on, x, gamma, 1e-5)?;
        let y = norm::affine(on, x, [&moments.mean, &moments.factor, beta], self.rectified)?.tensor();
        let rectified = self.rectified.then_some(&y);
        let grads = norm::batch_gradients(on, x, [&moments.mean, &moments.variance, gamma], 1e-5, grad, rectified)?;
        Ok(std::iter::once(y.clone()).chain(grads).collect())
    }
}

struct LayerNorm;

impl Pair for LayerNorm {
    fn theirs(&self, args: &[Tensor]) -> Result<Vec<Tensor>> {
        with_gradients(args, |args| op::layer_norm::layer_norm(&args[0], &args[1], &args[2], 1e-5))
    }

    fn ours(&self, on: &Host, args: &[Tensor]) -> Result<Vec<Tensor>> {
        let [x, gamma, beta, grad] = args else { unreachable!() };
        let (y, [mean, inverse]) = norm::layer_norm(on, x, [gamma, beta], 1e-5)?;
        let grads = norm::layer_gradients(on, x, [&mean, &inverse], gamma, grad)?;
        Ok(std::iter::once(y.tensor()).chain(grads).collect())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// One span and many of them, few columns and more than a block has. No offset is negative: else all of a channel may be rectified, and then
    /// nothing but the offset matters.
    #[test]
    fn batch_norm_is_that_of_the_cpu(rows in prop_oneof![5usize..20, 100usize..700], channels in 1usize..70, rectified: bool) {
        let dims = [rows, channels];
        let beta = random(&[channels], 3).abs().unwrap();
        let args = [random(&dims, 1), random(&[channels], 2), beta, random(&dims, 4)];
        BatchNorm { rectified }.check(&args);
    }

    #[test]
    fn layer_norm_is_that_of_the_cpu(rows in 2usize..300, columns in 8usize..200) {
        let dims = [rows, columns];
        LayerNorm.check(&[random(&dims, 1), random(&[columns], 2), random(&[columns], 3), random(&dims, 4)]);
    }
}

#[test]
fn sums_over_threads_need_their_barriers() {
    let dims = [300, 40];
    let args = [random(&dims, 1), random(&[40], 2), random(&[40], 3), random(&dims, 4)];
    BatchNorm { rectified: true }.needs_barriers(&args);
    LayerNorm.needs_barriers(&args);
    Bounds.needs_barriers(&[args[0].clone(), (random(&dims, 2) + &args[0]).unwrap()]);
    CrossEntropy { labels: labels(300, 40), smoothing: 0.1 }.needs_barriers(&[args[0].clone(), random(&[], 5)]);
}

#[test]
fn a_channel_of_equal_numbers_becomes_its_shift_however_large_they_are() {
    let Some(hosts) = &*HOSTS else { return };
    let x = Tensor::new(&[3.7e6f32, -1.1e-3, 9.3e20], &Device::Cpu).unwrap().broadcast_as((700, 3)).unwrap();
    let (gamma, beta) =
        (Tensor::new(&[2f32; 3], &Device::Cpu).unwrap(), Tensor::new(&[0.3f32, -0.2, 0.1], &Device::Cpu).unwrap());
    let moments = norm::moments(&hosts.ordered, &x, &gamma, 1e-5).unwrap();
    let y = norm::affine(&hosts.ordered, &x, [&moments.mean, &moments.factor, &beta], false).unwrap().tensor();
    assert!(y.to_vec2::<f32>().unwrap().iter().all(|row| row == &[0.3, -0.2, 0.1]));
}

struct CrossEntropy {
    labels: Tensor,
    smoothing: f64,
}

fn labels(rows: usize, classes: usize) -> Tensor {
    let labels: Vec<u32> = (0..rows).map(|row| (row * row % classes) as u32).collect();
    Tensor::from_vec(labels, rows, &Device::Cpu).unwrap()
}

impl Pair for CrossEntropy {
    fn theirs(&self, args: &[Tensor]) -> Result<Vec<Tensor>> {
        with_gradients(args, |args| op::loss::cross_entropy(&args[0], &self.labels, self.smoothing))
    }

    fn ours(&self, on: &Host, args: &[Tensor]) -> Result<Vec<Tensor>> {
        let [logits, grad] = args else { unreachable!() };
        let mean = loss::cross_entropy(on, logits, &self.labels, self.smoothing)?.tensor();
        Ok(vec![mean, loss::cross_entropy_gradient(on, [logits, &self.labels, grad], self.smoothing)?])
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn cross_entropy_is_that_of_the_cpu(
        rows in 1usize..200, classes in 2usize..300, (smoothing, far) in prop_oneof![Just((0.0, 1.0)), Just((0.1, 300.0))],
    ) {
        let logits = random(&[rows, classes], 1).affine(far, 0.0).unwrap();
        CrossEntropy { labels: labels(rows, classes), smoothing }.check(&[logits, random(&[], 2)]);
    }
}

#[derive(Debug, Clone, Copy)]
enum Over {
    Max,
    Average,
    All,
    Patches,
}

/// An operation on windows over images.
struct Windows {
    over: Over,
    window: Window,
    geometry: Geometry,
}

impl Pair for Windows {
    fn theirs(&self, args: &[Tensor]) -> Result<Vec<Tensor>> {
        let window = self.window;
        match self.over {
            Over::Max => with_gradients(args, |args| op::pool::max_pool(&args[0], window)),
            Over::Average => with_gradients(args, |args| op::pool::average_pool(&args[0], window)),
            Over::All => with_gradients(args, |args| op::pool::global_average_pool(&args[0])),
            Over::Patches => Ok(vec![window.patches(&args[0])?, window.add_patches(&args[1], &args[0])?]),
        }
    }

    fn ours(&self, on: &Host, args: &[Tensor]) -> Result<Vec<Tensor>> {
        let ([x, grad], g) = (args, &self.geometry) else { unreachable!() };
        Ok(match self.over {
            Over::Max => {
                let (y, winners) = pool::max(on, g, x)?;
                vec![y.tensor(), pool::max_gradient(on, g, grad, &winners)?]
            }
            Over::Average => vec![pool::average(on, g, x)?.tensor(), pool::average_gradient(on, g, grad)?],
            Over::All => vec![pool::global_average(on, x)?.tensor(), pool::global_average_gradient(on, x, grad)?],
            Over::Patches => vec![window::patches(on, g, x)?, window::add_patches(on, g, grad)?],
        })
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn windows_over_images_are_those_of_the_cpu(
        over in prop_oneof![Just(Over::Max), Just(Over::Average), Just(Over::All), Just(Over::Patches)],
        (kernel, padding) in (1usize..5).prop_flat_map(|kernel| (Just(kernel), 0..=kernel / 2)),
        stride in 1usize..4, height in 4usize..9, width in 4usize..9, inputs in 1usize..7,
    ) {
        let window = Window { kernel, stride, padding };
        let geometry = Geometry { batch: 2, height, width, inputs, outputs: inputs, kernel, stride, padding };
        let [rows, columns] = [geometry.out_height(), geometry.out_width()];
        let pooled = match over {
            Over::All => vec![2, inputs],
            Over::Patches => vec![geometry.pixels(), geometry.patch()],
            Over::Max | Over::Average => vec![2, rows, columns, inputs],
        };
        // Whole numbers, so that there are equals among the maxima.
        let x = whole_numbers(&[2, height, width, inputs], 1);
        Windows { over, window, geometry }.check(&[x, random(&pooled, 2)]);
    }
}

/// Functions of each element, all at once: of tensors of which the second is positive.
struct Elements;

const ADAM: Adam = Adam { betas: [0.9, 0.99], corrections: [0.19, 0.14], eps: 1e-3, belief: false };

impl Pair for Elements {
    fn theirs(&self, args: &[Tensor]) -> Result<Vec<Tensor>> {
        let [a, b, c] = args else { unreachable!() };
        let gelu = with_gradients(&[a.clone(), c.clone()], |args| op::gelu::gelu(&args[0]))?;
        let relu = with_gradients(&[a.clone(), c.clone()], |args| op::relu::relu(&args[0]))?;
        let own = [
            op::relu::add(a, c)?,
            op::relu::add_relu(a, c)?,
            linalg::scale(0.3, a)?,
            linalg::combine(0.3, a, -2.0, c)?,
            linalg::root_of_average(0.9, b, c)?,
            linalg::over_root(a, b, 0.7, 1e-3)?,
        ];
        let belief = Adam { belief: true, ..ADAM };
        let adam = [linalg::adam([a, b, c], &ADAM)?, linalg::adam([a, b, c], &belief)?];
        Ok(gelu.into_iter().chain(relu).chain(own).chain(adam.into_iter().flatten()).collect())
    }

    fn ours(&self, on: &Host, args: &[Tensor]) -> Result<Vec<Tensor>> {
        use elementwise::{
            adam, add, add_relu, combine, gate, gelu, gelu_gradient, over_root, relu, root_of_average, scale,
        };
        let [a, b, c] = args else { unreachable!() };
        let gelu = [gelu(on, a)?.tensor(), gelu_gradient(on, a, c)?];
        let y = relu(on, a)?.tensor();
        let relu = [y.clone(), gate(on, &y, c)?];
        let own = [
            add(on, a, c)?,
            add_relu(on, a, c)?.tensor(),
            scale(on, 0.3, a)?,
            combine(on, 0.3, a, -2.0, c)?,
            root_of_average(on, 0.9, b, c)?,
            over_root(on, a, b, 0.7, 1e-3)?,
        ];
        let belief = Adam { belief: true, ..ADAM };
        let adam = [adam(on, [a, b, c], &ADAM)?, adam(on, [a, b, c], &belief)?];
        Ok(gelu.into_iter().chain(relu).chain(own).chain(adam.into_iter().flatten()).collect())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn functions_of_each_element_are_those_of_the_cpu(count in 1usize..2000) {
        let positive = random(&[count], 2).abs().unwrap();
        Elements.check(&[random(&[count], 1), (positive + 0.1).unwrap(), random(&[count], 3)]);
    }
}

/// Two tensors brought to a length, and below limits of which the last is none: of tensors that lie less than a right angle apart.
struct Bounds;

impl Pair for Bounds {
    fn theirs(&self, args: &[Tensor]) -> Result<Vec<Tensor>> {
        let [a, b] = args else { unreachable!() };
        let mut bounded = vec![linalg::to_norm_of(a, b, 0.1)?];
        for limit in [0.1, 0.5, 1e6] {
            let mut both = [a.clone(), b.clone()];
            linalg::clip(&mut both, limit, 0.1)?;
            let mut change = [(a.clone(), b.clone())];
            linalg::kl_clip(&mut change, limit, 0.3)?;
            let [(_, direction)] = change;
            bounded.extend(both.into_iter().chain([direction]));
        }
        Ok(bounded)
    }

    fn ours(&self, on: &Host, args: &[Tensor]) -> Result<Vec<Tensor>> {
        let [a, b] = args else { unreachable!() };
        let inner = |pairs: &[[&Tensor; 2]]| bounds::inner(on, pairs.iter().copied(), &Device::Cpu);
        let mut bounded = vec![bounds::to_norm(on, a, [&inner(&[[a, a]])?, &inner(&[[b, b]])?], 0.1)?];
        let (square, product) = (inner(&[[a, a], [b, b]])?, inner(&[[a, b]])?);
        for limit in [0.1f64, 0.5, 1e6] {
            bounded.push(bounds::bounded(on, a, &square, limit, 0.1)?);
            bounded.push(bounds::bounded(on, b, &square, limit, 0.1)?);
            bounded.push(bounds::bounded(on, b, &product, limit.sqrt() / 0.3, 0.0)?);
        }
        Ok(bounded)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    /// Of one span and of several.
    #[test]
    fn bounds_are_those_of_the_cpu(count in prop_oneof![2usize..300, 4000usize..20000]) {
        let a = random(&[count], 1);
        let beside = (random(&[count], 2) + &a).unwrap();
        Bounds.check(&[a, beside]);
    }
}

#[test]
fn an_inner_product_that_is_not_positive_bounds_nothing() {
    let a = random(&[50], 1);
    let mut change = [(a.clone(), a.neg().unwrap())];
    linalg::kl_clip(&mut change, 1e-6, 1.0).unwrap();
    assert_eq!(off(&[change[0].1.clone()], &[a.neg().unwrap()]), 0.0);
    let Some(hosts) = &*HOSTS else { return };
    let inner = bounds::inner(&hosts.ordered, [[&a, &change[0].1]], &Device::Cpu).unwrap();
    let ours = bounds::bounded(&hosts.ordered, &change[0].1, &inner, 1e-3, 0.0).unwrap();
    assert_eq!(off(&[ours], &[a.neg().unwrap()]), 0.0);
}

/// What surrounds a factorisation of a square matrix.
struct Around;

impl Pair for Around {
    fn theirs(&self, args: &[Tensor]) -> Result<Vec<Tensor>> {
        let (x, order) = (&args[0], args[0].dim(0)?);
        let upper = Tensor::triu2(order, DType::F64, &Device::Cpu)?;
        let above = (&upper - Tensor::eye(order, DType::F64, &Device::Cpu)?)?;
        let damped = (x + (Tensor::eye(order, DType::F64, &Device::Cpu)? * 0.3)?)?;
        Ok(vec![damped, ((x * upper)? + (x * above)?.t()?)?])
    }

    fn ours(&self, on: &Host, args: &[Tensor]) -> Result<Vec<Tensor>> {
        Ok(vec![matrix::damped(on, &args[0], 0.3)?.tensor(), matrix::mirrored(on, &args[0])?])
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn what_surrounds_a_factorisation_is_that_of_the_cpu(order in 1usize..40) {
        Around.check(&[random(&[order, order], 1)]);
    }
}
