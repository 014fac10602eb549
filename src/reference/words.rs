//! Optimizers in the references' words: for each a preset of ours, and where its keys stand there.
//!
//! A new optimizer is a row of [`REFERENCES`].

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value as Json;

use super::MOST_ROUNDS;
use crate::catalog;
use crate::config::{Error, Node, Origin, Value, from_value};
use crate::optim::{OptimizerConfig, PRESETS};

/// An optimizer as a reference names it.
struct Reference {
    name: &'static str,
    /// What has the values that the reference does not speak of.
    preset: &'static str,
    /// All but `name` and `lr`, which each has.
    words: &'static [&'static [Word]],
    /// TOML of what is otherwise than in the preset.
    but: &'static str,
}

/// A key of a reference, and where its value stands in the preset.
struct Word {
    key: &'static str,
    path: &'static str,
    kind: Kind,
    optional: bool,
}

/// What a value may be.
#[derive(Clone, Copy)]
enum Kind {
    Number,
    Numbers(usize),
    Count,
    /// Steps, at least one.
    Interval,
    /// Steps, of which ours is so many times as many.
    Multiple(u64),
    /// Rounds of an iteration.
    Rounds,
    Flag,
    Name,
}

const fn word(key: &'static str, path: &'static str, kind: Kind) -> Word {
    Word { key, path, kind, optional: false }
}

const fn optional(key: &'static str, path: &'static str, kind: Kind) -> Word {
    Word { key, path, kind, optional: true }
}

const DECAY: &[Word] = &[word("weight_decay", "update.weight_decay", Kind::Number)];
const MOMENTUM: &[Word] = &[word("momentum", "update.momentum", Kind::Number)];
const NESTEROV: &[Word] = &[optional("nesterov", "update.nesterov", Kind::Flag)];
const BETAS: &[Word] = &[word("betas", "update.betas", Kind::Numbers(2))];
const EPS: &[Word] = &[word("eps", "update.eps", Kind::Number)];
const STATISTICS: &[Word] = &[word("factor_every", "precondition.factor_every", Kind::Interval)];
const INVERSES: &[Word] = &[word("inverse_every", "precondition.inverse_every", Kind::Interval)];
const AVERAGE: &[Word] = &[word("stat_decay", "precondition.moments.decay", Kind::Number)];
const RELATIVE: &[Word] = &[word("damping", "precondition.damping.factor", Kind::Number)];
const ABSOLUTE: &[Word] = &[word("damping", "precondition.damping.value", Kind::Number)];
const CLIP: &[Word] = &[word("kl_clip", "precondition.rescale.limit", Kind::Number)];
const NEWTON: &[Word] = &[word("newton_steps", "precondition.inverter.steps", Kind::Rounds)];

