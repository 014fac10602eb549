//! Values that have the right type and are impossible all the same.

use crate::config::{self, Value};
use crate::optim::{
    Damping, Eigenvalues, InverterConfig, KfacConfig, OptimizerConfig, Precondition, Rescale, ShampooConfig, Start,
    Update,
};
use crate::train::{Config, Dtype, Schedule, shape};

/// What is wrong with one key.
#[derive(Debug)]
pub struct Problem {
    pub path: String,
    /// Follows the path: `must be at least 1 (got 0)`.
    pub message: String,
    pub hint: Option<String>,
}

impl Problem {
    /// As an error at the place in `value` where the key was written.
    pub fn at(self, value: &Value) -> config::Error {
        let error = config::Error::at(value.locate(&self.path), format!("`{}` {}", self.path, self.message));
        match self.hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }
}

/// Collects problems.
#[derive(Default)]
struct Check(Vec<Problem>);

impl Check {
    fn fail(&mut self, path: &str, message: String) {
        self.0.push(Problem { path: path.to_owned(), message, hint: None });
    }

    fn hint(&mut self, hint: &str) {
        if let Some(problem) = self.0.last_mut() {
            problem.hint = Some(hint.to_owned());
        }
    }

    fn at_least_one(&mut self, path: &str, value: usize) {
        if value == 0 {
            self.fail(path, "must be at least 1 (got 0)".into());
        }
    }

    /// From 1 to `most`: further out numbers overflow before they make sense.
    fn count(&mut self, path: &str, value: usize, most: usize) {
        if value > most {
            self.fail(path, format!("must be at most {most} (got {value})"));
        }
        self.at_least_one(path, value);
    }

    fn positive(&mut self, path: &str, value: f64) {
        if !(value > 0.0 && value.is_finite()) {
            self.fail(path, format!("must be greater than 0 (got {value})"));
        }
    }

    fn not_negative(&mut self, path: &str, value: f64) {
        if !(value >= 0.0 && value.is_finite()) {
            self.fail(path, format!("must be at least 0 (got {value})"));
        }
    }

    /// In [0, 1).
    fn share(&mut self, path: &str, value: f64) {
        if !(0.0..1.0).contains(&value) {
            self.fail(path, format!("must be at least 0 and below 1 (got {value})"));
        }
    }
}

/// The first thing that is impossible.
pub fn first_problem(config: &Config) -> Option<Problem> {
    let mut check = Check::default();
    check.count("epochs", config.epochs, 1_000_000);
    check.count("batch", config.batch, 1_000_000);
    check.share("label_smoothing", config.label_smoothing);
    check.count("accumulate", config.accumulate, config.batch.max(1));
    if config.accumulate > 0 && !config.batch.is_multiple_of(config.accumulate) {
        let (parts, batch) = (config.accumulate, config.batch);
        check.fail("accumulate", format!("is {parts}, which does not divide the batch of {batch}"));
    }
    if let Some(path) = config.init_from.as_ref().filter(|path| !path.is_file()) {
        check.fail("init_from", format!("is `{}`, where no file is", path.display()));
    }
    schedule(&mut check, &config.schedule, config.epochs);
    data(&mut check, config);
    optimizer(&mut check, &config.optimizer);
    eps(&mut check, config);
    grouped(&mut check, config);
    check.0.into_iter().next()
}

/// A number that the net's own numbers have no room for would divide by zero.
fn eps(check: &mut Check, config: &Config) {
    let eps = match config.optimizer.update {
        Update::Adam { eps, .. }
        | Update::Radam { eps, .. }
        | Update::Adabelief { eps, .. }
        | Update::Muon { eps, .. } => eps,
        Update::Sgd { .. } => return,
    };
    if config.dtype == Dtype::F32 && eps > 0.0 && eps as f32 == 0.0 {
        check.fail("optimizer.update.eps", format!("is {eps:e}, which is 0 in float32"));
        check.hint("1e-8 is usual; dtype = \"f64\" takes smaller ones");
    }
}

/// A preconditioner would pass over convolutions whose factors would be block-diagonal, and nobody would see it in the results.
fn grouped(check: &mut Check, config: &Config) {
    if config.model.has_grouped() && config.optimizer.precondition.is_some() {
        let name = config.model.name();
        check.fail("model", format!("is `{name}`, whose grouped convolutions have no curvature to precondition with"));
        check.hint("an optimizer without `precondition`, such as sgd, adamw or muon, or another net");
    }
}

