//! Records the commit that the program is built from, for the results' origin.

use std::process::Command;

fn main() {
    let describe = Command::new("git").args(["describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]).output();
    let commit = match describe {
        Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        _ => "unknown".to_owned(),
    };
    println!("cargo::rustc-env=NKFAC_BENCH_COMMIT={commit}");
    println!("cargo::rerun-if-changed=.git/logs/HEAD");
}