const REFERENCES: &[Reference] = &[
    Reference { name: "sgd", preset: "sgd", words: &[MOMENTUM, NESTEROV, DECAY], but: "" },
    Reference { name: "adamw", preset: "adamw", words: &[BETAS, EPS, DECAY], but: "" },
    Reference { name: "radam", preset: "radam", words: &[BETAS, EPS, DECAY], but: "" },
    Reference { name: "adabelief", preset: "adabelief", words: &[BETAS, EPS, DECAY], but: "" },
    Reference {
        name: "nkfac",
        preset: "nkfac",
        words: &[STATISTICS, INVERSES, AVERAGE, RELATIVE, NEWTON, MOMENTUM, DECAY],
        but: "",
    },
    Reference {
        name: "adankfac",
        preset: "adankfac",
        words: &[STATISTICS, INVERSES, AVERAGE, RELATIVE, NEWTON, BETAS, EPS, DECAY],
        but: "",
    },
    Reference {
        name: "kfac",
        preset: "kfac",
        words: &[
            STATISTICS,
            // It decays from the 20th statistics on.
            &[word("factor_every", "update.decay_from", Kind::Multiple(20))],
            INVERSES,
            AVERAGE,
            ABSOLUTE,
            CLIP,
            MOMENTUM,
            DECAY,
        ],
        but: "",
    },
    Reference {
        name: "ekfac",
        preset: "ekfac",
        words: &[
            STATISTICS,
            INVERSES,
            AVERAGE,
            &[word("eigenvalue_decay", "precondition.eigenvalues.decay", Kind::Number)],
            ABSOLUTE,
            CLIP,
            MOMENTUM,
            DECAY,
        ],
        but: "update.decay_from = 0",
    },
    Reference {
        name: "skfac",
        preset: "skfac",
        words: &[STATISTICS, INVERSES, ABSOLUTE, CLIP, MOMENTUM, DECAY],
        but: "",
    },
    Reference {
        name: "skfac-star",
        preset: "skfac-star",
        words: &[STATISTICS, INVERSES, RELATIVE, MOMENTUM, DECAY],
        but: "",
    },
    Reference {
        name: "shampoo",
        preset: "shampoo",
        words: &[
            STATISTICS,
            &[
                word("root_every", "precondition.root_every", Kind::Interval),
                word("stat_decay", "precondition.decay", Kind::Number),
            ],
            RELATIVE,
            MOMENTUM,
            DECAY,
        ],
        but: "",
    },
    Reference {
        name: "shampoo-half",
        preset: "shampoo-half",
        words: &[
            STATISTICS,
            &[
                word("root_every", "precondition.root_every", Kind::Interval),
                word("stat_decay", "precondition.decay", Kind::Number),
                word("root", "precondition.root", Kind::Count),
                word("graft_betas", "precondition.rescale.betas", Kind::Numbers(2)),
                word("graft_eps", "precondition.rescale.eps", Kind::Number),
            ],
            RELATIVE,
            MOMENTUM,
            DECAY,
        ],
        but: "",
    },
    Reference {
        name: "foof",
        preset: "foof",
        words: &[STATISTICS, INVERSES, AVERAGE, RELATIVE, MOMENTUM, DECAY],
        but: "",
    },
    Reference {
        name: "muon",
        preset: "muon",
        words: &[
            MOMENTUM,
            NESTEROV,
            &[
                word("rounds", "update.rounds", Kind::Rounds),
                word("adam_ratio", "update.adam_ratio", Kind::Number),
                optional("matrices", "update.matrices", Kind::Name),
                optional("scaling", "update.scaling", Kind::Name),
                optional("precision", "update.precision", Kind::Name),
            ],
            BETAS,
            EPS,
            DECAY,
        ],
        but: "update.precision = 'bfloat16'",
    },
    Reference { name: "lion", preset: "lion", words: &[BETAS, DECAY], but: "" },
    Reference {
        name: "nadamw",
        preset: "nadamw",
        words: &[BETAS, EPS, DECAY, &[word("momentum_decay", "update.momentum_decay", Kind::Number)]],
        but: "",
    },
    Reference {
        name: "ademamix",
        preset: "ademamix",
        words: &[
            &[
                word("betas", "update.betas", Kind::Numbers(3)),
                word("alpha", "update.alpha", Kind::Number),
                optional("alpha_warmup", "update.alpha_warmup", Kind::Count),
                optional("beta3_warmup", "update.beta3_warmup", Kind::Count),
            ],
            EPS,
            DECAY,
        ],
        but: "",
    },
    Reference {
        name: "schedule-free-adamw",
        preset: "schedule-free-adamw",
        words: &[BETAS, EPS, DECAY, &[word("warmup_steps", "update.warmup_steps", Kind::Count)]],
        but: "",
    },
    Reference {
        name: "soap",
        preset: "soap",
        words: &[
            BETAS,
            EPS,
            DECAY,
            &[
                word("precondition_every", "update.precondition_every", Kind::Interval),
                word("largest", "update.largest", Kind::Count),
            ],
        ],
        but: "",
    },
    Reference {
        name: "kl-shampoo",
        preset: "kl-shampoo",
        words: &[
            BETAS,
            EPS,
            DECAY,
            &[
                word("precondition_every", "update.precondition_every", Kind::Interval),
                word("largest", "update.largest", Kind::Count),
                word("start", "update.start", Kind::Number),
            ],
        ],
        but: "",
    },
    Reference {
        name: "psgd-kron",
        preset: "psgd-kron",
        words: &[
            MOMENTUM,
            &[
                word("precondition_lr", "update.precondition_lr", Kind::Number),
                word("largest", "update.largest", Kind::Count),
                word("certain_steps", "update.certain_steps", Kind::Count),
                word("probability_decay", "update.probability_decay", Kind::Number),
                word("seed", "update.seed", Kind::Count),
            ],
            DECAY,
        ],
        but: "",
    },
];

/// An optimizer in our words.
#[derive(Debug)]
pub struct Optimizer {
    /// The constant learning rate.
    pub lr: f64,
    pub config: OptimizerConfig,
}

/// A table of a trace, whose keys stand in it once each.
#[derive(Debug)]
pub struct Words(Vec<(String, Json)>);

