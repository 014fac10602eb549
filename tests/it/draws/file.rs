//! Experiment files drawn at random: small nets, and of everything else what the program's own catalog and schema know.
//!
//! So an optimizer or a key that is added is drawn because it is there. Data and nets are a list, for the sake of time.

use serde_json::Value;

use nkfac_bench::experiment;
use nkfac_bench::experiment::Overrides;
use nkfac_bench::optim::PRESETS;
use nkfac_bench::random::Random;
use nkfac_bench::train::Config;

use crate::sweep;

/// Data with a net, and how many of twenty draws are theirs.
const NETS: [(usize, &str, &str); 7] = [
    (5, r#"kind = "digits""#, r#"{ kind = "mlp", hidden = [] }"#),
    (6, r#"kind = "digits""#, r#"{ kind = "mlp", hidden = [3] }"#),
    (5, r#"kind = "digits""#, r#"{ kind = "mlp", hidden = [8, 5] }"#),
    (1, r#"kind = "digits", target = "input""#, r#"{ kind = "autoencoder", hidden = [5, 2] }"#),
    (1, r#"kind = "digits""#, r#"{ kind = "resnet18", width = 1 }"#),
    (1, r#"kind = "synthetic""#, r#"{ kind = "lenet" }"#),
    (1, r#"kind = "shakespeare", context = 8"#, r#"{ kind = "gpt", width = 4, heads = 2, layers = 1 }"#),
];

/// Keys that are drawn apart from the rest, or that would need a file, a certain processor or the time.
const APART: [&str; 12] = [
    "batch",
    "data",
    "dtype",
    "engine",
    "epochs",
    "init_from",
    "max_seconds",
    "model",
    "optimizer",
    "schedule",
    "seed",
    "steps",
];

/// Nor are trials drawn that ask for bfloat16: those who do want no digits of float64.
const PRECISION: &str = "precision";

const SCHEDULE: &str = r#"schedule = { kind = "constant", lr = 0.1 }"#;

/// The only trial of a file, if `plan` has nothing against it.
pub fn accepted(text: &str) -> Option<Config> {
    let folder = sweep::folder(text);
    let experiment = experiment::read(&folder.path().join("x.toml"), &Overrides::default()).ok()?;
    if !experiment.obstacles(folder.path()).is_empty() {
        return None;
    }
    Some(experiment.trials.into_iter().next()?.config)
}

/// The experiment of this number.
pub fn draw(number: u64) -> String {
    let schema = experiment::schema();
    let base = &schema["properties"]["base"]["anyOf"][0]["properties"];
    let mut draw = Draw { random: Random::new(number, "draws"), text: "name = \"draw\"\n[base]\n".into() };
    draw.frame();
    let others = base.as_object().unwrap().iter().filter(|(key, _)| !APART.contains(&key.as_str()));
    for (key, schema) in others {
        draw.sometimes(0.15, key, schema);
    }
    draw.sometimes(0.15, "engine.conv", &base["engine"]["properties"]["conv"]);
    draw.optimizer(&base["optimizer"]["anyOf"][1]["properties"]);
    // In place of the constant one.
    for _ in 0..4 {
        let schedule = format!("schedule = {}", draw.value(&base["schedule"]));
        let other = draw.text.replace(SCHEDULE, &schedule);
        if accepted(&other).is_some() {
            return other;
        }
    }
    draw.text
}

struct Draw {
    random: Random,
    /// The file so far.
    text: String,
}

impl Draw {
    fn frame(&mut self) {
        let mut place = self.random.below(20);
        let net = NETS.iter().find(|(share, ..)| {
            let found = place < *share;
            place = place.saturating_sub(*share);
            found
        });
        let (_, data, model) = net.unwrap();
        let (batch, steps) = (8 * self.whole(1, 2), self.whole(1, 4));
        let (epochs, seed) = (self.whole(1, 2), self.whole(1, 99));
        self.text += &format!("epochs = {epochs}\nbatch = {batch}\nseed = {seed}\n");
        self.text += &format!("data = {{ {data}, train_limit = {} }}\nmodel = {model}\n", batch * steps);
        self.text += &format!("{SCHEDULE}\n");
    }

    /// A preset, some of whose keys have other values.
    fn optimizer(&mut self, schema: &Value) {
        let preset = PRESETS[self.random.below(PRESETS.len())];
        self.text += &format!("optimizer.preset = \"{}\"\n", preset.entry.name);
        let table: toml::Table = toml::from_str(preset.toml).unwrap();
        for (part, schema) in schema.as_object().unwrap().iter().filter(|(part, _)| *part != "preset") {
            let path = format!("optimizer.{part}");
            let kind = table.get(part).and_then(|table| table["kind"].as_str());
            if self.sometimes(0.1, &path, schema) {
                continue;
            }
            let is_ours = |form: &&Value| form["properties"]["kind"]["const"].as_str() == kind;
            let Some(forms) = schema["anyOf"].as_array().filter(|_| kind.is_some()) else { continue };
            let keys = forms.iter().find(is_ours).unwrap()["properties"].as_object().unwrap();
            for (key, schema) in keys.iter().filter(|(key, _)| ![PRECISION, "kind"].contains(&key.as_str())) {
                self.sometimes(0.4, &format!("{path}.{key}"), schema);
            }
        }
    }

    /// With a probability of `share` another value for a key, unless the file would then be refused; says whether there is one.
    fn sometimes(&mut self, share: f64, key: &str, schema: &Value) -> bool {
        let draws = self.random.uniform() < share;
        if draws {
            let value = self.value(schema);
            let longer = format!("{}{key} = {value}\n", self.text);
            if accepted(&longer).is_some() {
                self.text = longer;
                return true;
            }
        }
        false
    }

    /// Anything that the schema allows, as TOML.
    fn value(&mut self, schema: &Value) -> String {
        if let Some(forms) = schema["anyOf"].as_array().or(schema["enum"].as_array()) {
            let forms: Vec<&Value> = forms.iter().filter(|form| !form.is_null()).collect();
            let form = forms[self.random.below(forms.len())];
            return if form.is_string() { form.to_string() } else { self.value(form) };
        }
        if let name @ Value::String(_) = &schema["const"] {
            return name.to_string();
        }
        match schema["type"].as_str().unwrap() {
            "boolean" => (self.random.below(2) == 1).to_string(),
            "integer" => self.whole(0, 8).to_string(),
            "number" => self.number(),
            "string" => "\"*\"".into(),
            "array" => {
                let count = schema["minItems"].as_u64().unwrap_or(1 + self.random.below(2) as u64);
                let items: Vec<String> = (0..count).map(|_| self.value(&schema["items"])).collect();
                format!("[{}]", items.join(", "))
            }
            "object" => {
                let mut keys = Vec::new();
                for (key, schema) in
                    schema["properties"].as_object().unwrap().iter().filter(|(key, _)| *key != PRECISION)
                {
                    if schema.get("default").is_none() || self.random.below(2) == 1 {
                        keys.push(format!("{key} = {}", self.value(schema)));
                    }
                }
                format!("{{ {} }}", keys.join(", "))
            }
            other => panic!("a value of type {other}"),
        }
    }

    /// Nothing, a share, of which many are near 1, a number as it is usual, or one of any size.
    fn number(&mut self) -> String {
        let kind = self.random.below(7);
        let mut log = |from: f64, to: f64| 10f64.powf(from + self.random.uniform() * (to - from));
        let number = match kind {
            0 => 0.0,
            1 | 2 => 1.0 - log(-4.0, 0.0),
            3 | 4 => log(-3.0, 0.0),
            _ => log(-14.0, 4.0),
        };
        format!("{number:.3e}")
    }

    fn whole(&mut self, from: usize, to: usize) -> usize {
        from + self.random.below(to - from + 1)
    }
}
