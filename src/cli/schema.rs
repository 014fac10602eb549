use std::process::ExitCode;

use clap::Args;
use nkfac_bench::experiment;

use super::output::line;

/// Print the JSON schema of experiment files, for editors
///
/// Save it, and put `#:schema ./nkfac-bench.schema.json` into the first line of a file: editors that know TOML (Taplo, Even Better
/// TOML) then complete keys and mark what is wrong.
#[derive(Debug, Args)]
pub struct Schema {}

impl Schema {
    pub fn execute(self) -> anyhow::Result<ExitCode> {
        line(serde_json::to_string_pretty(&experiment::schema())?)?;
        Ok(ExitCode::SUCCESS)
    }
}