impl Words {
    /// The same optimizer in our words; an error says which of its own are wrong.
    pub fn optimizer(&self) -> Result<Optimizer, String> {
        let reference = self.reference()?;
        let of = format!("the optimizer `{}`", reference.name);
        let words: Vec<&Word> = reference.words.iter().copied().flatten().collect();
        let is_known = |key: &str| key == "name" || key == "lr" || words.iter().any(|word| word.key == key);
        if let Some((key, _)) = self.0.iter().find(|(key, _)| !is_known(key)) {
            let hint = catalog::nearest(key, words.iter().map(|word| word.key));
            return Err(format!("{of} has no key `{key}`{}", meant(hint)));
        }
        let mut table = reference.table().map_err(|error| error.to_string())?;
        let origin = table.origin.clone();
        let read = |key: &str, kind: Kind| {
            let value = |json| kind.read(json, &origin).ok_or_else(|| mismatch(&of, key, kind, json));
            self.get(key).map(value).transpose()
        };
        let missing = |key: &str| format!("{of} lacks the key `{key}`");
        let lr = match read("lr", Kind::Number)? {
            Some(Value { node: Node::Float(lr), .. }) => lr,
            _ => return Err(missing("lr")),
        };
        for word in words {
            match read(word.key, word.kind)? {
                Some(value) => table = table.set(word.path, value),
                None if word.optional => {}
                None => return Err(missing(word.key)),
            }
        }
        let config = from_value(&table).map_err(|error| format!("{of}: {error}"))?;
        Ok(Optimizer { lr, config })
    }

    fn reference(&self) -> Result<&'static Reference, String> {
        let Some(name) = self.get("name").and_then(Json::as_str) else {
            return Err("the optimizer has no `name`".into());
        };
        REFERENCES.iter().find(|reference| reference.name == name).ok_or_else(|| {
            let hint = catalog::nearest(name, REFERENCES.iter().map(|reference| reference.name));
            format!("unknown optimizer `{name}`{}", meant(hint))
        })
    }

    fn get(&self, key: &str) -> Option<&Json> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, json)| json)
    }
}

fn meant(hint: Option<&str>) -> String {
    hint.map(|hint| format!(" (nearest: `{hint}`)")).unwrap_or_default()
}

fn mismatch(of: &str, key: &str, kind: Kind, found: &Json) -> String {
    let expected = match kind {
        Kind::Number => "a number".to_owned(),
        Kind::Numbers(count) => format!("{count} numbers"),
        Kind::Count => "a whole number that is not negative".to_owned(),
        Kind::Interval | Kind::Multiple(_) => "a whole number of steps, at least 1".to_owned(),
        Kind::Rounds => format!("a whole number of rounds, at most {MOST_ROUNDS}"),
        Kind::Flag => "`true` or `false`".to_owned(),
        Kind::Name => "a name".to_owned(),
    };
    format!("`{key}` of {of} is {found} (must be {expected})")
}

impl Reference {
    /// Its preset, with what is otherwise.
    fn table(&self) -> Result<Value, Error> {
        let preset = PRESETS.iter().find(|preset| preset.entry.name == self.preset);
        let table = Value::parse(self.preset, preset.map(|preset| preset.toml).unwrap_or_default())?;
        Ok(table.overlay(Value::parse(self.name, self.but)?))
    }
}

impl Kind {
    /// The value as our configuration has it, if it is of this kind.
    fn read(self, json: &Json, origin: &Origin) -> Option<Value> {
        let whole = |number: u64| i64::try_from(number).ok().map(Node::Integer);
        let node = match self {
            Self::Number => json.as_f64().map(Node::Float),
            Self::Numbers(count) => {
                let numbers = json.as_array().filter(|numbers| numbers.len() == count)?;
                numbers.iter().map(|json| Self::Number.read(json, origin)).collect::<Option<_>>().map(Node::Array)
            }
            Self::Count => whole(json.as_u64()?),
            Self::Interval => whole(json.as_u64().filter(|&steps| steps > 0)?),
            Self::Multiple(times) => whole(json.as_u64()?.checked_mul(times)?),
            Self::Rounds => whole(json.as_u64().filter(|&rounds| rounds <= MOST_ROUNDS as u64)?),
            Self::Flag => json.as_bool().map(Node::Boolean),
            Self::Name => json.as_str().map(|name| Node::String(name.to_owned())),
        };
        Some(Value { origin: origin.clone(), node: node? })
    }
}

impl<'de> Deserialize<'de> for Words {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Words;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an optimizer's table")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Words, A::Error> {
                let mut entries: Vec<(String, Json)> = Vec::new();
                while let Some((key, value)) = map.next_entry::<String, Json>()? {
                    if entries.iter().any(|(known, _)| *known == key) {
                        return Err(de::Error::custom(format_args!("the key `{key}` of the optimizer is there twice")));
                    }
                    entries.push((key, value));
                }
                Ok(Words(entries))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}
