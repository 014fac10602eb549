//! What a trial is to learn: its loss with the Fisher matrix that goes with it, and what it is judged by.

use candle_core::{D, DType, Result, Tensor};

use super::config::{Config, Loss};
use crate::data::DataConfig;
use crate::nn::op::loss::one_hot;
use crate::nn::zoo::{Images, Input, Shape};
use crate::nn::{bernoulli, cross_entropy, sigmoid, softmax, squared};
use crate::random::Random;
use crate::record::{Goal, Metric};

/// A kind of task. What it asks of a net follows from the data, and of numbers from the loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// The class of an image, by cross-entropy.
    Classes,
    /// The next token, at every token of a text, by cross-entropy.
    Tokens,
    /// So many numbers for each example, by half the sum of squared errors.
    Squared(usize),
    /// So many numbers in [0, 1] for each example, by sigmoid cross-entropy: outputs are logits.
    Bernoulli(usize),
}

/// Means over a set of examples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Score {
    pub loss: f64,
    /// What the task is judged by; where that is the loss, the same again.
    pub value: f64,
    pub goal: Goal,
}

impl Task {
    /// That of a trial.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        match config.data.numbers() {
            Some(numbers) if config.loss == Some(Loss::Bernoulli) => Self::Bernoulli(numbers),
            Some(numbers) => Self::Squared(numbers),
            None if config.data.kind.is_text() => Self::Tokens,
            None => Self::Classes,
        }
    }

    /// What it is judged by.
    #[must_use]
    pub const fn goal(self) -> Goal {
        match self {
            Self::Classes => Goal::ACCURACY,
            Self::Tokens => Goal::LOSS,
            Self::Squared(_) | Self::Bernoulli(_) => Goal::SQUARED_ERROR,
        }
    }

    /// The mean loss of a net's outputs, `…×K`, over all targets; smoothing moves targets towards all classes.
    pub fn loss(self, outputs: &Tensor, targets: &Tensor, smoothing: f64) -> Result<Tensor> {
        match self {
            Self::Classes | Self::Tokens => cross_entropy(outputs, targets, smoothing),
            Self::Squared(_) => squared(outputs, targets),
            Self::Bernoulli(_) => bernoulli(outputs, targets),
        }
    }

    /// How many terms the loss is a mean over.
    #[must_use]
    pub fn terms(self, targets: &Tensor) -> usize {
        match self {
            Self::Classes | Self::Tokens => targets.elem_count(),
            Self::Squared(numbers) | Self::Bernoulli(numbers) => targets.elem_count() / numbers,
        }
    }

    /// The sum, over all terms of the loss, of what the task is judged by; `None` where that is the loss itself.
    pub fn measure(self, outputs: &Tensor, targets: &Tensor) -> Result<Option<Tensor>> {
        match self {
            Self::Classes => {
                let hits = outputs.detach().argmax(D::Minus1)?.eq(targets)?;
                Ok(Some(hits.to_dtype(DType::F64)?.sum_all()?))
            }
            Self::Tokens => Ok(None),
            Self::Squared(numbers) | Self::Bernoulli(numbers) => {
                let errors = (self.means(outputs)?.to_dtype(DType::F64)? - targets.to_dtype(DType::F64)?)?;
                Ok(Some((errors.sqr()?.sum_all()? / numbers as f64)?))
            }
        }
    }

    /// Targets drawn from the distribution that the outputs stand for.
    pub fn sample(self, outputs: &Tensor, random: &mut Random) -> Result<Tensor> {
        match self {
            Self::Classes | Self::Tokens => classes(&softmax(outputs)?, random),
            Self::Squared(_) => {
                let noise: Vec<f64> = (0..outputs.elem_count()).map(|_| random.normal()).collect();
                let noise = Tensor::from_vec(noise, outputs.dims(), outputs.device())?.to_dtype(outputs.dtype())?;
                outputs.detach() + noise
            }
            Self::Bernoulli(_) => {
                let drawn: Vec<f64> = (0..outputs.elem_count()).map(|_| random.uniform()).collect();
                let drawn = Tensor::from_vec(drawn, outputs.dims(), outputs.device())?.to_dtype(outputs.dtype())?;
                drawn.lt(&self.means(outputs)?)?.to_dtype(outputs.dtype())
            }
        }
    }

    /// Column `c`, of as many as there are outputs, of S with `SSᵀ` the Hessian of a term of the loss by its outputs, a row a term.
    pub fn root(self, outputs: &Tensor, c: usize) -> Result<Tensor> {
        match self {
            // `diag(p) − ppᵀ`: `√p_c (e_c − p)`.
            Self::Classes | Self::Tokens => {
                let probabilities = softmax(outputs)?;
                let [terms @ .., classes] = probabilities.dims() else { candle_core::bail!("a scalar has no classes") };
                let unit = one_hot(&Tensor::full(c as u32, terms, outputs.device())?, *classes, &probabilities)?;
                (unit - &probabilities)?.broadcast_mul(&probabilities.narrow(D::Minus1, c, 1)?.sqrt()?)
            }
            // The identity, or `diag(p(1 − p))`.
            Self::Squared(numbers) | Self::Bernoulli(numbers) => {
                let column = Tensor::full(c as u32, outputs.dim(0)?, outputs.device())?;
                let unit = one_hot(&column, numbers, &outputs.detach())?;
                if let Self::Squared(_) = self {
                    return Ok(unit);
                }
                let p = self.means(outputs)?;
                unit * (&p - p.sqr()?)?.sqrt()?
            }
        }
    }

    /// All that is recorded of a score.
    #[must_use]
    pub fn metrics(self, score: Score) -> Vec<(Metric, f64)> {
        let loss = (Metric::Loss, score.loss);
        match self {
            Self::Classes => vec![loss, (Metric::Accuracy, score.value)],
            Self::Tokens => vec![loss, (Metric::BitsPerCharacter, score.loss / std::f64::consts::LN_2)],
            Self::Squared(_) | Self::Bernoulli(_) => vec![loss, (Metric::SquaredError, score.value)],
        }
    }

    /// The means of the distribution that the outputs stand for, numbers as they are to be given.
    fn means(self, outputs: &Tensor) -> Result<Tensor> {
        if let Self::Bernoulli(_) = self { sigmoid(&outputs.detach()) } else { Ok(outputs.detach()) }
    }
}

