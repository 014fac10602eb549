//! `[search]`: configurations drawn from a space, beside the grid, the same number for every arm.
//!
//! What is drawn for a key depends on the search's seed, on the key and on how many came before, not on the order of the file nor on
//! `trials`: a search that is made longer begins with what the shorter one tried, and every arm is tried at the same values.

use std::collections::HashSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::parts::{Arm, Axis, Task};
use super::points::{Kind, points, primes};
use super::preset;
use crate::config::{self, Node, Origin, Value, from_value};

/// `[search]`, but for the space.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SearchConfig {
    pub kind: Kind,
    /// Configurations that every arm gets at every point of the sweep.
    pub trials: usize,
    /// Decides what is drawn, and is the seed of every tuning trial.
    #[serde(default = "first_seed")]
    pub seed: u64,
    /// Fresh seeds, over which the best configuration is run again.
    pub rerun: Vec<u64>,
    /// What is best.
    #[serde(default)]
    pub by: By,
}

const fn first_seed() -> u64 {
    1
}

/// What a configuration is chosen by, on the validation set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum By {
    /// The accuracy or loss after the last epoch.
    #[default]
    Score,
    /// Steps until the target is reached; the score where that never is.
    Target,
}

/// A search as the file says it, its values drawn.
pub struct Drawn {
    pub config: SearchConfig,
    /// The keys with a value for each configuration.
    pub space: Vec<Axis>,
    /// What is different of all arms while they are tuned.
    pub base: Option<Value>,
    pub origin: Origin,
}

/// The numbers that a key may take.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
struct Range {
    from: f64,
    to: f64,
    #[serde(default)]
    scale: Scale,
}

/// What numbers are drawn evenly by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Scale {
    #[default]
    Linear,
    Log,
}

/// What a key may be.
enum Space {
    Range(Range),
    OneOf(Vec<Value>),
}

/// A key of the space.
struct Dimension {
    path: String,
    origin: Origin,
    space: Space,
    /// The arms that it is searched in; all if empty.
    arms: Vec<String>,
}

/// More than anybody tries.
const MOST_TRIALS: usize = 10_000;

/// Reads the table and draws.
pub fn read(table: &Value) -> Result<Drawn, config::Error> {
    let within = |error: config::Error| error.within("search").located(&table.origin);
    let config: SearchConfig = from_value(&table.without("space").without("base")).map_err(within)?;
    check(&config, table)?;
    let tuned = table.get("base").map(|base| match &base.node {
        Node::Table(_) => Ok(preset::all_spelled_out(base.clone())),
        _ => Err(config::Error::mismatch(base, "a table").within("search.base").located(&base.origin)),
    });
    let mut dimensions = Vec::new();
    let space = table.get("space").ok_or_else(|| within(config::Error::missing_key("space")))?;
    collect(space, "", &mut dimensions)?;
    if dimensions.is_empty() {
        return Err(config::Error::at(&space.origin, "`search.space` has no keys").hint(RANGE));
    }
    // Bases go by the names of keys, and by what other keys an arm has, so that the order of the file does not matter.
    dimensions.sort_by(|a, b| a.path.cmp(&b.path));
    let bases: Vec<usize> = (0..dimensions.len()).map(|place| base(&dimensions, place)).collect();
    let drawn = dimensions.into_iter().zip(bases).map(|(dimension, base)| dimension.draw(&config, base));
    Ok(Drawn { space: drawn.collect(), base: tuned.transpose()?, origin: table.origin.clone(), config })
}

/// The base of a key: keys of all arms have the first primes, and behind them those of some arms, each the first that no key of the same arm
/// has, for the smallest bases cover a range with the fewest trials.
fn base(dimensions: &[Dimension], place: usize) -> usize {
    let Dimension { arms, .. } = &dimensions[place];
    let of_all = |dimensions: &[Dimension]| dimensions.iter().filter(|dimension| dimension.arms.is_empty()).count();
    let before = &dimensions[..place];
    let meets = |other: &&Dimension| other.arms.iter().any(|arm| arms.contains(arm));
    let skipped =
        if arms.is_empty() { of_all(before) } else { of_all(dimensions) + before.iter().filter(meets).count() };
    primes().nth(skipped).unwrap_or(2)
}

const RANGE: &str = r#""schedule.lr" = { from = 1e-3, to = 1.0, scale = "log" }, or a list of values"#;

