use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::Args;
use nkfac_bench::experiment::{self, Experiment, Overrides, Source, Work};
use nkfac_bench::text::{Shown, counted, shell};

use super::output::say;

/// Which experiment, and what the command line changes in it.
#[derive(Debug, Args)]
pub struct Selection {
    /// The experiment (a TOML file)
    experiment: PathBuf,
    #[command(flatten)]
    changes: Changes,
}

/// What the command line changes in an experiment.
#[derive(Debug, Default, Args)]
pub struct Changes {
    /// Overlay a key of every arm, such as epochs=5 or schedule.lr=0.1; every arm must have it
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Run the first N seeds of the file, or 1 to N if it has fewer
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    seeds: Option<u16>,
    /// Run at this scale of the file, such as laptop: the same questions, another size [default: paper]
    #[arg(long, value_name = "NAME")]
    scale: Option<String>,
}

impl Changes {
    /// Refuses changes to a results folder, which nothing can change.
    pub fn refuse_for(&self, folder: &Path) -> anyhow::Result<()> {
        if !self.set.is_empty() || self.seeds.is_some() || self.scale.is_some() {
            let folder = folder.shown();
            bail!("`{folder}` is a results folder, and only an experiment can be changed\nhint: name the TOML file");
        }
        Ok(())
    }

    /// The arguments that change the same again.
    pub fn arguments(&self) -> Vec<OsString> {
        let mut arguments = Vec::new();
        for set in &self.set {
            arguments.extend(["--set".into(), set.into()]);
        }
        if let Some(seeds) = self.seeds {
            arguments.extend(["--seeds".into(), seeds.to_string().into()]);
        }
        if let Some(scale) = &self.scale {
            arguments.extend(["--scale".into(), scale.into()]);
        }
        arguments
    }

    pub fn overrides(&self) -> Overrides {
        let seeds = self.seeds.map(usize::from);
        Overrides { set: self.set.clone(), seeds, scale: self.scale.clone(), on_count: Some(counting) }
    }
}

impl Selection {
    /// Reads and resolves what is asked for, of either kind; says nothing of warnings.
    pub fn open(&self) -> anyhow::Result<Work> {
        Ok(experiment::open(&self.experiment, &self.changes.overrides())?)
    }

    /// Reads the file, and resolves nothing.
    pub fn source(&self) -> anyhow::Result<Source> {
        Ok(Source::read(&self.experiment)?)
    }

    /// The same with a text that another process has read.
    pub fn source_of(&self, text: String) -> Source {
        Source { path: self.experiment.clone(), text }
    }

    /// Resolves what was read.
    pub fn resolve(&self, source: &Source) -> anyhow::Result<Work> {
        Ok(source.resolve(&self.changes.overrides())?)
    }

    /// The arguments that select the same again, for a person to type.
    pub fn command(&self) -> String {
        self.arguments().into_iter().map(shell).collect::<Vec<_>>().join(" ")
    }

    /// Reads and resolves an experiment that trains; warnings go to standard error.
    pub fn read(&self) -> anyhow::Result<Experiment> {
        let experiment = experiment::read(&self.experiment, &self.changes.overrides())?;
        warn(&experiment);
        Ok(experiment)
    }

    /// Refuses a pipe where other processes are to read the experiment again.
    pub fn refuse_pipe(&self, asked: &str) -> anyhow::Result<()> {
        if self.experiment.exists() && !self.experiment.is_file() {
            let path = self.experiment.shown();
            bail!(
                "`{path}` can be read only once, and with {asked} other processes read it, too\nhint: save it as a file"
            );
        }
        Ok(())
    }

    /// The arguments that select the same again.
    pub fn arguments(&self) -> Vec<OsString> {
        let mut arguments = vec![self.experiment.clone().into_os_string()];
        arguments.extend(self.changes.arguments());
        arguments
    }
}

/// Says what takes long, once for each set of data.
fn counting(path: &Path, files: usize, bytes: u64) {
    let (path, megabytes) = (path.shown(), bytes / 1_000_000);
    say(format_args!("counting and measuring `{path}` ({}, {megabytes} MB)", counted(files, "file")));
}

/// What is legal, but probably not meant.
pub fn warn(experiment: &Experiment) {
    for warning in &experiment.warnings {
        say(format_args!("warning: {warning}"));
    }
}
