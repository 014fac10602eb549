//! Presets: `optimizer = { preset = "nkfac", … }` stands for the preset's table, overlaid by the other keys.

use crate::config::{Error, Value};
use crate::optim::PRESETS;

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
    let table = Value::parse(&format!("preset `{name}`"), preset.toml)?.overlay(optimizer.without("preset"));
    Ok((value.replace("optimizer", table), Some(name)))
}
