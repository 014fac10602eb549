//! Recorded runs of reference implementations come out the same.

use std::path::{Path, PathBuf};

use candle_core::{DType, Device};
use nkfac_bench::kernel::conv::Engine;
use nkfac_bench::reference::{Verdict, verify};

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

fn traces() -> Vec<PathBuf> {
    let mut traces: Vec<PathBuf> = std::fs::read_dir(golden(""))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "safetensors"))
        .collect();
    traces.sort();
    assert!(traces.len() >= 16, "{traces:?}");
    traces
}

#[test]
fn every_trace_replays_in_float64() {
    for path in traces() {
        let verdict = verify(&path, DType::F64, Engine::Auto, None).unwrap();
        assert!(verdict.passes(), "{}: first {:?}, worst {:?}", path.display(), verdict.first, verdict.worst);
    }
}

#[test]
fn every_trace_replays_in_float32_by_every_engine_as_far_as_rounding_allows() {
    // The portable engine is what a processor without AVX2 has.
    for (path, engine) in traces().iter().flat_map(|path| Engine::ALL.map(|engine| (path, engine))) {
        let verdict = verify(path, DType::F32, engine, None).unwrap();
        let (first, worst) = (&verdict.first, &verdict.worst);
        assert!(verdict.passes(), "{}, {engine:?}: first {first:?}, worst {worst:?}", path.display());
    }
}

/// The verdict on a trace whose recorded settings were changed.
fn with_changed_settings(name: &str, from: &str, to: &str) -> Verdict {
    let bytes = std::fs::read(golden(name)).unwrap();
    let (_, metadata) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    let mut entries = metadata.metadata().clone().unwrap();
    let spec = entries.get_mut("spec").unwrap();
    assert!(spec.contains(from), "{spec}");
    *spec = spec.replace(from, to);
    let tensors = candle_core::safetensors::load_buffer(&bytes, &Device::Cpu).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    safetensors::serialize_to_file(&tensors, Some(entries), file.path()).unwrap();
    verify(file.path(), DType::F64, Engine::Auto, None).unwrap()
}

#[test]
fn a_trace_replayed_with_other_settings_fails() {
    for (name, from, to) in [
        ("nkfac_mlp.safetensors", r#""newton_steps": 1"#, r#""newton_steps": 2"#),
        ("nkfac_mlp.safetensors", r#""damping": 0.01"#, r#""damping": 0.010001"#),
        ("nkfac_mlp.safetensors", r#""inverse_every": 2"#, r#""inverse_every": 4"#),
        ("kfac_mlp.safetensors", r#""kl_clip": 0.01"#, r#""kl_clip": 1e-9"#),
        ("adankfac_lenet.safetensors", r#""eps": 1e-08"#, r#""eps": 1e-06"#),
        ("skfac_lenet.safetensors", r#""damping": 0.03"#, r#""damping": 0.030001"#),
        ("skfac-star_lenet.safetensors", r#""factor_every": 1"#, r#""factor_every": 2"#),
        ("ekfac_mlp.safetensors", r#""eigenvalue_decay": 0.8"#, r#""eigenvalue_decay": 0.800001"#),
        ("shampoo_lenet.safetensors", r#""root_every": 3"#, r#""root_every": 2"#),
        ("muon_lenet.safetensors", r#""rounds": 5"#, r#""rounds": 4"#),
        ("muon_lenet.safetensors", r#""adam_ratio": 0.015"#, r#""adam_ratio": 0.0150001"#),
        ("sgd_lenet.safetensors", r#""momentum": 0.9"#, r#""momentum": 0.9, "nesterov": true"#),
    ] {
        assert!(!with_changed_settings(name, from, to).passes(), "{name} with {to}");
        assert!(with_changed_settings(name, from, from).passes(), "{name} rewritten");
    }
}

#[test]
fn an_unknown_setting_is_an_error() {
    let result = std::panic::catch_unwind(|| {
        with_changed_settings("sgd_lenet.safetensors", r#""momentum": 0.9"#, r#""momentum": 0.9, "amsgrad": true"#)
    });
    assert!(result.is_err());
}