/// What the net is to take and give for the data of a trial.
#[must_use]
pub fn shape(data: &DataConfig) -> Shape {
    let crate::data::Shape { channels, height, width, classes } = data.shape();
    let classes = data.numbers().unwrap_or(classes);
    if data.kind.is_text() {
        return Shape { input: Input::Tokens { vocabulary: classes, context: data.context() }, outputs: classes };
    }
    if data.shape().is_vector() {
        return Shape { input: Input::Vectors { size: channels }, outputs: classes };
    }
    Images { channels, height, width, classes }.into()
}

/// One class a row of `probabilities`, `…×K`, drawn from them.
fn classes(probabilities: &Tensor, random: &mut Random) -> Result<Tensor> {
    let classes = probabilities.dim(D::Minus1)?;
    let rows = probabilities.to_dtype(DType::F64)?.flatten_all()?.to_vec1::<f64>()?;
    let draw = |row: &[f64]| {
        let mut left = random.uniform();
        let class = row.iter().position(|probability| {
            left -= probability;
            left < 0.0
        });
        class.unwrap_or(row.len() - 1) as u32
    };
    let labels: Vec<u32> = rows.chunks_exact(classes).map(draw).collect();
    Tensor::from_vec(labels, &probabilities.dims()[..probabilities.rank() - 1], probabilities.device())
}

#[cfg(test)]
mod tests {
    use super::Task;
    use crate::random::Random;
    use crate::record::{Goal, Metric};
    use crate::train::Score;
    use candle_core::{DType, Device, Result, Tensor, Var};

    const TASKS: [Task; 2] = [Task::Squared(2), Task::Bernoulli(2)];

    /// Outputs and targets of three examples.
    fn given() -> Result<(Var, Tensor)> {
        let outputs = Var::new(&[[1.0f64, 2.0], [3.0, 5.0], [0.0, -1.0]], &Device::Cpu)?;
        let targets = Tensor::new(&[[1.0f32, 0.0], [0.0, 5.0], [0.0, -1.0]], &Device::Cpu)?;
        Ok((outputs, targets))
    }