fn check(config: &SearchConfig, table: &Value) -> Result<(), config::Error> {
    let fail =
        |key: &str, message: String| Err(config::Error::at(table.locate(key), format!("`search.{key}` {message}")));
    if !(1..=MOST_TRIALS).contains(&config.trials) {
        return fail("trials", format!("must be from 1 to {MOST_TRIALS} (got {})", config.trials));
    }
    if config.rerun.is_empty() {
        return fail("rerun", "has no seeds".to_owned());
    }
    let mut seen = HashSet::from([config.seed]);
    match config.rerun.iter().find(|&&seed| !seen.insert(seed)) {
        Some(seed) if *seed == config.seed => {
            let message = format!("must have fresh seeds only (got {seed}, which configurations are chosen with)");
            fail("rerun", message)
        }
        Some(seed) => fail("rerun", format!("has {seed} twice")),
        None => Ok(()),
    }
}

/// The keys of the space, written as they are in `[sweep]`.
fn collect(value: &Value, path: &str, dimensions: &mut Vec<Dimension>) -> Result<(), config::Error> {
    let within = || format!("search.space.{path}");
    let (told, arms) = match &value.node {
        Node::Table(_) if ["from", "to", "values"].iter().any(|key| value.get(key).is_some()) => {
            let arms = value.get("arms").map(from_value::<Vec<String>>).transpose();
            let arms = arms.map_err(|error| error.within(format!("{}.arms", within())))?.unwrap_or_default();
            let rest = value.without("arms");
            match (&rest.node, rest.get("values")) {
                (Node::Table(entries), Some(values)) if entries.len() == 1 => (values.clone(), arms),
                _ => (rest, arms),
            }
        }
        Node::Table(entries) => {
            for (key, value) in entries {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                collect(value, &path, dimensions)?;
            }
            return Ok(());
        }
        _ => (value.clone(), Vec::new()),
    };
    let space = match &told.node {
        Node::Table(_) => {
            let range: Range = from_value(&told).map_err(|error| error.within(within()))?;
            let message = match range {
                Range { from, to, .. } if !(from < to && from.is_finite() && to.is_finite()) => {
                    "goes from a finite number to a larger one"
                }
                Range { from, scale: Scale::Log, .. } if from <= 0.0 => "goes from a number above 0 on a log scale",
                _ => "",
            };
            if !message.is_empty() {
                let (from, to) = (range.from, range.to);
                let message = format!("`{}` is {from} to {to}, but a range {message}", within());
                return Err(config::Error::at(&value.origin, message));
            }
            Space::Range(range)
        }
        Node::Array(values) if values.is_empty() => {
            return Err(config::Error::at(&value.origin, format!("`{}` has no values", within())));
        }
        Node::Array(values) => {
            Space::OneOf(values.iter().map(|value| preset::spelled_out(path, value.clone())).collect())
        }
        _ => {
            let error = config::Error::mismatch(&told, "a range or an array of values");
            return Err(error.within(within()).located(&value.origin).hint(RANGE));
        }
    };
    if dimensions.iter().any(|known| known.path == path) {
        return Err(config::Error::at(&value.origin, format!("`{}` is there twice", within())));
    }
    dimensions.push(Dimension { path: path.to_owned(), origin: value.origin.clone(), space, arms });
    Ok(())
}

impl Drawn {
    /// Puts the search beside the rest of its file: what it varies, seeds among it, nothing else may. `--seeds` takes so many of the
    /// reruns.
    pub fn join(
        &mut self,
        task: Task,
        arms: &mut [Arm],
        axes: &[Axis],
        seeds: Option<usize>,
    ) -> Result<(), config::Error> {
        if task == Task::Inverse {
            return Err(config::Error::at(&self.origin, "`search` has nothing to choose by where nothing is trained"));
        }
        let of_arm = arms.iter().find_map(|arm| arm.value.get("seed")).map(|seed| &seed.origin);
        let varied = axes.iter().chain(&self.space).find(|axis| axis.path == "seed").map(|axis| &axis.origin);
        if let Some(origin) = varied.or(of_arm) {
            return Err(config::Error::at(origin, "`seed` is given beside a search, which has seeds of its own")
                .hint("`search.seed` is that of tuning, `search.rerun` are those of the reruns"));
        }
        for key in &self.space {
            let names = || arms.iter().map(|arm| arm.name.as_str());
            let Some(unknown) = key.arms.iter().find(|name| names().all(|known| known != name.as_str())) else {
                continue;
            };
            let message = format!("`search.space.{}` is for the arm `{unknown}`, which there is not", key.path);
            let hint = match crate::catalog::nearest(unknown, names()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("arms are `{}`", names().collect::<Vec<_>>().join("`, `")),
            };
            return Err(config::Error::at(&key.origin, message).hint(hint));
        }
        if let Some(key) = self.space.iter().find(|key| axes.iter().any(|axis| axis.path == key.path)) {
            return Err(config::Error::at(&key.origin, format!("`{}` is both swept and searched", key.path)));
        }
        if let Some(count) = seeds.filter(|&count| count > self.config.rerun.len()) {
            let message = format!("`--seeds` asks for {count}, but `search.rerun` has {}", self.config.rerun.len());
            return Err(config::Error::at(&self.origin, message));
        }
        let mut varied = axes.iter().chain(&self.space).map(|axis| axis.path.as_str()).chain(["seed"]);
        if let Some((key, value)) = varied.find_map(|key| Some((key, self.base.as_ref()?.get(key)?))) {
            let message = format!("`search.base` sets `{key}`, which is varied");
            return Err(config::Error::at(&value.origin, message));
        }
        self.config.rerun.truncate(seeds.unwrap_or(usize::MAX));
        let seed = Value { origin: self.origin.clone(), node: Node::Integer(self.config.seed as i64) };
        for arm in arms {
            arm.value = arm.value.clone().set("seed", seed.clone());
        }
        Ok(())
    }

