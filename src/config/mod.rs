//! Configuration as trees that remember where they were written.
//!
//! An experiment is TOML overlaid by TOML: a base, an arm, a preset, a sweep's axis, `--set`. A [`Value`] is such a tree with the
//! file and line of every part, so that an error made while it is read as a Rust type names the line to change, the key and the
//! nearest valid name. [`from_value`] and [`to_json`] are serde's two directions under one convention: an `enum` is a table whose
//! `kind` names the variant, or the bare name where the variant needs no keys.
//!
//! This module does not know what is configured: no name of an optimizer, a net or a key other than `kind` and `preset` is here.

mod origin;

mod value;

mod overlay;

mod de;

mod ser;

mod error;

pub use de::from_value;
pub use error::{Error, did_you_mean};
pub use origin::Origin;
pub use ser::to_json;
pub use value::{Node, Value};
