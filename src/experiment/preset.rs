//! Presets: `optimizer = { preset = "nkfac", … }` stands for the preset's table, overlaid by the other keys.

use crate::config::{Error, Value, from_value};
use crate::optim::{OptimizerConfig, PRESETS};

/// The optimizer that a preset names, as it stands.
pub fn optimizer(name: &str) -> Result<OptimizerConfig, Error> {
    let (value, _) = expand(Value::parse("command line", &format!("optimizer = {{ preset = {name:?} }}"))?)?;
    match value.get("optimizer") {
        Some(optimizer) => from_value(optimizer).map_err(|error| error.within("optimizer")),
        None => Err(Error::missing_key("optimizer")),
    }
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
    let table = Value::parse(&format!("preset `{name}`"), preset.toml)?.overlay(optimizer.without("preset"));
    Ok((value.replace("optimizer", table), Some(name)))
}