    /// Refuses a search by the target in a file that has none.
    pub fn has_its_target(&self, has: bool) -> Result<(), config::Error> {
        if self.config.by == By::Target && !has {
            let message = "`search.by` is `target`, but the file has no `target`";
            return Err(
                config::Error::at(&self.origin, message).hint("target = 0.9 stands for 90 %, or of text for a loss")
            );
        }
        Ok(())
    }

    /// The arms as they are tuned, if they are run otherwise than that.
    pub fn tuned(&self, arms: &[Arm]) -> Option<Vec<Arm>> {
        let base = self.base.as_ref()?;
        let arm = |arm: &Arm| Arm { name: arm.name.clone(), value: arm.value.clone().overlay(base.clone()) };
        Some(arms.iter().map(arm).collect())
    }
}

impl Dimension {
    fn draw(self, config: &SearchConfig, base: usize) -> Axis {
        let values = points(config.kind, config.seed, &self.path, base, config.trials)
            .into_iter()
            .map(|point| self.space.at(point, &self.origin))
            .collect();
        Axis { path: self.path, values, arms: self.arms, origin: self.origin }
    }
}

impl Space {
    /// The value at a point of [0, 1).
    fn at(&self, point: f64, origin: &Origin) -> Value {
        match self {
            Self::OneOf(values) => values[((point * values.len() as f64) as usize).min(values.len() - 1)].clone(),
            Self::Range(range) => Value { origin: origin.clone(), node: Node::Float(range.at(point)) },
        }
    }
}

impl Range {
    /// To six digits: a person can type them, and the last bits of logarithms, in which machines differ, change no trial's name.
    fn at(&self, point: f64) -> f64 {
        let &Self { from, to, scale } = self;
        let value = match scale {
            // Not by differences and ratios, which may overflow where both ends fit.
            Scale::Linear => from * (1.0 - point) + to * point,
            Scale::Log => (from.ln() * (1.0 - point) + to.ln() * point).exp(),
        };
        format!("{value:.5e}").parse().unwrap_or(value).clamp(from, to)
    }
}

#[cfg(test)]
mod tests {
    use super::{Range, Scale};

    #[test]
    fn a_log_scale_has_its_middle_in_the_middle_and_no_value_leaves_the_range() {
        let log = Range { from: 1e-4, to: 1.0, scale: Scale::Log };
        assert_eq!([0.0, 0.25, 0.5].map(|point| log.at(point)), [1e-4, 1e-3, 1e-2]);
        let linear = Range { from: 0.0, to: 1.0 / 3.0, scale: Scale::Linear };
        assert_eq!(linear.at(0.5), 0.166_667);
        // Where ratio and difference of the ends overflow.
        let wide = Range { from: 1e-300, to: 1e100, scale: Scale::Log };
        assert_eq!([0.0, 0.25, 0.5, 0.75].map(|point| wide.at(point)), [1e-300, 1e-200, 1e-100, 1.0]);
        let both = Range { from: -1e308, to: 1e308, scale: Scale::Linear };
        assert_eq!([0.0, 0.25, 0.5].map(|point| both.at(point)), [-1e308, -5e307, 0.0]);
        let narrow = Range { from: 0.2, to: 1.0 / 3.0 - 1e-9, scale: Scale::Linear };
        assert!(narrow.at(1.0 - f64::EPSILON) <= narrow.to);
    }
}
