//! Whatever prints says so when it cannot, and is quiet when nobody listens any more.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;
use std::process::Stdio;

use super::program::{Ran, command, ran, repository, run};
use super::sweep::{SMALL, folder};

/// A comparison of inverters.
const INVERTING: &str = r#"
task = "inverse"
[base]
seed = 1
order = 8
rounds = 2
damping = 0.001
perturbation = 0.1
inverter = { kind = "cholesky" }
"#;

/// Every way to print something, by subcommand; nothing here changes what the next one prints.
fn printing(folder: &Path) -> Vec<Vec<String>> {
    let golden = repository("tests/golden/ekfac_mlp.safetensors").to_string_lossy().into_owned();
    let weights = std::fs::read_dir(folder.join("results/small")).unwrap().map(|entry| entry.unwrap().path());
    let weights = weights.into_iter().find(|path| path.extension().is_some_and(|end| end == "safetensors")).unwrap();
    let lines = [
        "--help",
        "--version",
        "help run",
        "run x.toml",
        "run x.toml --json",
        "run x.toml --jobs 2",
        "run inverting.toml",
        "plan x.toml --full",
        "plan x.toml --json",
        "plan inverting.toml --json",
        "status x.toml --json",
        "compare nkfac sgd x.toml --json",
        "list --json",
        "plan inverting.toml",
        "status x.toml",
        "status results/small",
        "clean results/small",
        "submit x.toml --dry-run",
        "figure x.toml curves",
        "report x.toml",
        "report x.toml --out -",
        "report x.toml --markdown --out -",
        "report x.toml --latex --out -",
        "compare nkfac sgd x.toml",
        "same results/small results/small",
        "export x.toml --csv csv",
        "export x.toml --tensorboard events",
        &format!("evaluate x.toml --weights {}", weights.display()),
        "list",
        "list models",
        "bench step --model lenet --batch 2 --steps 1",
        "bench step --model lenet --batch 2 --steps 1 --json",
        "bench inverse --sizes 8 --inverters cholesky",
        "bench inverse --sizes 8 --inverters cholesky --json",
        "data list",
        &format!("verify {golden}"),
        "schema",
        "completions bash",
        "man",
    ];
    lines.iter().map(|line| line.split(' ').map(str::to_owned).collect()).collect()
}

fn ran_to(folder: &Path, args: &[String], out: impl Into<Stdio>) -> Ran {
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    ran(command(folder, &args).stdout(out))
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_behind_stdout_is_an_error_and_a_closed_pipe_is_none() {
    let folder = folder(SMALL);
    std::fs::write(folder.path().join("inverting.toml"), INVERTING).unwrap();
    let first = run(folder.path(), &["run", "x.toml", "--save-weights"]);
    assert_eq!(first.code, 0, "{}", first.err);
    for args in printing(folder.path()) {
        let good = ran_to(folder.path(), &args, Stdio::piped());
        assert!(good.code == 0 && !good.out.is_empty(), "{args:?}: {}", good.err);
        let full = ran_to(folder.path(), &args, File::options().write(true).open("/dev/full").unwrap());
        let message = "error: cannot write to stdout: No space left on device (os error 28)\n";
        assert!(full.code == 1 && full.err.ends_with(message), "{args:?}: {} {}", full.code, full.err);
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let closed = ran_to(folder.path(), &args, writer);
        assert_eq!((closed.code, &closed.err), (0, &good.err), "{args:?}");
    }
}

#[test]
fn no_subcommand_that_prints_is_left_out() {
    let folder = folder(SMALL);
    std::fs::create_dir_all(folder.path().join("results/small")).unwrap();
    std::fs::write(folder.path().join("results/small/x.safetensors"), "").unwrap();
    let help = run(folder.path(), &["--help"]).out;
    let commands = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    // A line that goes on is indented further.
    let names = commands.filter_map(|line| line.strip_prefix("  ").filter(|rest| !rest.starts_with(' ')));
    let names: BTreeSet<&str> = names.filter_map(|line| line.split(' ').next()).collect();
    let tried: BTreeSet<String> = printing(folder.path()).into_iter().map(|args| args[0].clone()).collect();
    // It draws on terminals alone.
    let left: Vec<&&str> = names.iter().filter(|name| !tried.contains(**name) && **name != "watch").collect();
    assert!(names.len() > 15 && left.is_empty(), "{left:?} of {names:?}");
}

/// What was computed is worth more than the words about it.
#[cfg(target_os = "linux")]
#[test]
fn a_sweep_that_cannot_print_is_run_and_drawn_to_its_end() {
    let full = || File::options().write(true).open("/dev/full").unwrap();
    for more in [&[][..], &["--json"], &["--jobs", "2"]] {
        let folder = folder(SMALL);
        let args = [&["run", "x.toml"], more].concat();
        let deaf = ran(command(folder.path(), &args).stdout(full()));
        assert!(deaf.code == 1 && deaf.err.contains("error: cannot write to stdout: "), "{} {}", deaf.code, deaf.err);
        let status = run(folder.path(), &["status", "x.toml"]);
        assert!(status.out.ends_with("\n4 finished\n"), "{}", status.out);
        assert!(folder.path().join("results/small/_figures/curves.svg").exists());
    }
    let folder = folder(SMALL);
    let mute = ran(command(folder.path(), &["run", "x.toml"]).stderr(full()));
    assert!(mute.code == 0 && mute.out.contains("4 finished"), "remarks are none of the results: {}", mute.out);
    assert_eq!(ran(command(folder.path(), &["plan", "none.toml"]).stderr(full())).code, 1);
}

#[test]
fn inverters_are_measured_by_name_or_with_their_settings() {
    let here = tempfile::tempdir().unwrap();
    let bench = |inverter: &str| run(here.path(), &["bench", "inverse", "--sizes", "8", "--inverters", inverter]);
    let settled = r#"{ kind = "newton", precision = "bf16" }"#;
    for inverter in ["newton", settled] {
        let measured = bench(inverter);
        assert!(measured.code == 0 && measured.out.contains(inverter), "{}", measured.err);
    }
    let misspelt = bench(r#"{ kind = "newton", precison = "bf16" }"#);
    assert!(misspelt.code == 1 && misspelt.err.contains("unknown key `precison`"), "{}", misspelt.err);
}
