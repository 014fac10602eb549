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
    let of_git = ["logs/HEAD", "index"].into_iter().filter_map(git_path);
    for path in of_git.chain(["src", "Cargo.toml", "Cargo.lock"].map(str::to_owned)) {
        println!("cargo::rerun-if-changed={path}");
    }
}

/// Where git keeps a file of its own, which in a worktree is not in `.git`. A file that is missing would have the program built every time.
fn git_path(file: &str) -> Option<String> {
    let output = Command::new("git").args(["rev-parse", "--git-path", file]).output().ok()?;
    let path = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    (output.status.success() && std::path::Path::new(&path).exists()).then_some(path)
}