/// The first thing that is impossible in an optimizer; its path starts with `optimizer`.
pub fn problem_of_optimizer(optimizer: &OptimizerConfig) -> Option<Problem> {
    let mut check = Check::default();
    self::optimizer(&mut check, optimizer);
    check.0.into_iter().next()
}

fn optimizer(check: &mut Check, optimizer: &OptimizerConfig) {
    if let Some(limit) = optimizer.clip_norm {
        check.positive("optimizer.clip_norm", limit);
    }
    match &optimizer.precondition {
        Some(Precondition::Kfac(kfac)) => self::kfac(check, kfac),
        Some(Precondition::Shampoo(shampoo)) => self::shampoo(check, shampoo),
        None => {}
    }
    update(check, &optimizer.update);
}

fn schedule(check: &mut Check, schedule: &Schedule, epochs: usize) {
    // A rate of 0 is a control: nothing may be learned.
    check.not_negative("schedule.lr", schedule.peak());
    if schedule.warmup() >= epochs.max(1) {
        let warmup = schedule.warmup();
        check.fail("schedule.warmup", format!("must be less than the {epochs} epochs (got {warmup})"));
    }
    match schedule {
        Schedule::Cosine { floor, .. } if !(0.0..=1.0).contains(floor) => {
            check.fail("schedule.floor", format!("must be a share of `lr` from 0 to 1 (got {floor})"));
        }
        Schedule::Constant { .. } | Schedule::Cosine { .. } => {}
        Schedule::Steps { factor, .. } => check.positive("schedule.factor", *factor),
    }
}

fn data(check: &mut Check, config: &Config) {
    let data = &config.data;
    let all = data.kind.train_len();
    if data.validation >= all {
        check.fail("data.validation", format!("is {}, less than the {all} training images expected", data.validation));
    } else if data.train_limit.is_some_and(|limit| limit == 0 || limit > all - data.validation) {
        let (limit, left) = (data.train_limit.unwrap_or_default(), all - data.validation);
        check.fail("data.train_limit", format!("is {limit}, from 1 to {left} images expected"));
    } else if config.batch > data.train_len() {
        let images = data.train_len();
        check.fail("batch", format!("is {}, but there are only {images} training images", config.batch));
        check.hint("the last incomplete batch is dropped in training, so that nothing would be left");
    }
    if let Err(message) = crate::data::check_augment(&data.augment, data.kind.is_folder()) {
        check.fail("data.augment", format!("cannot be done to `{}`: {message}", data.kind.name()));
    }
    if data.skip_broken && !data.kind.is_folder() {
        check.fail("data.skip_broken", format!("is `true`, but `{}` has no image files", data.kind.name()));
    }
    if let Err(message) = config.model.check(shape(data)) {
        check.fail("model", format!("cannot be built for `{}`: {message}", data.kind.name()));
    }
}

