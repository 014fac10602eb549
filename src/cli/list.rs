use std::process::ExitCode;

use super::output::line;
use clap::{Args, ValueEnum};
use nkfac_bench::catalog::Entry;
use nkfac_bench::{data, figure, nn, optim};
use serde_json::json;

/// Show what can be named in an experiment file, with a line of help and an example
#[derive(Debug, Args)]
pub struct List {
    /// Only this kind
    #[arg(value_enum)]
    kind: Option<Kind>,
    /// Print one JSON object per name, for scripts
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    Datasets,
    Models,
    /// Presets of stages
    #[value(alias = "presets")]
    Optimizers,
    Inverters,
    Figures,
}

impl Kind {
    fn entries(self) -> Vec<Entry> {
        match self {
            Self::Datasets => data::CATALOG.to_vec(),
            Self::Models => nn::zoo::CATALOG.to_vec(),
            Self::Optimizers => optim::PRESETS.iter().map(|preset| preset.entry).collect(),
            Self::Inverters => optim::invert::CATALOG.to_vec(),
            Self::Figures => figure::ALL.iter().map(|figure| figure.entry()).collect(),
        }
    }

    const fn title(self) -> &'static str {
        match self {
            Self::Datasets => "datasets",
            Self::Models => "models",
            Self::Optimizers => "optimizers",
            Self::Inverters => "inverters",
            Self::Figures => "figures",
        }
    }
}

impl List {
    pub fn execute(self) -> anyhow::Result<ExitCode> {
        let kinds = match self.kind {
            Some(kind) => vec![kind],
            None => Kind::value_variants().to_vec(),
        };
        if self.json {
            for (kind, entry) in
                kinds.iter().flat_map(|kind| kind.entries().into_iter().map(move |entry| (kind, entry)))
            {
                let Entry { name, help, example } = entry;
                line(json!({ "kind": kind.title(), "name": name, "help": help, "example": example }))?;
            }
            return Ok(ExitCode::SUCCESS);
        }
        for (i, kind) in kinds.iter().enumerate() {
            if i > 0 {
                line("")?;
            }
            line(format_args!("{}:", kind.title()))?;
            for entry in kind.entries() {
                line(format_args!("  {:<18} {}", entry.name, entry.help))?;
                line(format_args!("  {:<18} {}", "", entry.example))?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
