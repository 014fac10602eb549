//! The file: a base, arms, axes.

use std::collections::HashSet;
use std::path::{Component, Path, PathBuf};

use super::order::Order;
use super::parts::{Arm, Axis, Task, text_of};
use super::search::{self, Drawn};
use super::{Error, Overrides, Source, preset, scale};
use crate::config::{self, Node, Origin, Value};
use crate::text::{self, Shown};
use crate::train::CheckpointConfig;

/// What a file and the command line say, before it is resolved.
pub struct File {
    pub name: String,
    pub task: Task,
    pub data_dir: Option<PathBuf>,
    pub checkpoint: CheckpointConfig,
    pub arms: Vec<Arm>,
    pub axes: Vec<Axis>,
    pub search: Option<Drawn>,
    /// What is wanted on the test set: an accuracy, as a fraction, or a loss.
    pub target: Option<(f64, Origin)>,
    pub order: Order,
    /// From the command line.
    pub sets: Vec<(String, Value)>,
    pub warnings: Vec<String>,
}

/// Parts of a dotted key on the command line; no configuration is nearly as deep.
const DEEPEST: usize = 16;

const KEYS: [&str; 11] =
    ["name", "task", "data_dir", "checkpoint", "target", "order", "base", "arm", "sweep", "search", "scale"];

/// Takes a file apart, and overlays it with the command line.
pub fn read(Source { path, text }: &Source, overrides: &Overrides) -> Result<File, Error> {
    let root = Value::parse(&path.shown(), text)?;
    for (key, value) in root.entries() {
        if !KEYS.contains(&key.as_str()) {
            return Err(config::Error::unknown_key(key, &KEYS).located(&value.origin).into());
        }
    }
    let name = match root.get("name") {
        Some(name) => text_of(name, "name")?.to_owned(),
        None => stem(path, &root.origin)?,
    };
    let scale = overrides.scale.as_deref().unwrap_or(scale::OWN);
    let file = &root;
    let root = scale::at(file, scale)?;
    // Results of two scales do not belong into one folder.
    let name = if scale == scale::OWN { name } else { format!("{name}-{scale}") };
    check_name(&name, file.locate("name"))?;
    let task = root.get("task").map(task).transpose()?.unwrap_or(Task::Train);
    let data_dir = root.get("data_dir").map(|folder| text_of(folder, "data_dir").map(PathBuf::from)).transpose()?;
    let target = root.get("target").map(target).transpose()?;
    let order = root.get("order").map_or(Ok(Order::File), order)?;
    let checkpoint = root.get("checkpoint").map(checkpoint).transpose()?.unwrap_or_default();
    let sets = overrides.set.iter().map(|set| assignment(set)).collect::<Result<Vec<_>, _>>()?;
    let mut arms = arms(&root, &sets)?;
    let mut axes = axes(&root)?;
    let mut search = root.get("search").map(search::read).transpose()?;
    let mut warnings = Vec::new();
    pin(&mut axes, &sets, &mut warnings)?;
    warnings.extend(replaced(&root, &axes));
    if let Some(search) = &mut search {
        pin(&mut search.space, &sets, &mut warnings)?;
        search.join(task, &mut arms, &axes, overrides.seeds)?;
    } else if let Some(count) = overrides.seeds {
        if let Some((_, set)) = sets.iter().find(|(path, _)| path == "seed") {
            return Err(config::Error::at(&set.origin, "both `--set seed` and `--seeds` choose seeds").into());
        }
        take_seeds(&mut axes, count, &root.origin);
    }
    Ok(File { name, task, data_dir, checkpoint, target, order, arms, axes, search, sets, warnings })
}

/// Above 0.
fn target(value: &Value) -> Result<(f64, Origin), config::Error> {
    let number = config::from_value::<f64>(value).map_err(|error| error.within("target").located(&value.origin))?;
    if number > 0.0 && number.is_finite() {
        return Ok((number, value.origin.clone()));
    }
    Err(config::Error::at(&value.origin, format!("`target` must be above 0 (got {number})"))
        .hint("target = 0.9 stands for 90 %, or of text for a loss"))
}

fn order(value: &Value) -> Result<Order, config::Error> {
    match text_of(value, "order")? {
        "file" => Ok(Order::File),
        "interleaved" => Ok(Order::Interleaved),
        other => {
            Err(config::Error::unknown_name(other, &["file", "interleaved"]).within("order").located(&value.origin))
        }
    }
}

