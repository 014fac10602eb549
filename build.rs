//! Records the commit that the program is built from, for the results' origin; and has nvcc compile the kernels for CUDA devices, where the
//! program is to have any.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
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
    if env::var_os("CARGO_FEATURE_CUDA").is_some()
        && let Err(error) = compile_kernels()
    {
        error.lines().for_each(|line| println!("cargo::error={line}"));
    }
}

/// Each `.cu` file once for each type that it computes in, as `ptx.rs`. At build time rather than by NVRTC at start: candle's own kernels need
/// nvcc here anyway, an error is found where it is made, and the program needs one library less.
fn compile_kernels() -> Result<(), String> {
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    let mut table = String::from("pub const PTX: &[(&str, &str)] = &[\n");
    let files = fs::read_dir("src/device").into_iter().flatten().flatten().map(|entry| entry.path());
    for source in files.filter(|path| path.extension().is_some_and(|extension| extension == "cu")) {
        let family = source.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        for real in ["f32", "f64"] {
            let ptx = format!("{family}.{real}.ptx");
            compile(&source, real, &out.join(&ptx))?;
            table += &format!("(\"{family}.{real}\", include_str!(concat!(env!(\"OUT_DIR\"), \"/{ptx}\"))),\n");
        }
    }
    fs::write(out.join("ptx.rs"), table + "];\n").map_err(|error| format!("cannot write ptx.rs: {error}"))
}

/// Without an architecture nvcc takes the oldest that it knows, whose PTX runs on all later ones.
fn compile(source: &Path, real: &str, ptx: &Path) -> Result<(), String> {
    let variables = ["NVCC", "CUDA_HOME", "CUDA_PATH"];
    variables.iter().for_each(|variable| println!("cargo::rerun-if-env-changed={variable}"));
    let [nvcc, home, path] = variables.map(env::var_os);
    let in_toolkit = home.or(path).map(|toolkit| Path::new(&toolkit).join("bin/nvcc"));
    let nvcc = nvcc.map(PathBuf::from).or(in_toolkit).unwrap_or_else(|| PathBuf::from("nvcc"));
    let mut command = Command::new(&nvcc);
    command.args(["-ptx", "-O3", "-std=c++17"]).arg(format!("-D{real}")).arg(source).arg("-o").arg(ptx);
    match command.output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        Err(error) => Err(format!("cannot run `{}`: {error}; the feature `cuda` needs CUDA's toolkit", nvcc.display())),
    }
}

/// Where git keeps a file of its own, which in a worktree is not in `.git`. A file that is missing would have the program built every time.
fn git_path(file: &str) -> Option<String> {
    let output = Command::new("git").args(["rev-parse", "--git-path", file]).output().ok()?;
    let path = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    (output.status.success() && std::path::Path::new(&path).exists()).then_some(path)
}
