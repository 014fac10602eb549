//! The JSON schema of an experiment file, for editors.
//!
//! It is made from the types that the file is read into, with their comments as descriptions, so that it cannot fall behind them.
//! Two things differ from what serde's derive would say: an `enum` is a table with a `kind`, and nothing is required, because base,
//! preset, arms and the command line may each give a part.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::inverse;
use super::search::SearchConfig;
use crate::data;
use crate::optim::PRESETS;
use crate::train;

/// The schema, a JSON value of draft 2020-12.
#[must_use]
pub fn schema() -> Value {
    let mut config = of::<train::Config>();
    let presets = PRESETS.iter().map(|preset| json!({ "const": preset.entry.name, "description": preset.entry.help }));
    config["properties"]["optimizer"]["properties"]["preset"] = json!({
        "description": "A named optimizer, whose table the other keys overlay.",
        "anyOf": presets.collect::<Vec<_>>(),
    });
    let sets: Vec<&str> = data::CATALOG.iter().map(|entry| entry.name).collect();
    let names = PRESETS.iter().map(|preset| preset.entry.name).collect();
    for (key, names) in [("data", sets), ("optimizer", names)] {
        let table = config["properties"][key].take();
        config["properties"][key] = json!({ "anyOf": [{ "type": "string", "enum": names }, table] });
    }
    let configs = [config, of::<inverse::Config>()];
    let arms = configs.clone().map(|mut arm| {
        arm["properties"]["name"] = json!({ "description": "What figures call it.", "type": "string" });
        arm["required"] = json!(["name"]);
        arm
    });
    let mut search = of::<SearchConfig>();
    search["description"] = "A search for the best configuration of every arm, which is then run again.".into();
    search["properties"]["space"] = json!({
        "description": "Keys, dotted or as tables, each with a range `{ from = 1e-3, to = 1.0, scale = \"log\" }` or an array of values; `{ values = [0, 1], arms = [\"sgd\"] }`, or `arms` in a range, for some of the arms.",
        "type": "object",
    });
    search["properties"]["base"] = json!({
        "description": "What is different of all arms while they are tuned, such as `{ epochs = 2 }`.",
        "type": "object",
    });
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "An experiment of nkfac-bench",
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "name": { "description": "The folder of the results; the file's name unless said.", "type": "string" },
            "data_dir": { "description": "The folder with data.", "type": "string" },
            "checkpoint": of::<train::CheckpointConfig>(),
            "target": { "description": "What is to be reached on the test set, which time is measured to: an accuracy, a fraction, or a loss.", "type": "number" },
            "order": { "description": "In which order trials are run.", "enum": ["file", "interleaved"] },
            "task": { "description": "What a trial does.", "enum": ["train", "inverse"] },
            "base": { "description": "What all arms have in common.", "anyOf": configs },
            "arm": { "description": "Variants of the base.", "type": "array", "items": { "anyOf": arms } },
            "search": search,
            "scale": { "description": "Overlays of this file, by the name that `--scale` takes.", "type": "object" },
            "sweep": {
                "description": "Axes: keys, dotted or as tables, and the values that each takes in turn.",
                "type": "object",
            },
        },
    })
}

/// The schema of a type, as its reader takes it.
fn of<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    simplify(&mut schema);
    for key in ["$schema", "title", "description"] {
        remove(&mut schema, key);
    }
    schema
}

/// Rewrites a schema of serde's derive, from the leaves up, to what the file's reader takes.
fn simplify(schema: &mut Value) {
    match schema {
        Value::Object(object) => object.values_mut().for_each(simplify),
        Value::Array(items) => items.iter_mut().for_each(simplify),
        _ => return,
    }
    for key in ["required", "format"] {
        remove(schema, key);
    }
    without_null(schema);
    let is_variant =
        |item: &Value| item.get("const").is_some() || item.get("enum").is_some() || content(item).is_some();
    if let Some(Value::Array(items)) = schema.get("oneOf")
        && items.iter().all(is_variant)
    {
        // Without any content it is a choice of names and no table.
        let forms = match items.iter().any(|item| content(item).is_some()) {
            true => items.iter().flat_map(forms).collect(),
            false => items.clone(),
        };
        remove(schema, "oneOf");
        schema["anyOf"] = forms.into();
    }
}

/// TOML has no null: an optional key is left out.
fn without_null(schema: &mut Value) {
    if schema.get("default") == Some(&Value::Null) {
        remove(schema, "default");
    }
    if let Some(Value::Array(types)) = schema.get("type") {
        let first = types.first().cloned().unwrap_or_default();
        schema["type"] = first;
    }
    let null = json!({ "type": "null" });
    if let Some(Value::Array(items)) = schema.get("anyOf")
        && items.contains(&null)
    {
        let inner = items.iter().find(|&item| *item != null).cloned();
        remove(schema, "anyOf");
        if let (Some(Value::Object(inner)), Value::Object(outer)) = (inner, schema) {
            for (key, value) in inner {
                outer.entry(key).or_insert(value);
            }
        }
    }
}

/// The one entry of an externally tagged variant: its name and its content.
fn content(item: &Value) -> Option<(&String, &Value)> {
    let properties = item.get("properties")?.as_object()?;
    (properties.len() == 1).then(|| properties.iter().next()).flatten().filter(|(_, content)| content.is_object())
}

/// What a variant may be written as: a bare name, and a table that says `kind`.
fn forms(item: &Value) -> Vec<Value> {
    let described = |mut form: Value| {
        if let Some(description) = item.get("description") {
            form["description"] = description.clone();
        }
        form
    };
    let table = |name: &str, keys: Map<String, Value>| {
        let mut properties = Map::from_iter([("kind".to_owned(), json!({ "const": name }))]);
        properties.extend(keys);
        described(json!({ "type": "object", "properties": properties, "additionalProperties": false }))
    };
    let names = match (item.get("const"), item.get("enum")) {
        (Some(name), _) => vec![name.clone()],
        (None, Some(Value::Array(names))) => names.clone(),
        _ => Vec::new(),
    };
    if let Some((name, content)) = content(item).filter(|_| names.is_empty()) {
        let keys = content.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
        return vec![described(json!({ "const": name })), table(name, keys)];
    }
    let both =
        |name: &Value| [described(json!({ "const": name })), table(name.as_str().unwrap_or_default(), Map::new())];
    names.iter().flat_map(both).collect()
}

fn remove(schema: &mut Value, key: &str) {
    // A property may be called as a keyword is; its schema is an object or a boolean, a keyword's value is not.
    if let Value::Object(object) = schema
        && !object.get(key).is_some_and(Value::is_object)
    {
        object.remove(key);
    }
}
