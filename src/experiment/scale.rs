//! Scales: the same questions at another size.
//!
//! A file stands at the scale that it was written for, `paper`. A table `[scale.NAME]` holds what is different at another one: parts of
//! `base`, `sweep` and `search`, and of arms by their names.

use super::parts::text_of;
use crate::config::{self, Node, Origin, Value};

/// The scale of the file as it stands.
pub const OWN: &str = "paper";

const KEYS: [&str; 4] = ["base", "arm", "sweep", "search"];

/// The file's tree as it is at the scale `name`.
pub fn at(root: &Value, name: &str) -> Result<Value, config::Error> {
    let file = root.without("scale");
    if name == OWN {
        return Ok(file);
    }
    let scales = root.get("scale").map(Value::entries).unwrap_or_default();
    let Some((_, scale)) = scales.iter().find(|(known, _)| known == name) else {
        let origin = Origin { source: format!("--scale {name}").into(), line: None };
        let known: Vec<String> = scales.iter().map(|(known, _)| format!(", `{known}`")).collect();
        return Err(config::Error::at(&origin, format!("`{}` has no scale `{name}`", root.origin.source))
            .hint(format!("there is `{OWN}`{}", known.concat())));
    };
    for (key, value) in scale.entries() {
        if !KEYS.contains(&key.as_str()) {
            return Err(config::Error::unknown_key(key, &KEYS).within(format!("scale.{name}")).located(&value.origin));
        }
    }
    let mut file = file;
    for change in scale.get("arm").map(items).unwrap_or_default() {
        file = with_arm(file, change)?;
    }
    Ok(file.overlay(scale.without("arm")))
}

/// The file with one of its arms overlaid.
fn with_arm(file: Value, change: &Value) -> Result<Value, config::Error> {
    let Some(name) = change.get("name") else {
        return Err(config::Error::missing_key("name").within("scale.arm").located(&change.origin));
    };
    let name = text_of(name, "scale.arm.name")?;
    let Some(arms) = file.get("arm").cloned() else { return Err(no_arm(name, change)) };
    let is_it = |arm: &Value| arm.get("name").and_then(Value::as_str) == Some(name);
    if !items(&arms).iter().any(is_it) {
        return Err(no_arm(name, change));
    }
    let overlaid = |arm: &Value| if is_it(arm) { arm.clone().overlay(change.clone()) } else { arm.clone() };
    let node = Node::Array(items(&arms).iter().map(overlaid).collect());
    Ok(file.replace("arm", Value { origin: arms.origin, node }))
}

fn no_arm(name: &str, change: &Value) -> config::Error {
    config::Error::at(&change.origin, format!("there is no arm `{name}` for this scale to change"))
}

fn items(array: &Value) -> &[Value] {
    match &array.node {
        Node::Array(items) => items,
        _ => &[],
    }
}
