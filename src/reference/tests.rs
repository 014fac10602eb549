//! Traces whose bytes or settings are wrong are refused in words, and take little memory.

use std::collections::HashMap;

use allocation_counter::measure;
use candle_core::{DType, Device, Tensor};
use proptest::prelude::*;

use super::{Error, Trace, Verdict, replay};
use crate::kernel::Engine;

/// A trace of these tensors, the numbers of each counted up, and the settings in `spec`.
fn trace(tensors: &[(&str, &[usize])], spec: Option<&str>) -> Vec<u8> {
    let tensor = |dims: &[usize]| {
        let count: usize = dims.iter().product();
        Tensor::from_vec((0..count).map(|i| i as f64 / 8.0 - 0.5).collect(), dims, &Device::Cpu).unwrap()
    };
    let tensors: Vec<(&str, Tensor)> = tensors.iter().map(|&(name, dims)| (name, tensor(dims))).collect();
    let metadata = spec.map(|spec| HashMap::from([("spec".to_owned(), spec.to_owned())]));
    safetensors::serialize(tensors, metadata).unwrap()
}

/// One step of NKFAC on a linear net.
fn run() -> Vec<u8> {
    let tensors: [(&str, &[usize]); 7] = [
        ("x/0", &[2, 1, 1, 3]),
        ("y/0", &[2]),
        ("loss", &[1]),
        ("init/fc1.weight", &[2, 3]),
        ("init/fc1.bias", &[2]),
        ("param/0/fc1.weight", &[2, 3]),
        ("factor_a/0/fc1", &[4, 4]),
    ];
    trace(&tensors, Some(RUN))
}

const RUN: &str = r#"{"model": {"name": "mlp", "hidden": [], "classes": 2, "input": [1, 1, 3]}, "steps": 1,
    "optimizer": {"name": "nkfac", "lr": 0.1, "momentum": 0.9, "weight_decay": 0.01, "stat_decay": 0.9, "damping": 0.01,
    "factor_every": 1, "inverse_every": 1, "newton_steps": 2}}"#;

/// A convolution and a Newton iteration.
fn primitives() -> Vec<u8> {
    let mut bytes = trace(
        &[
            ("conv/0/geometry", &[4]),
            ("conv/0/x", &[1, 2, 4, 4]),
            ("conv/0/weight", &[2, 2, 3, 3]),
            ("conv/0/dy", &[1, 2, 4, 4]),
            ("conv/0/y", &[1, 2, 4, 4]),
            ("conv/0/factor_a", &[18, 18]),
            ("conv/0/factor_g", &[2, 2]),
            ("newton/0/a", &[3, 3]),
            ("newton/0/start", &[3, 3]),
            ("newton/0/inverse/2", &[3, 3]),
            ("newton/0/max_eigenvalue", &[1]),
            ("newton/0/residual", &[1]),
        ],
        None,
    );
    // Kernel, stride, padding and a number that is not used.
    let at = place(&bytes, "conv/0/geometry");
    bytes[at..at + 32].copy_from_slice(&[3f64, 1.0, 1.0, 0.0].map(f64::to_le_bytes).concat());
    bytes
}

/// Where the numbers of a tensor begin.
fn place(bytes: &[u8], name: &str) -> usize {
    let (header, metadata) = safetensors::SafeTensors::read_metadata(bytes).unwrap();
    8 + header + metadata.info(name).unwrap().data_offsets.0
}

/// How many numbers were compared, or what is wrong with the trace.
fn replayed(bytes: &[u8]) -> Result<usize, Error> {
    let trace = Trace::parse("x".into(), bytes, &candle_core::Device::Cpu)?;
    Ok(replay(&trace, Engine::AUTO, Verdict::new(DType::F64, None))?.compared)
}

#[test]
fn numbers_that_no_reference_has_are_refused() {
    assert_eq!((replayed(&run()).unwrap(), replayed(&primitives()).unwrap()), (3, 6), "control");
    let spec = |from: &str, to: &str| {
        let tensors: [(&str, &[usize]); 1] = [("x/0", &[2, 1, 1, 3])];
        replayed(&trace(&tensors, Some(&RUN.replace(from, to)))).unwrap_err().to_string()
    };
    assert_eq!(
        spec(r#""classes": 2"#, r#""classes": 4000000000"#),
        "x: `spec`: a layer of 4000000000 (must be at most 1024)"
    );
    assert_eq!(spec(r#""hidden": []"#, r#""hidden": [65536]"#), "x: `spec`: a layer of 65536 (must be at most 1024)");
    assert_eq!(spec("[1, 1, 3]", "[1, 999999, 999999]"), "x: `spec`: there are no images of [1, 999999, 999999]");
    let rounds = spec(r#""newton_steps": 2"#, r#""newton_steps": 4000000000"#);
    assert_eq!(
        rounds,
        "x: `spec`: `newton_steps` of the optimizer `nkfac` is 4000000000 (must be a whole number of rounds, at most 100)"
    );
    assert_eq!(
        spec(r#""inverse_every": 1"#, r#""inverse_every": 0"#),
        "x: `spec`: `inverse_every` of the optimizer `nkfac` is 0 (must be a whole number of steps, at least 1)"
    );
    let mut huge = primitives();
    let at = place(&huge, "conv/0/geometry") + 16;
    huge[at..at + 8].copy_from_slice(&1e12f64.to_le_bytes());
    assert!(replayed(&huge).unwrap_err().to_string().contains("a padding of 1000000000000 (must be at most 16)"));
    assert!(replayed(&[]).unwrap_err().to_string().starts_with("x: not a safetensors file"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn a_mutated_trace_is_replayed_or_refused(
        which: bool, at: prop::sample::Index, with: u8, in_header in prop::bool::weighted(0.8), digits in "[0-9]{0,12}",
        cut in prop::option::weighted(0.1, any::<prop::sample::Index>()),
    ) {
        thread_local!(static TRACES: [Vec<u8>; 2] = [run(), primitives()]);
        let mut bytes = TRACES.with(|traces| traces[usize::from(which)].clone());
        let header = 8 + safetensors::SafeTensors::read_metadata(&bytes).unwrap().0;
        let at = at.index(if in_header { header } else { bytes.len() });
        if digits.is_empty() {
            bytes[at] = with;
        } else {
            // A number in place of another: the header keeps its length.
            let end = bytes.len().min(at + digits.len());
            bytes[at..end].copy_from_slice(&digits.as_bytes()[..end - at]);
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        let memory = measure(|| drop(replayed(&bytes)));
        prop_assert!(memory.bytes_max < 1 << 22, "{} bytes", memory.bytes_max);
    }

    /// Whatever the settings say: every number of a trace that is otherwise whole, in place of every other.
    #[test]
    fn mutated_settings_are_replayed_or_refused(at: prop::sample::Index, length in 0usize..8, with in r#"-?[0-9]{1,19}|[0-9]\.[0-9]e[0-9]{1,3}|"[a-z-]{1,8}"|[ -~]{0,6}"#) {
        let start = at.index(RUN.len());
        let end = RUN.len().min(start + length);
        let spec = format!("{}{with}{}", &RUN[..start], &RUN[end..]);
        let tensors: [(&str, &[usize]); 5] =
            [("x/0", &[2, 1, 1, 3]), ("y/0", &[2]), ("loss", &[1]), ("init/fc1.weight", &[2, 3]), ("init/fc1.bias", &[2])];
        let bytes = trace(&tensors, Some(&spec));
        let memory = measure(|| drop(replayed(&bytes)));
        prop_assert!(memory.bytes_max < 1 << 22, "{} bytes", memory.bytes_max);
    }
}