fn task(value: &Value) -> Result<Task, config::Error> {
    match text_of(value, "task")? {
        "train" => Ok(Task::Train),
        "inverse" => Ok(Task::Inverse),
        other => Err(config::Error::unknown_name(other, &["train", "inverse"]).within("task").located(&value.origin)),
    }
}

/// How often trials are saved.
fn checkpoint(value: &Value) -> Result<CheckpointConfig, config::Error> {
    let config: CheckpointConfig = config::from_value(value).map_err(|error| error.within("checkpoint"))?;
    let fail = |key: &str, message: String| {
        let origin = value.get(key).map_or(&value.origin, |value| &value.origin);
        Err(config::Error::at(origin, format!("`checkpoint.{key}` {message}")))
    };
    if config.epochs == Some(0) {
        return fail("epochs", "must be at least 1 (got 0)".into());
    }
    if !(config.minutes > 0.0 && config.minutes.is_finite()) {
        return fail("minutes", format!("must be greater than 0 (got {})", config.minutes));
    }
    Ok(config)
}

/// The name of an experiment that gives itself none.
fn stem(path: &Path, origin: &Origin) -> Result<String, config::Error> {
    let stem = path.file_stem().unwrap_or_default();
    stem.to_str().map(str::to_owned).ok_or_else(|| {
        config::Error::at(origin, format!("the file's name `{}` is no UTF-8 and can name no results", text::name(stem)))
            .hint("name = \"...\" in the file gives it another one")
    })
}

/// The longest name that file systems take.
const MOST_BYTES: usize = 255;

/// The name is that of the results' folder.
fn check_name(name: &str, origin: &Origin) -> Result<(), config::Error> {
    check_plain(name, "name", origin)?;
    if name.len() > MOST_BYTES {
        let message =
            format!("`name` is the name of a folder and must be at most {MOST_BYTES} bytes long (got {})", name.len());
        return Err(config::Error::at(origin, message));
    }
    let mut parts = Path::new(name).components();
    match (parts.next(), parts.next()) {
        (Some(Component::Normal(part)), None) if part == name => Ok(()),
        _ => Err(config::Error::at(origin, format!("`name` must be the name of a folder (got `{name}`)"))),
    }
}

/// That a name goes unharmed into files and onto a terminal.
fn check_plain(name: &str, key: &str, origin: &Origin) -> Result<(), config::Error> {
    match name.chars().find(|&c| !text::is_plain(c)) {
        None => Ok(()),
        Some(c) => {
            let (name, c) = (text::spelled(name), u32::from(c));
            Err(config::Error::at(origin, format!("`{key}` is `{name}`, with the control character U+{c:04X}"))
                .hint("names are shown in terminals, tables and figures: choose one that can be read"))
        }
    }
}

/// `key=value` from the command line.
fn assignment(text: &str) -> Result<(String, Value), config::Error> {
    let origin = Origin { source: format!("--set {text}").into(), line: None };
    match text.split_once('=') {
        Some((key, _)) if key.split('.').count() > DEEPEST => {
            Err(config::Error::at(&origin, format!("a key of more than {DEEPEST} parts")))
        }
        Some((key, value)) if !key.trim().is_empty() => {
            let (key, value) = (key.trim(), Value::parse_argument(&origin.source, value.trim())?);
            Ok((key.to_owned(), preset::spelled_out(key, value)))
        }
        _ => Err(config::Error::at(&origin, format!("expected KEY=VALUE, got `{text}`"))
            .hint("--set optimizer.update.momentum=0.95")),
    }
}

fn arms(root: &Value, sets: &[(String, Value)]) -> Result<Vec<Arm>, config::Error> {
    let empty = Value { origin: root.origin.clone(), node: Node::Table(Vec::new()) };
    let base = preset::all_spelled_out(root.get("base").cloned().unwrap_or_else(|| empty.clone()));
    let items = match root.get("arm").map(|arms| (arms, &arms.node)) {
        None => Vec::new(),
        Some((_, Node::Array(items))) => items.iter().collect(),
        Some((arms, _)) => {
            let error = config::Error::mismatch(arms, "an array of tables").within("arm").located(&arms.origin);
            return Err(error.hint("write `[[arm]]` above each arm"));
        }
    };
    let finish = |name: String, value: Value| Arm {
        name,
        value: sets.iter().fold(value, |value, (path, set)| value.set(path, set.clone())),
    };
    if items.is_empty() {
        let name = base.get("optimizer.preset").and_then(Value::as_str).unwrap_or("base").to_owned();
        return Ok(vec![finish(name, base)]);
    }
    let mut names = HashSet::new();
    let mut arms = Vec::with_capacity(items.len());
    for item in items {
        let Some(name) = item.get("name") else {
            return Err(config::Error::missing_key("name").within("arm").located(&item.origin));
        };
        let origin = &name.origin;
        let name = text_of(name, "arm.name")?.to_owned();
        check_plain(&name, "arm.name", origin)?;
        if !names.insert(name.clone()) {
            return Err(config::Error::at(&item.origin, format!("there are two arms `{name}`")));
        }
        arms.push(finish(name, base.clone().overlay(preset::all_spelled_out(item.without("name")))));
    }
    Ok(arms)
}

