//! How one tree changes another.
//!
//! Tables merge key by key and anything else is replaced, with one exception: a table that chooses another `kind` or another
//! `preset` replaces the whole table beneath it, because the keys of one kind mean nothing to another. A table that has no `kind`
//! yet is incomplete, and merges; one that has no `preset` is spelled out, and is replaced by a preset.

use super::{Node, Origin, Value};

impl Value {
    /// This tree, changed by `over`.
    #[must_use]
    pub fn overlay(mut self, over: Self) -> Self {
        let replaced = over.chooses_otherwise(&self);
        match (&mut self.node, over.node) {
            (Node::Table(entries), Node::Table(changes)) if !replaced => {
                for (key, change) in changes {
                    insert(entries, key, change);
                }
                self
            }
            (_, node) => Self { origin: over.origin, node },
        }
    }

    /// This tree with `value` overlaid at a dotted path; the tables on the way are made where they are missing.
    #[must_use]
    pub fn set(self, path: &str, value: Self) -> Self {
        self.overlay(path.rsplit('.').fold(value, |inner, key| {
            let origin: Origin = inner.origin.clone();
            Self { origin, node: Node::Table(vec![(key.to_owned(), inner)]) }
        }))
    }

    fn chooses_otherwise(&self, base: &Self) -> bool {
        let chosen = |key: &str| (self.get(key).map(Self::as_str), base.get(key).map(Self::as_str));
        let another_kind = matches!(chosen("kind"), (Some(ours), Some(theirs)) if ours != theirs);
        let another_preset = matches!(chosen("preset"), (Some(ours), theirs) if Some(ours) != theirs);
        another_kind || another_preset
    }
}

/// The entry is taken out and put back so that it can be overlaid by value, in its place.
fn insert(entries: &mut Vec<(String, Value)>, key: String, change: Value) {
    match entries.iter().position(|(name, _)| *name == key) {
        Some(place) => {
            let (key, base) = entries.remove(place);
            entries.insert(place, (key, base.overlay(change)));
        }
        None => entries.push((key, change)),
    }
}
