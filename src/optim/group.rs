//! Groups of parameters, chosen by what they are or by name, that have a learning rate and a decay of their own.

use super::config::{Group, Kind};
use crate::param::{Params, Role};

/// What the learning rate and the decay of each parameter are multiplied by.
#[derive(Debug, Clone)]
pub struct Scales {
    pub lr: Vec<f64>,
    pub decay: Vec<f64>,
}

impl Scales {
    /// Each parameter belongs to the first group that takes it, and else is as it is.
    pub fn new(groups: &[Group], params: &Params) -> Self {
        let of = |scale: fn(&Group) -> f64| {
            let scale = |id| groups.iter().find(|group| takes(group, params, id)).map_or(1.0, scale);
            (0..params.params.len()).map(scale).collect()
        };
        Self { lr: of(|group| group.lr), decay: of(|group| group.decay) }
    }
}

/// The first group that takes no parameter of this net, counted from 1, if there is one.
#[must_use]
pub fn empty_group(groups: &[Group], params: &Params) -> Option<usize> {
    let is_empty = |group: &Group| (0..params.params.len()).all(|id| !takes(group, params, id));
    groups.iter().position(is_empty).map(|place| place + 1)
}

fn takes(group: &Group, params: &Params, id: usize) -> bool {
    let kind = match params.role(id) {
        Role::Weight => Kind::Weights,
        Role::Bias => Kind::Biases,
        Role::Norm => Kind::Norms,
        Role::Embedding => Kind::Embeddings,
    };
    let name = &params.params[id].name;
    (group.of.is_empty() || group.of.contains(&kind))
        && (group.names.is_empty() || group.names.iter().any(|pattern| matches(pattern, name)))
}

/// Whether a name is as a pattern says, in which `*` stands for anything.
fn matches(pattern: &str, name: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(name) = name.strip_prefix(head) else { return false };
    // The last star takes all but the end, those before it as little as they can.
    match rest.split_once('*') {
        None => name.ends_with(rest),
        Some((middle, _)) => name.find(middle).is_some_and(|at| matches(rest, &name[at..])),
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn stars_stand_for_anything() {
        for (pattern, name, expected) in [
            ("fc1.weight", "fc1.weight", true),
            ("fc1", "fc1.weight", false),
            ("*", "fc1.weight", true),
            ("*.bias", "fc1.bias", true),
            ("*.bias", "fc1.weight", false),
            ("h.*.attn.*", "h.0.attn.c_attn.weight", true),
            ("h.*.attn.*", "h.0.mlp.c_fc.weight", false),
            ("a*ab", "aab", true),
            ("a*b*c", "abbc", true),
            ("aa*aa", "aaa", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }
}