    #[test]
    fn the_loss_of_numbers_is_half_the_squared_error_and_its_slope_the_error() {
        let (task, (outputs, targets)) = (TASKS[0], given().unwrap());
        let loss = task.loss(&outputs, &targets, 0.0).unwrap();
        // (2² + 3²) / 2 over three examples.
        let value = loss.to_scalar::<f64>().unwrap();
        assert!((value - 13.0 / 6.0).abs() < 1e-12);
        let grads = loss.backward().unwrap();
        let slope = grads.get(&outputs).unwrap().to_vec2::<f64>().unwrap();
        assert_eq!(slope, [[0.0, 2.0 / 3.0], [1.0, 0.0], [0.0, 0.0]]);
        assert_eq!((task.terms(&targets), task.goal()), (3, Goal::SQUARED_ERROR));
        // 13 over six numbers.
        let sum = task.measure(&outputs, &targets).unwrap().unwrap().to_scalar::<f64>().unwrap();
        assert!((sum / 3.0 - 13.0 / 6.0).abs() < 1e-12);
    }

    #[test]
    fn of_logits_the_squared_error_is_that_of_their_probabilities() {
        let outputs = Tensor::new(&[[0.0f64, 3f64.ln()]], &Device::Cpu).unwrap();
        let targets = Tensor::new(&[[1.0f32, 0.5]], &Device::Cpu).unwrap();
        let sum = TASKS[1].measure(&outputs, &targets).unwrap().unwrap().to_scalar::<f64>().unwrap();
        // 1/2 and 3/4.
        assert!((sum - f64::midpoint(0.25, 0.0625)).abs() < 1e-12);
        let score = Score { loss: 7.0, value: sum, goal: Goal::SQUARED_ERROR };
        assert_eq!(TASKS[1].metrics(score), [(Metric::Loss, 7.0), (Metric::SquaredError, sum)]);
    }

    #[test]
    fn the_columns_of_the_root_make_up_the_hessian() {
        let (outputs, targets) = given().unwrap();
        for task in TASKS {
            let columns: Vec<Tensor> = (0..2).map(|c| task.root(&outputs, c).unwrap()).collect();
            let slope = |outputs: &Tensor| {
                let outputs = Var::from_tensor(outputs).unwrap();
                let grads = task.loss(&outputs, &targets, 0.0).unwrap().backward().unwrap();
                grads.get(&outputs).unwrap().to_vec2::<f64>().unwrap()
            };
            let step = 1e-5;
            for j in 0..2 {
                let aside = Tensor::new(&[[f64::from(j == 0), f64::from(j == 1)]], &Device::Cpu).unwrap();
                let at = |step: f64| slope(&outputs.broadcast_add(&(&aside * step).unwrap()).unwrap());
                for (term, (before, after)) in at(-step).iter().zip(at(step)).enumerate() {
                    for i in 0..2 {
                        let entry = |column: &Tensor, k| column.to_vec2::<f64>().unwrap()[term][k];
                        let hessian: f64 = columns.iter().map(|column| entry(column, i) * entry(column, j)).sum();
                        // The Hessian of the mean is a third of each term's.
                        let numeric = 3.0 * (after[i] - before[i]) / (2.0 * step);
                        assert!((numeric - hessian).abs() < 1e-8, "{task:?}: {numeric} {hessian}");
                    }
                }
            }
        }
        // Control: the one is not the other.
        let other = TASKS.map(|task| task.root(&outputs, 0).unwrap().to_vec2::<f64>().unwrap());
        assert!((other[0][0][0] - other[1][0][0]).abs() > 0.1);
    }

    #[test]
    fn what_is_drawn_has_the_mean_and_the_variance_of_what_outputs_say() {
        let outputs = Tensor::full(0.5f64, (5000, 2), &Device::Cpu).unwrap();
        let p = 1.0 / (1.0 + (-0.5f64).exp());
        for (task, mean, variance) in [(TASKS[0], 0.5, 1.0), (TASKS[1], p, p * (1.0 - p))] {
            let drawn = task.sample(&outputs, &mut Random::new(1, "numbers")).unwrap();
            assert_eq!(drawn.dtype(), DType::F64);
            let off = (drawn - mean).unwrap();
            let mean = off.mean_all().unwrap().to_scalar::<f64>().unwrap();
            let square = off.sqr().unwrap().mean_all().unwrap().to_scalar::<f64>().unwrap();
            assert!(mean.abs() < 0.04 && (square / variance - 1.0).abs() < 0.06, "{task:?}: {mean} {square}");
        }
    }
}
