use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::{Context, anyhow, bail};
use clap::Args;
use nkfac_bench::figure::FOLDER;
use nkfac_bench::record::Goal;
use nkfac_bench::report::{self, Asked, Scales};
use nkfac_bench::text::Shown;
use signal_hook::consts::{SIGINT, SIGTERM};

use super::output::{line, say};
use super::place::Place;

/// Write a report that answers the question: which optimizer, by how much, how sure
///
/// One self-contained HTML file: the answer in words, a table to sort, every figure with values under the pointer, what differs
/// between the arms, published figures beside measured ones, and how to reproduce it.
#[derive(Debug, Args)]
pub struct Report {
    #[command(flatten)]
    place: Place,
    /// Where to write it, - for standard output [default: report.html beside the figures, report.md or table.tex]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// The answer and the tables as Markdown
    #[arg(long, conflicts_with = "latex")]
    markdown: bool,
    /// The main table as LaTeX (booktabs): the best in bold, what does not differ significantly underlined
    #[arg(long)]
    latex: bool,
    /// The columns of the LaTeX table, such as label,final_accuracy,overhead; of text label,final_loss,overhead
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_parser = column, requires = "latex")]
    columns: Vec<String>,
    /// Set published figures of other data sets and nets beside these results, too, and say what differs
    #[arg(long, conflicts_with = "serve")]
    any_scale: bool,
    /// Serve it as a page that updates itself while trials end, until Ctrl-C: on this machine alone, unless another address is given
    ///
    /// An address such as 127.0.0.1:8000 or a port.
    #[arg(
        long, value_name = "ADDR", value_parser = address, num_args = 0..=1, default_missing_value = "8000",
        conflicts_with_all = ["out", "markdown", "latex"]
    )]
    serve: Option<SocketAddr>,
}

/// The columns that LaTeX tables may have.
fn known_columns() -> Vec<String> {
    let of_goal = |goal: Goal| {
        let beside = goal.beside.iter().map(|beside| format!("final_{}", beside.metric));
        [goal.key("final"), goal.key("best")].into_iter().chain(beside)
    };
    let others = ["interval", "epoch_seconds", "overhead", "peak_rss_bytes", "residual", "seeds", "diverged"];
    let own = Goal::ALL.into_iter().flat_map(of_goal);
    std::iter::once("label".to_owned()).chain(own).chain(others.map(str::to_owned)).collect()
}

/// A column of any table.
fn column(name: &str) -> Result<String, String> {
    let known = known_columns();
    if known.iter().any(|column| column == name) {
        return Ok(name.to_owned());
    }
    Err(format!("must be one of {}", known.join(", ")))
}

impl Report {
    pub fn execute(self) -> anyhow::Result<ExitCode> {
        if let Some(address) = self.serve {
            return serve(self.place.asked()?, address);
        }
        let (folder, data) = self.place.read()?;
        let report = report::Report::new(&data, if self.any_scale { Scales::Any } else { Scales::Same })?;
        if let Some(column) = self.columns.iter().find(|column| !report.columns().contains(&column.as_str())) {
            bail!(
                "no table here has the column `{column}`\nhint: it has {}",
                report.columns().into_iter().map(|column| format!("`{column}`")).collect::<Vec<_>>().join(", ")
            );
        }
        let (text, name) = match (self.markdown, self.latex) {
            (true, _) => (report.markdown(), "report.md"),
            (_, true) => (report.latex(&self.columns), "table.tex"),
            _ => (report.html(), "report.html"),
        };
        let path = self.out.unwrap_or_else(|| folder.join(FOLDER).join(name));
        if path.as_os_str() == "-" {
            line(text.trim_end())?;
        } else {
            let folder = path.parent().map_or(Ok(()), std::fs::create_dir_all);
            let written = folder.and_then(|()| std::fs::write(&path, text));
            written.with_context(|| format!("cannot write `{}`", path.shown()))?;
            line(path.shown())?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// `127.0.0.1:8000`, `localhost:8000`, `[::1]:8000`, or the port of the first.
fn address(text: &str) -> Result<SocketAddr, String> {
    let port = text.strip_prefix("localhost:").unwrap_or(text).parse::<u16>();
    match (port, text.parse()) {
        (Ok(port), _) => Ok((Ipv4Addr::LOCALHOST, port).into()),
        (_, Ok(address)) => Ok(address),
        _ => Err("must be an address such as 127.0.0.1:8000, or a port; the folder goes before `--serve`".into()),
    }
}

fn serve(asked: Asked, address: SocketAddr) -> anyhow::Result<ExitCode> {
    let folder = asked.folder.clone();
    if !folder.is_dir() {
        bail!("`{}` is not a results folder\nhint: name one such as results/quickstart", folder.shown());
    }
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, stop.clone()).context("cannot listen for signals")?;
    }
    let mut server = report::Server::bind(asked, address).map_err(|error| refused(address, &error))?;
    let address = server.address();
    if !address.ip().is_loopback() {
        say(format_args!("warning: whoever reaches {address} can read this report"));
    }
    line(format_args!("http://{address}/ serving `{}` (live); Ctrl-C to stop", folder.shown()))?;
    server.run(&stop, &mut |skipped| say(format_args!("warning: {skipped}")))?;
    Ok(ExitCode::SUCCESS)
}

fn refused(address: SocketAddr, error: &io::Error) -> anyhow::Error {
    let hint = match error.kind() {
        io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied => {
            let port = address.port().wrapping_add(1).max(1024);
            format!("\nhint: `--serve {}` asks for another port", SocketAddr::new(address.ip(), port))
        }
        _ => "\nhint: `--serve` alone takes 127.0.0.1:8000".to_owned(),
    };
    anyhow!("cannot serve at {address}: {error}{hint}")
}

#[cfg(test)]
mod tests {
    use super::address;

    #[test]
    fn an_address_is_on_this_machine_unless_another_is_given() {
        for (text, expected) in [
            ("8000", "127.0.0.1:8000"),
            ("localhost:0", "127.0.0.1:0"),
            ("127.0.0.1:80", "127.0.0.1:80"),
            ("[::1]:8000", "[::1]:8000"),
            ("0.0.0.0:8000", "0.0.0.0:8000"),
        ] {
            assert_eq!(address(text).map(|address| address.to_string()), Ok(expected.to_owned()));
        }
        for wrong in ["", "results/quickstart", "65536", "localhost", "127.0.0.1"] {
            assert!(address(wrong).is_err_and(|message| message.contains("must be")), "{wrong}");
        }
    }
}
