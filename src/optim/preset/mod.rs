//! Named optimizers: tables of stages that spell every value out. An optimizer made of known stages is a table here.

use crate::catalog::Entry;

/// A named optimizer and its table.
#[derive(Debug, Clone, Copy)]
pub struct Preset {
    pub entry: Entry,
    pub toml: &'static str,
}

/// Every preset there is.
pub const PRESETS: &[Preset] = &[
    Preset {
        entry: Entry {
            name: "sgd",
            help: "stochastic gradient descent with momentum",
            example: r#"optimizer = { preset = "sgd" }"#,
        },
        toml: include_str!("sgd.toml"),
    },
    Preset {
        entry: Entry {
            name: "adamw",
            help: "Adam with decoupled weight decay (Loshchilov & Hutter 2019)",
            example: r#"optimizer = { preset = "adamw", update.weight_decay = 0.05 }"#,
        },
        toml: include_str!("adamw.toml"),
    },
    Preset {
        entry: Entry {
            name: "radam",
            help: "rectified Adam, decoupled weight decay (Liu et al. 2020)",
            example: r#"optimizer = { preset = "radam" }"#,
        },
        toml: include_str!("radam.toml"),
    },
    Preset {
        entry: Entry {
            name: "adabelief",
            help: "AdaBelief, decoupled weight decay (Zhuang et al. 2020)",
            example: r#"optimizer = { preset = "adabelief" }"#,
        },
        toml: include_str!("adabelief.toml"),
    },
    Preset {
        entry: Entry {
            name: "kfac",
            help: "KFAC by eigendecomposition, KL clip (Martens & Grosse 2015)",
            example: r#"optimizer = { preset = "kfac", precondition.damping.value = 3e-3 }"#,
        },
        toml: include_str!("kfac.toml"),
    },
    Preset {
        entry: Entry {
            name: "ekfac",
            help: "KFAC with corrected eigenvalues (EKFAC-ra, George et al. 2018)",
            example: r#"optimizer = { preset = "ekfac", precondition.eigenvalues.decay = 0.75 }"#,
        },
        toml: include_str!("ekfac.toml"),
    },
    Preset {
        entry: Entry {
            name: "skfac",
            help: "KFAC on pooled rows, inverted by Woodbury's identity (Tang et al. 2021)",
            example: r#"optimizer = { preset = "skfac" }"#,
        },
        toml: include_str!("skfac.toml"),
    },
    Preset {
        entry: Entry {
            name: "nkfac",
            help: "KFAC with warm-started Newton inverses (Sun et al. 2023)",
            example: r#"optimizer = { preset = "nkfac", precondition.inverter.steps = 2 }"#,
        },
        toml: include_str!("nkfac.toml"),
    },
    Preset {
        entry: Entry {
            name: "adankfac",
            help: "NKFAC's preconditioned gradient, stepped by Adam (Sun et al. 2023)",
            example: r#"optimizer = { preset = "adankfac" }"#,
        },
        toml: include_str!("adankfac.toml"),
    },
    Preset {
        entry: Entry {
            name: "kfac-star",
            help: "NKFAC's recipe with an exact inverse (KFAC* of table S9)",
            example: r#"optimizer = { preset = "kfac-star", precondition.inverter.kind = "eigen" }"#,
        },
        toml: include_str!("kfac-star.toml"),
    },
    Preset {
        entry: Entry {
            name: "skfac-star",
            help: "NKFAC's recipe with SKFAC's statistics and inverse (SKFAC* of table S9)",
            example: r#"optimizer = { preset = "skfac-star" }"#,
        },
        toml: include_str!("skfac-star.toml"),
    },
    Preset {
        entry: Entry {
            name: "shampoo",
            help: "Shampoo with coupled Newton roots, grafted on the gradient's norm (Gupta et al. 2018, Anil et al. 2020)",
            example: r#"optimizer = { preset = "shampoo", precondition.root_every = 50 }"#,
        },
        toml: include_str!("shampoo.toml"),
    },
    Preset {
        entry: Entry {
            name: "muon",
            help: "orthogonalised momentum for weights, Adam for the rest (Jordan et al. 2024)",
            example: r#"optimizer = { preset = "muon", update.weight_decay = 0.05 }"#,
        },
        toml: include_str!("muon.toml"),
    },
    Preset {
        entry: Entry {
            name: "lion",
            help: "the sign of a leaning average of gradients, decoupled weight decay (Chen et al. 2023)",
            example: r#"optimizer = { preset = "lion", update.weight_decay = 1.0 }"#,
        },
        toml: include_str!("lion.toml"),
    },
    Preset {
        entry: Entry {
            name: "nadamw",
            help: "Adam with Nesterov's momentum, decoupled weight decay (Dozat 2016)",
            example: r#"optimizer = { preset = "nadamw" }"#,
        },
        toml: include_str!("nadamw.toml"),
    },
    Preset {
        entry: Entry {
            name: "ademamix",
            help: "Adam with a second, slower average of gradients (Pagliardini et al. 2024)",
            example: r#"optimizer = { preset = "ademamix", update.alpha = 8.0 }"#,
        },
        toml: include_str!("ademamix.toml"),
    },
    Preset {
        entry: Entry {
            name: "schedule-free-adamw",
            help: "AdamW that averages its steps in place of a schedule (Defazio et al. 2024)",
            example: r#"optimizer = { preset = "schedule-free-adamw", update.warmup_steps = 100 }"#,
        },
        toml: include_str!("schedule-free-adamw.toml"),
    },
    Preset {
        entry: Entry {
            name: "soap",
            help: "Adam in the eigenbasis of Shampoo's factors (Vyas et al. 2024)",
            example: r#"optimizer = { preset = "soap", update.precondition_every = 5 }"#,
        },
        toml: include_str!("soap.toml"),
    },
    Preset {
        entry: Entry {
            name: "kl-shampoo",
            help: "Shampoo's factors by minimising a KL divergence, without Adam's memory (Lin et al. 2025)",
            example: r#"optimizer = { preset = "kl-shampoo", update.precondition_every = 5 }"#,
        },
        toml: include_str!("kl-shampoo.toml"),
    },
    Preset {
        entry: Entry {
            name: "psgd-kron",
            help: "gradients whitened by Kronecker factors that random probes fit (Li 2018)",
            example: r#"optimizer = { preset = "psgd-kron", update.precondition_lr = 0.3 }"#,
        },
        toml: include_str!("psgd-kron.toml"),
    },
    Preset {
        entry: Entry {
            name: "foof",
            help: "KFAC's input factor alone (Benzing 2022)",
            example: r#"optimizer = { preset = "foof", precondition.damping.factor = 0.1 }"#,
        },
        toml: include_str!("foof.toml"),
    },
    Preset {
        entry: Entry {
            name: "shampoo-half",
            help: "Shampoo with an exponent of −1/2, grafted on the norm of Adam's step (Shi et al. 2023)",
            example: r#"optimizer = { preset = "shampoo-half", precondition.root_every = 50 }"#,
        },
        toml: include_str!("shampoo-half.toml"),
    },
];