/// The axes in the order of the file, seeds last.
fn axes(root: &Value) -> Result<Vec<Axis>, config::Error> {
    let mut axes = Vec::new();
    if let Some(sweep) = root.get("sweep") {
        collect_axes(sweep, "", &mut axes)?;
    }
    axes.sort_by_key(|axis| axis.path == "seed");
    Ok(axes)
}

fn collect_axes(value: &Value, path: &str, axes: &mut Vec<Axis>) -> Result<(), config::Error> {
    match &value.node {
        Node::Table(entries) => {
            for (key, value) in entries {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                collect_axes(value, &path, axes)?;
            }
            Ok(())
        }
        Node::Array(values) if values.is_empty() => {
            Err(config::Error::at(&value.origin, format!("the axis `{path}` has no values")))
        }
        Node::Array(_) if axes.iter().any(|axis| axis.path == path) => {
            Err(config::Error::at(&value.origin, format!("there are two axes `{path}`")))
        }
        Node::Array(values) => {
            let spelled_out = values.iter().map(|value| preset::spelled_out(path, value.clone()));
            let (values, origin) = (spelled_out.collect(), value.origin.clone());
            axes.push(Axis { path: path.to_owned(), values, arms: Vec::new(), origin });
            Ok(())
        }
        _ => Err(config::Error::mismatch(value, "an array of values")
            .within(format!("sweep.{path}"))
            .located(&value.origin)),
    }
}

/// What arms themselves set and axes replace.
fn replaced(root: &Value, axes: &[Axis]) -> Vec<String> {
    let arms = match root.get("arm").map(|arms| &arms.node) {
        Some(Node::Array(arms)) => arms.as_slice(),
        _ => &[],
    };
    let of_arm = |arm: &Value| {
        let name = arm.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
        let set = axes.iter().filter(|axis| arm.get(&axis.path).is_some());
        set.map(|axis| format!("arm `{name}`: the axis over `{0}` replaces its own `{0}`", axis.path))
            .collect::<Vec<_>>()
    };
    arms.iter().flat_map(of_arm).collect()
}

/// Drops the axes over what the command line sets. An axis over a table around it would undo the setting, so that is an error.
fn pin(axes: &mut Vec<Axis>, sets: &[(String, Value)], warnings: &mut Vec<String>) -> Result<(), config::Error> {
    let is_within = |path: &str, table: &str| path.strip_prefix(table).is_some_and(|rest| rest.starts_with('.'));
    for (path, set) in sets {
        if let Some(axis) = axes.iter().find(|axis| is_within(path, &axis.path)) {
            let message = format!("`{path}` is within the swept key `{}`, whose values replace it", axis.path);
            return Err(config::Error::at(&set.origin, message).hint(format!("set `{}` as a whole", axis.path)));
        }
        axes.retain(|axis| {
            let pinned = axis.path == *path || is_within(&axis.path, path);
            if pinned {
                warnings.push(format!("`--set` pins `{path}`: the axis over `{}` is dropped", axis.path));
            }
            !pinned
        });
    }
    Ok(())
}

/// The first `count` seeds of the file's own, or else 1 to `count`.
fn take_seeds(axes: &mut Vec<Axis>, count: usize, origin: &Origin) {
    let own = axes.iter().position(|axis| axis.path == "seed").map(|place| axes.remove(place));
    let values = match own {
        Some(axis) if axis.values.len() >= count => axis.values[..count].to_vec(),
        _ => {
            let seed = |seed| Value { origin: origin.clone(), node: Node::Integer(seed as i64) };
            (1..=count).map(seed).collect()
        }
    };
    axes.push(Axis { path: "seed".into(), values, arms: Vec::new(), origin: origin.clone() });
}
