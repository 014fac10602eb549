use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use nkfac_bench::data::check::{Balance, Report, check};
use nkfac_bench::data::fetch::{Outcome, Progress, fetch, missing};
use nkfac_bench::data::{self, Kind};
use nkfac_bench::text::Shown;

use super::output::{line, say};

/// List, fetch and check data sets
#[derive(Debug, Args)]
pub struct Data {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show every data set: whether it is there and where, its size to download, its licence
    List {
        #[command(flatten)]
        place: Place,
    },
    /// Download a data set, compare it with its published checksum, unpack it
    ///
    /// Resumes an interrupted download. Does nothing if the set is already there.
    Fetch {
        #[command(flatten)]
        name: Name,
        /// A mirror's address, or a folder, that has files of the same names
        #[arg(long, value_name = "URL-or-DIR")]
        from: Option<String>,
        #[command(flatten)]
        place: Place,
    },
    /// Compare checksums, count images and classes, decode every image file
    ///
    /// The exit code is 1 if anything is not as published.
    Check {
        #[command(flatten)]
        name: Name,
        #[command(flatten)]
        place: Place,
    },
}

#[derive(Debug, Args)]
struct Name {
    /// The data set
    #[arg(value_parser = PossibleValuesParser::new(Kind::ALL.map(Kind::name)))]
    name: String,
}

impl Name {
    fn kind(&self) -> anyhow::Result<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.name() == self.name).context("unknown data set")
    }
}

#[derive(Debug, Args)]
struct Place {
    /// The folder with data [default: NKFAC_DATA, else ~/.cache/nkfac-bench]
    #[arg(long, visible_alias = "in", value_name = "DIR")]
    into: Option<PathBuf>,
}

impl Place {
    fn folder(&self) -> PathBuf {
        data::folder(self.into.as_deref())
    }
}

impl Data {
    pub fn execute(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::List { place } => {
                list(&place.folder())?;
                Ok(ExitCode::SUCCESS)
            }
            Command::Fetch { name, from, place } => {
                get(name.kind()?, from.as_deref(), &place.folder())?;
                Ok(ExitCode::SUCCESS)
            }
            Command::Check { name, place } => {
                let report = look(name.kind()?, &place.folder())?;
                if !report.is_good() {
                    bail!("`{}` is not as published", name.name);
                }
                Ok(ExitCode::SUCCESS)
            }
        }
    }
}

fn list(folder: &Path) -> anyhow::Result<()> {
    line(format_args!("looked for in {}", folder.shown()))?;
    for kind in Kind::ALL {
        let Some(source) = kind.source() else {
            line(format_args!("{:<14} built in", kind.name()))?;
            continue;
        };
        let (state, place) = match missing(source, folder) {
            None => ("found", kind.place(folder)),
            Some(_) => ("missing", folder.join(source.folder)),
        };
        let size = size(source.archives.iter().map(|archive| archive.bytes).sum());
        line(format_args!("{:<14} {state:<8} {size:>8}  {}", kind.name(), place.shown()))?;
        line(format_args!("{:<14} {:<8} {:>8}  {}", "", "", "", source.licence))?;
    }
    line("get one: nkfac-bench data fetch NAME")
}

/// In the unit of the download pages.
fn size(bytes: u64) -> String {
    match bytes {
        1_000_000_000.. => format!("{:.0} GB", bytes as f64 / 1e9),
        _ => format!("{:.0} MB", bytes as f64 / 1e6),
    }
}

fn get(kind: Kind, from: Option<&str>, folder: &Path) -> anyhow::Result<()> {
    let bar = ProgressBar::new(0);
    let mut on_progress = |progress: Progress<'_>| match progress {
        Progress::Waiting => {
            bar.suspend(|| say(format_args!("another process is fetching `{}`: waiting for it", kind.name())));
        }
        Progress::Downloading { name, done, total } => {
            bar.set_style(style("{msg} {wide_bar:.blue} {bytes}/{total_bytes} · {bytes_per_sec} · {eta} left"));
            bar.set_message(name.to_owned());
            bar.set_length(total.unwrap_or(done));
            bar.set_position(done);
        }
        Progress::Comparing { name } => {
            bar.set_style(style("{msg}"));
            bar.set_message(format!("{name}: comparing checksums"));
        }
        Progress::Unpacking { name, files } => {
            bar.set_style(style("{msg}"));
            bar.set_message(format!("{name}: {files} files unpacked"));
        }
    };
    let outcome = fetch(kind, from, folder, &mut on_progress);
    bar.finish_and_clear();
    let word = match outcome? {
        Outcome::Fetched => "fetched",
        Outcome::Found => "was there already",
    };
    line(format_args!("{} {word}: {}", kind.name(), kind.place(folder).shown()))
}

fn look(kind: Kind, folder: &Path) -> anyhow::Result<Report> {
    let bar = ProgressBar::new(0);
    bar.set_style(style("{msg} {wide_bar:.blue} {pos}/{len} images · {eta} left"));
    bar.set_message(kind.name());
    let report = check(kind, folder, &|done, all| {
        bar.set_length(all as u64);
        bar.set_position(done as u64);
    });
    bar.finish_and_clear();
    let report = report?;
    for (path, matches) in &report.sums {
        let word = if *matches { "as published" } else { "differs from the published file" };
        line(format_args!("{}: {word}", path.shown()))?;
    }
    for broken in &report.broken {
        line(format_args!("{}: cannot be decoded: {}", broken.path.shown(), broken.reason))?;
    }
    for (part, balance) in [("training", report.train), ("test", report.test)] {
        let Balance { images, classes, fewest, most } = balance;
        line(format_args!("{images} {part} images of {classes} classes, {fewest} to {most} per class"))?;
    }
    if !report.broken.is_empty() {
        line(format_args!("{} broken images", report.broken.len()))?;
    }
    Ok(report)
}

/// The templates are constants of this file; one that indicatif refuses falls back to its own.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
