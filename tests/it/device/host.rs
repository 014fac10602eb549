//! A program of all kernels for CUDA devices, compiled for the host, that launches what it is told through pipes.

use std::io::{BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{LazyLock, Mutex};

use candle_core::{CpuStorage, DType, Error, Result, Storage, Tensor};
use nkfac_bench::device::{Arg, Call, Launch, Output};

use crate::program::{Alive, repository};

/// A program of all kernels.
pub struct Host {
    pipes: Mutex<(BufWriter<ChildStdin>, BufReader<ChildStdout>)>,
    _process: Alive,
}

impl Host {
    fn start(program: &Path, words: &[&str]) -> Self {
        let mut command = Command::new(program);
        let mut process: Child = command.args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let pipes = (BufWriter::new(process.stdin.take().unwrap()), BufReader::new(process.stdout.take().unwrap()));
        Self { pipes: Mutex::new(pipes), _process: Alive(process) }
    }
}

/// What stands for a type in a call.
const fn letter(dtype: DType) -> u8 {
    match dtype {
        DType::F32 => b'f',
        DType::F64 => b'd',
        _ => b'u',
    }
}

fn bytes(tensor: &Tensor) -> Result<Vec<u8>> {
    let flat = tensor.flatten_all()?;
    Ok(match tensor.dtype() {
        DType::F32 => flat.to_vec1::<f32>()?.into_iter().flat_map(f32::to_ne_bytes).collect(),
        DType::F64 => flat.to_vec1::<f64>()?.into_iter().flat_map(f64::to_ne_bytes).collect(),
        _ => flat.to_vec1::<u32>()?.into_iter().flat_map(u32::to_ne_bytes).collect(),
    })
}

fn storage(bytes: &[u8], dtype: DType) -> CpuStorage {
    match dtype {
        DType::F32 => CpuStorage::F32(bytes.as_chunks().0.iter().map(|&chunk| f32::from_ne_bytes(chunk)).collect()),
        DType::F64 => CpuStorage::F64(bytes.as_chunks().0.iter().map(|&chunk| f64::from_ne_bytes(chunk)).collect()),
        _ => CpuStorage::U32(bytes.as_chunks().0.iter().map(|&chunk| u32::from_ne_bytes(chunk)).collect()),
    }
}

impl Launch for Host {
    fn launch(&self, call: &Call) -> Result<Vec<Output>> {
        let (name, mut message) = (call.name(), Vec::new());
        let mut put = |bytes: &[u8]| message.extend_from_slice(bytes);
        put(&(name.len() as u32).to_ne_bytes());
        put(name.as_bytes());
        call.grid.into_iter().for_each(|blocks| put(&(blocks as u32).to_ne_bytes()));
        call.block.into_iter().chain([call.args.len() as u32]).for_each(|number| put(&number.to_ne_bytes()));
        for arg in call.args {
            match arg {
                Arg::In(tensor) => {
                    let bytes = bytes(tensor)?;
                    put(&[b'i', letter(tensor.dtype())]);
                    put(&(bytes.len() as u64).to_ne_bytes());
                    put(&bytes);
                }
                Arg::Out(shape, dtype) => {
                    put(&[b'o', letter(*dtype)]);
                    put(&((shape.elem_count() * dtype.size_in_bytes()) as u64).to_ne_bytes());
                }
                Arg::Count(count) => {
                    put(b"cu");
                    put(&u32::try_from(*count).unwrap().to_ne_bytes());
                }
                Arg::Number(number) => {
                    put(b"nd");
                    put(&number.to_ne_bytes());
                }
            }
        }
        let mut pipes = self.pipes.lock().map_err(|_| Error::Msg("the program has ended".into()))?;
        pipes.0.write_all(&message)?;
        pipes.0.flush()?;
        let outputs = call
            .args
            .iter()
            .filter_map(|arg| if let Arg::Out(shape, dtype) = arg { Some((shape, *dtype)) } else { None });
        outputs
            .map(|(shape, dtype)| {
                let mut bytes = vec![0; shape.elem_count() * dtype.size_in_bytes()];
                pipes.1.read_exact(&mut bytes)?;
                Ok(Output(Storage::Cpu(storage(&bytes, dtype)), shape.clone()))
            })
            .collect()
    }
}

pub struct Hosts {
    pub ordered: Host,
    /// With barriers that hold nobody.
    pub unordered: Host,
}

/// `None` where there is no C++ compiler.
pub static HOSTS: LazyLock<Option<Hosts>> = LazyLock::new(|| {
    let compiler = std::env::var("CXX").unwrap_or_else(|_| "c++".to_owned());
    if let Err(error) = Command::new(&compiler).arg("--version").output() {
        eprintln!("the kernels for CUDA devices are not tested, because `{compiler}` does not run: {error}");
        return None;
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("device");
    std::fs::create_dir_all(&folder).unwrap();
    let mut sources: Vec<PathBuf> =
        repository("src/device").read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    sources.retain(|path| path.extension().is_some_and(|extension| extension == "cu"));
    let compile = |sources: &[PathBuf], real: &str| -> Vec<PathBuf> {
        let object = |source: &PathBuf| {
            let object = folder.join(format!("{}.{real}.o", source.file_stem().unwrap().display()));
            let mut command = Command::new(&compiler);
            command.args(["-std=c++17", "-O1", "-Wall", "-Wextra", "-Werror", "-c"]).arg(format!("-D{real}"));
            command.arg("-I").arg(repository("src/device")).arg("-I").arg(repository("tests/cuda/host"));
            succeeds(command.args(["-x", "c++"]).arg(source).arg("-o").arg(&object));
            object
        };
        sources.iter().map(object).collect()
    };
    let mut objects = compile(&["host", "serve"].map(|name| repository(&format!("tests/cuda/host/{name}.cpp"))), "f32");
    objects.extend(["f32", "f64"].into_iter().flat_map(|real| compile(&sources, real)));
    let program = folder.join("kernels");
    succeeds(Command::new(&compiler).args(&objects).arg("-o").arg(&program));
    Some(Hosts { ordered: Host::start(&program, &[]), unordered: Host::start(&program, &["unordered"]) })
});

fn succeeds(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
