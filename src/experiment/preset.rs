//! Presets: `optimizer = { preset = "nkfac", … }` stands for the preset's table, overlaid by the other keys. And bare names, which stand for
//! tables.

use crate::config::{Error, Node, Value};
use crate::optim::PRESETS;

/// The tables that may be written as a name alone, and what key the name stands for.
const BARE: [(&str, &str); 2] = [("data", "kind"), ("optimizer", "preset")];

/// A value for the key at `path`, spelled out: `digits` for `data` is `{ kind = "digits" }`.
pub fn spelled_out(path: &str, value: Value) -> Value {
    match BARE.iter().find(|(key, _)| *key == path) {
        Some((_, inner)) if value.as_str().is_some() => {
            let origin = value.origin.clone();
            Value { origin, node: Node::Table(vec![((*inner).to_owned(), value)]) }
        }
        _ => value,
    }
}

/// A table of a file with all its bare names spelled out.
pub fn all_spelled_out(mut table: Value) -> Value {
    if let Node::Table(entries) = &mut table.node {
        for (key, value) in entries {
            *value = spelled_out(key, value.clone());
        }
    }
    table
}

/// The configuration with its preset expanded, and the preset's name; as it is if it has none.
pub fn expand(value: Value) -> Result<(Value, Option<String>), Error> {
    let Some(optimizer) = value.get("optimizer") else { return Ok((value, None)) };
    let Some(chosen) = optimizer.get("preset") else { return Ok((value, None)) };
    let located = |error: Error| error.within("preset").within("optimizer").located(&chosen.origin);
    let Some(name) = chosen.as_str() else { return Err(located(Error::mismatch(chosen, "a preset's name"))) };
    let Some(preset) = PRESETS.iter().find(|preset| preset.entry.name == name) else {
        let known: Vec<&str> = PRESETS.iter().map(|preset| preset.entry.name).collect();
        return Err(located(Error::unknown_name(name, &known)));
    };
    let name = name.to_owned();
    let preset = Value::parse(&format!("preset `{name}`"), preset.toml)?;
    misplaced(&preset, optimizer)?;
    let table = preset.overlay(optimizer.without("preset"));
    Ok((value.replace("optimizer", table), Some(name)))
}

/// Refuses a key beside a preset that belongs into one of its tables.
fn misplaced(preset: &Value, optimizer: &Value) -> Result<(), Error> {
    let tables = ["update", "precondition"];
    for (key, value) in optimizer.entries() {
        if let Some(table) = tables.iter().find(|table| preset.get(&format!("{table}.{key}")).is_some()) {
            let error = Error::unknown_key(key, &[]).within("optimizer").located(&value.origin);
            return Err(error.hint(format!("did you mean `{table}.{key}`?")));
        }
    }
    Ok(())
}
