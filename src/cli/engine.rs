//! How the CPU is to compute, as options.

use clap::Args;
use nkfac_bench::kernel::{Conv, Engine, Simd};

#[derive(Debug, Args)]
pub struct EngineArgs {
    /// How convolutions are computed in f32
    #[arg(long, default_value = "auto", value_parser = conv)]
    engine: Conv,
    /// Vectors that hand-made loops compute with in f32
    #[arg(long, default_value = "auto", value_parser = simd)]
    simd: Simd,
}

impl EngineArgs {
    pub fn engine(&self) -> Engine {
        Engine { conv: self.engine, simd: self.simd }
    }
}

fn conv(name: &str) -> Result<Conv, String> {
    Conv::ALL.into_iter().find(|conv| conv.name() == name).ok_or_else(|| expected(&Conv::ALL.map(Conv::name)))
}

fn simd(name: &str) -> Result<Simd, String> {
    let known = Simd::ALL.into_iter().find(|simd| simd.name() == name);
    let simd = known.ok_or_else(|| expected(&Simd::ALL.map(Simd::name)))?;
    simd.check()?;
    Ok(simd)
}

fn expected(names: &[&str]) -> String {
    format!("must be one of {}", names.join(", "))
}
