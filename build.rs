//! Records the commit that the program is built from, for the results' origin.

use std::process::Command;

fn main() {
    let describe = Command::new("git").args(["describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]).output();
    let commit = match describe {
        Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        _ => "unknown".to_owned(),
    };
    println!("cargo::rustc-env=NKFAC_BENCH_COMMIT={commit}");
    // Whatever can change the answer, edits that are not committed yet among it.
    for path in [".git/logs/HEAD", ".git/index", "src", "Cargo.toml", "Cargo.lock"] {
        println!("cargo::rerun-if-changed={path}");
    }
}
