//! Values that have the right type and are impossible all the same.

mod check;
mod optimizer;

use crate::text::Shown;
use crate::train::{Config, Schedule, shape};
use check::Check;
pub use check::Problem;
pub use optimizer::problem_of_optimizer;

/// The first thing that is impossible.
pub fn first_problem(config: &Config) -> Option<Problem> {
    let mut check = Check::default();
    length(&mut check, config);
    check.count("batch", config.batch, 1_000_000);
    check.share("label_smoothing", config.label_smoothing);
    if config.label_smoothing != 0.0 && config.data.numbers().is_some() {
        check.fail("label_smoothing", "is for classes, and here numbers are to be given".into());
    }
    if let Some(Err((message, hint))) = config.loss.map(|loss| loss.check(&config.data)) {
        check.fail("loss", message);
        check.hint(hint);
    }
    check.count("accumulate", config.accumulate, config.batch.max(1));
    if config.accumulate > 0 && !config.batch.is_multiple_of(config.accumulate) {
        let (parts, batch) = (config.accumulate, config.batch);
        check.fail("accumulate", format!("is {parts}, which does not divide the batch of {batch}"));
    }
    if let Some(path) = config.init_from.as_ref().filter(|path| !path.is_file()) {
        check.fail("init_from", format!("is `{}`, where no file is", path.shown()));
    }
    schedule(&mut check, config);
    data(&mut check, config);
    optimizer::check(&mut check, &config.optimizer);
    optimizer::eps(&mut check, config);
    grouped(&mut check, config);
    if check.is_clean() {
        single(&mut check, config);
    }
    check.first()
}

/// Some nets cannot be trained on one image at a time. All parts of all batches are of one size: what is left over in an epoch is dropped.
fn single(check: &mut Check, config: &Config) {
    let Some(shape) = shape(&config.data).images() else { return };
    if let Err(message) = config.model.check_batch(shape, config.batch / config.accumulate) {
        let (name, height, width) = (config.model.name(), shape.height, shape.width);
        let (key, what) = if config.accumulate == 1 { ("batch", "a batch") } else { ("accumulate", "parts") };
        check.fail(key, format!("makes {what} of one image, too few for `{name}` at {height}×{width}: {message}"));
        check.hint("at least 2 images at a time, or a net without batch norm");
    }
}

/// A preconditioner would skip convolutions whose factors would be block-diagonal, and the results would not show it.
fn grouped(check: &mut Check, config: &Config) {
    if config.model.has_grouped() && config.optimizer.precondition.is_some() {
        let name = config.model.name();
        check.fail("model", format!("is `{name}`, whose grouped convolutions have no curvature to precondition with"));
        check.hint("an optimizer without `precondition`, such as sgd, adamw or muon, or another net");
    }
}

/// How long it trains: epochs or steps.
fn length(check: &mut Check, config: &Config) {
    match (config.epochs, config.steps) {
        (None, None) => {
            check.fail("epochs", "is missing".into());
            check.hint("epochs = 10, or steps = 2000");
        }
        (Some(_), Some(_)) => {
            check.fail("steps", "is given beside `epochs`".into());
            check.hint("a trial ends after one or the other");
        }
        (None, Some(steps)) => check.count("steps", steps, 1_000_000_000),
        (Some(epochs), None) if epochs.fract() == 0.0 => check.count("epochs", epochs as usize, 1_000_000),
        (Some(epochs), None) => check.positive("epochs", epochs),
    }
    if let Some(seconds) = config.max_seconds {
        check.positive("max_seconds", seconds);
    }
    if let Some(every) = config.evaluate_every {
        check.count("evaluate_every", every, config.total_steps());
    }
    if let Some(epochs) = config.evaluate_epochs {
        check.positive("evaluate_epochs", epochs);
        if config.evaluate_every.is_some() {
            check.fail("evaluate_epochs", "is given beside `evaluate_every`".into());
            check.hint("one of them says how long it is from one evaluation to the next");
        } else if config.evaluation_steps() > config.total_steps() {
            check.fail("evaluate_epochs", format!("must be at most what is trained (got {epochs})"));
        }
    }
}

fn schedule(check: &mut Check, config: &Config) {
    let schedule = &config.schedule;
    // A rate of 0 is a control: nothing may be learned.
    check.not_negative("schedule.lr", schedule.peak());
    let ([epochs, steps], all) = (schedule.warmup(), config.total_steps());
    if epochs > 0 && epochs.saturating_mul(config.steps_per_epoch()) >= all {
        let length = match config.epochs {
            Some(epochs) => format!("{epochs} epochs"),
            None => format!("{all} steps"),
        };
        check.fail("schedule.warmup", format!("must be less than the {length} (got {epochs})"));
    } else if steps >= all {
        check.fail("schedule.warmup_steps", format!("must be less than the {all} steps (got {steps})"));
    } else if epochs > 0 && steps > 0 {
        check.fail("schedule.warmup_steps", "is given beside `warmup`".into());
        check.hint("one of them says how long the rate rises");
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
    let all = data.available();
    if data.validation >= all {
        check.fail("data.validation", format!("must be less than the {all} training images (got {})", data.validation));
    } else if data.train_limit.is_some_and(|limit| limit == 0 || limit > all - data.validation) {
        let (limit, left) = (data.train_limit.unwrap_or_default(), all - data.validation);
        check.fail("data.train_limit", format!("must be from 1 to {left} images (got {limit})"));
    } else if config.batch > data.train_len() {
        let images = data.train_len();
        check.fail("batch", format!("is {}, but there are only {images} training images", config.batch));
        check.hint("the last incomplete batch is dropped in training, so that nothing would be left");
    }
    if data.kind.is_text() && !data.augment.is_empty() {
        check.fail("data.augment", format!("cannot be done to `{}`, which is text", data.kind.name()));
    } else if data.shape().is_vector() && !data.augment.is_empty() {
        check.fail("data.augment", format!("cannot be done to `{}`, which are vectors", data.kind.name()));
    } else if let Err(message) = crate::data::check_augment(&data.augment, data.kind.is_folder()) {
        check.fail("data.augment", format!("cannot be done to `{}`: {message}", data.kind.name()));
    }
    if data.skip_broken && !data.kind.is_folder() {
        check.fail("data.skip_broken", format!("is `true`, but `{}` has no image files", data.kind.name()));
    }
    if let Err(message) = config.model.check(shape(data)) {
        check.fail("model", format!("cannot be built for `{}`: {message}", data.kind.name()));
    }
}