fn kfac(check: &mut Check, kfac: &KfacConfig) {
    let key = |name: &str| format!("optimizer.precondition.{name}");
    check.at_least_one(&key("factor_every"), kfac.factor_every);
    check.at_least_one(&key("inverse_every"), kfac.inverse_every);
    check.share(&key("moments.decay"), kfac.moments.decay);
    damping(check, kfac.damping);
    let is_joint = matches!(kfac.damping, Damping::Joint { .. });
    if is_joint && !matches!(kfac.inverter, InverterConfig::Eigen { .. }) {
        let inverter = kfac.inverter.name();
        check.fail(&key("damping.kind"), format!("is `joint`, which the inverter `{inverter}` cannot do"));
        check.hint("joint damping needs eigenvalues: inverter = { kind = \"eigen\" }");
    }
    if let Eigenvalues::Corrected { decay } = kfac.eigenvalues {
        check.share(&key("eigenvalues.decay"), decay);
        if !is_joint {
            check.fail(&key("eigenvalues.kind"), "is `corrected`, which needs joint damping".into());
            check.hint("damping = { kind = \"joint\", value = 1e-3 }, inverter = { kind = \"eigen\" }");
        }
    }
    if kfac.moments.keeps_rows() && kfac.moments.start != Start::Zero {
        check.fail(&key("moments.start"), "is not `zero`, but with a decay of 0 no average is kept".into());
    }
    match kfac.inverter {
        InverterConfig::Newton { steps, exact_every, .. } => {
            check.at_least_one(&key("inverter.steps"), steps);
            check.at_least_one(&key("inverter.exact_every"), exact_every);
        }
        InverterConfig::NewtonPure { steps }
        | InverterConfig::NewtonOptimal { steps }
        | InverterConfig::NewtonScaled { steps } => check.at_least_one(&key("inverter.steps"), steps),
        InverterConfig::Hyperpower { steps, order } => {
            check.at_least_one(&key("inverter.steps"), steps);
            if order < 2 {
                check.fail(&key("inverter.order"), format!("must be at least 2 (got {order})"));
            }
        }
        InverterConfig::Eigen { cutoff } => check.not_negative(&key("inverter.cutoff"), cutoff),
        InverterConfig::Woodbury {} if !kfac.moments.keeps_rows() => {
            check.fail(&key("inverter.kind"), "is `woodbury`, which inverts the rows of one batch".into());
            check.hint("moments = { rows = \"pooled\", decay = 0.0, start = \"zero\" } keeps them");
        }
        InverterConfig::Cholesky {}
        | InverterConfig::Lu {}
        | InverterConfig::Woodbury {}
        | InverterConfig::Diagonal {}
        | InverterConfig::Identity {} => {}
    }
    rescale(check, kfac.rescale);
}

fn shampoo(check: &mut Check, shampoo: &ShampooConfig) {
    let key = |name: &str| format!("optimizer.precondition.{name}");
    check.at_least_one(&key("factor_every"), shampoo.factor_every);
    check.at_least_one(&key("root_every"), shampoo.root_every);
    if !(0.0..=1.0).contains(&shampoo.decay) {
        check.fail(&key("decay"), format!("must be from 0 to 1 (got {})", shampoo.decay));
    }
    damping(check, shampoo.damping);
    if matches!(shampoo.damping, Damping::Joint { .. }) {
        check.fail(&key("damping.kind"), "is `joint`, which roots of single factors cannot do".into());
    }
    rescale(check, shampoo.rescale);
}

fn damping(check: &mut Check, damping: Damping) {
    match damping {
        Damping::Relative { factor, floor } => {
            check.not_negative("optimizer.precondition.damping.factor", factor);
            check.positive("optimizer.precondition.damping.floor", floor);
        }
        Damping::Absolute { value } | Damping::Joint { value } => {
            check.positive("optimizer.precondition.damping.value", value);
        }
    }
}

fn rescale(check: &mut Check, rescale: Rescale) {
    if let Rescale::KlClip { limit } = rescale {
        check.positive("optimizer.precondition.rescale.limit", limit);
    }
}

fn update(check: &mut Check, update: &Update) {
    match *update {
        Update::Sgd { momentum, weight_decay, nesterov, .. } => {
            check.share("optimizer.update.momentum", momentum);
            check.not_negative("optimizer.update.weight_decay", weight_decay);
            if nesterov && momentum == 0.0 {
                check.fail("optimizer.update.nesterov", "is `true`, but there is no momentum".into());
            }
        }
        Update::Adam { betas, eps, weight_decay, .. }
        | Update::Radam { betas, eps, weight_decay }
        | Update::Adabelief { betas, eps, weight_decay } => {
            check.share("optimizer.update.betas", betas[0]);
            check.share("optimizer.update.betas", betas[1]);
            check.positive("optimizer.update.eps", eps);
            check.not_negative("optimizer.update.weight_decay", weight_decay);
        }
        Update::Muon { momentum, rounds, adam_ratio, betas, eps, weight_decay, .. } => {
            check.share("optimizer.update.momentum", momentum);
            check.at_least_one("optimizer.update.rounds", rounds);
            check.not_negative("optimizer.update.adam_ratio", adam_ratio);
            check.share("optimizer.update.betas", betas[0]);
            check.share("optimizer.update.betas", betas[1]);
            check.positive("optimizer.update.eps", eps);
            check.not_negative("optimizer.update.weight_decay", weight_decay);
        }
    }
}
