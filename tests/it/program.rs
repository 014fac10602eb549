//! Runs the program itself.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};

/// What a run printed, and how it ended.
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

/// Runs `nkfac-bench` with `args` in `folder`.
pub fn run(folder: &Path, args: &[&str]) -> Ran {
    ran(&mut command(folder, args))
}

/// Runs it with RUST_BACKTRACE and without, which changes no byte of what is said.
pub fn run_either_way(folder: &Path, args: &[&str]) -> Ran {
    let [with, without] = ["1", "0"].map(|trace| ran(command(folder, args).env("RUST_BACKTRACE", trace)));
    assert_eq!((with.code, &with.out, &with.err), (without.code, &without.out, &without.err));
    with
}

/// The command that does so. Many developers have set RUST_BACKTRACE.
pub fn command(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nkfac-bench"));
    command.args(args).current_dir(folder).env_remove("NKFAC_DATA").env("HOME", folder).env_remove("XDG_CACHE_HOME");
    command.env("RUST_BACKTRACE", "1").env_remove("RUST_LIB_BACKTRACE");
    command
}

/// Waits for any command.
pub fn ran(command: &mut Command) -> Ran {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran { code: status.code().unwrap(), out: text(stdout), err: text(stderr) }
}

/// A process that ends with its test, however that ends.
pub struct Alive(pub Child);

impl Drop for Alive {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A file of the repository.
pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}
