//! Recorded runs of reference implementations come out the same.

use std::path::{Path, PathBuf};

use candle_core::{DType, Device};
use nkfac_bench::kernel::Engine;
use nkfac_bench::reference::{Error, Verdict, verify};

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
    assert!(traces.len() >= 37, "{traces:?}");
    traces
}

#[test]
fn every_trace_replays_in_float64() {
    for path in traces() {
        let verdict = verify(&path, DType::F64, Engine::AUTO, &Device::Cpu, None).unwrap();
        assert!(verdict.passes(), "{}: first {:?}, worst {:?}", path.display(), verdict.first, verdict.worst);
    }
}

#[test]
fn every_trace_replays_in_float32_by_every_engine_as_far_as_rounding_allows() {
    // The portable engine is what a processor without vectors has.
    for (path, engine) in traces().iter().flat_map(|path| Engine::all().map(move |engine| (path, engine))) {
        let verdict = verify(path, DType::F32, engine, &Device::Cpu, None).unwrap();
        let (first, worst) = (&verdict.first, &verdict.worst);
        assert!(verdict.passes(), "{}, {engine:?}: first {first:?}, worst {worst:?}", path.display());
    }
}

/// The verdict on a trace whose recorded settings were changed.
fn with_changed_settings(name: &str, from: &str, to: &str) -> Verdict {
    changed(name, from, to).unwrap()
}

fn changed(name: &str, from: &str, to: &str) -> Result<Verdict, Error> {
    let bytes = std::fs::read(golden(name)).unwrap();
    let (_, metadata) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    let mut entries = metadata.metadata().clone().unwrap();
    let spec = entries.get_mut("spec").unwrap();
    assert!(spec.contains(from), "{spec}");
    *spec = spec.replace(from, to);
    let tensors = candle_core::safetensors::load_buffer(&bytes, &Device::Cpu).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    safetensors::serialize_to_file(&tensors, Some(entries), file.path()).unwrap();
    verify(file.path(), DType::F64, Engine::AUTO, &Device::Cpu, None)
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
        ("muon_lenet.safetensors", r#""matrices": "all""#, r#""matrices": "inner""#),
        ("muon_lenet.safetensors", r#""rounds": 5"#, r#""rounds": 5, "scaling": "match-rms-adamw""#),
        ("muon_gpt.safetensors", r#""rounds": 5"#, r#""rounds": 5, "precision": "net""#),
        ("kl-shampoo_lenet.safetensors", r#""start": 0.1"#, r#""start": 0.1001"#),
        ("kl-shampoo_lenet.safetensors", r#""largest": 40"#, r#""largest": 84"#),
        ("kl-shampoo_lenet.safetensors", r#""precondition_every": 3"#, r#""precondition_every": 4"#),
        ("soap_gpt.safetensors", r#""largest": 16"#, r#""largest": 15"#),
        ("lion_lenet.safetensors", r#""betas": [0.9, 0.99]"#, r#""betas": [0.9, 0.98]"#),
        ("nadamw_lenet.safetensors", r#""momentum_decay": 0.004"#, r#""momentum_decay": 0.004001"#),
        ("ademamix_lenet.safetensors", r#""alpha": 5.0"#, r#""alpha": 5.001"#),
        ("ademamix_lenet.safetensors", r#""alpha": 5.0"#, r#""alpha": 5.0, "beta3_warmup": 12"#),
        ("schedule-free-adamw_lenet.safetensors", r#""warmup_steps": 5"#, r#""warmup_steps": 4"#),
        ("soap_mlp.safetensors", r#""precondition_every": 4"#, r#""precondition_every": 5"#),
        ("shampoo-half_lenet.safetensors", r#""root": 2"#, r#""root": 4"#),
        ("shampoo-half_lenet.safetensors", r#""graft_betas": [0.9, 0.999]"#, r#""graft_betas": [0.9, 0.998]"#),
        ("foof_lenet.safetensors", r#""damping": 0.01"#, r#""damping": 0.010001"#),
        ("foof_lenet.safetensors", r#""name": "foof""#, r#""newton_steps": 100, "name": "nkfac""#),
        ("psgd-kron_mlp.safetensors", r#""seed": 0"#, r#""seed": 1"#),
        ("psgd-kron_mlp.safetensors", r#""largest": 16"#, r#""largest": 10"#),
        ("psgd-kron_mlp.safetensors", r#""probability_decay": 1.0"#, r#""probability_decay": 0.1"#),
        ("soap_mlp.safetensors", r#""largest": 10"#, r#""largest": 9"#),
        ("sgd_lenet.safetensors", r#""momentum": 0.9"#, r#""momentum": 0.9, "nesterov": true"#),
        ("sgd_gpt.safetensors", r#""heads": 2"#, r#""heads": 4"#),
        ("model_gpt.safetensors", r#""heads": 4"#, r#""heads": 2"#),
        ("nkfac_gpt.safetensors", r#""stat_decay": 0.95"#, r#""stat_decay": 0.950001"#),
    ] {
        assert!(!with_changed_settings(name, from, to).passes(), "{name} with {to}");
        assert!(with_changed_settings(name, from, from).passes(), "{name} rewritten");
    }
}

#[test]
fn a_setting_that_is_unknown_missing_or_of_another_type_is_named() {
    let said = |from: &str, to: &str| changed("sgd_lenet.safetensors", from, to).unwrap_err().to_string();
    for (to, expected) in [
        (r#""momentum": 0.9, "amsgrad": true"#, "the optimizer `sgd` has no key `amsgrad`"),
        (r#""momentum": 0.9, "nestrov": true"#, "has no key `nestrov` (nearest: `nesterov`)"),
        (r#""momentum": "much""#, "`momentum` of the optimizer `sgd` is \"much\" (must be a number)"),
        (r#""momentum": 0.9, "nesterov": 1"#, "`nesterov` of the optimizer `sgd` is 1 (must be `true` or `false`)"),
        (r#""nesterov": true"#, "the optimizer `sgd` lacks the key `momentum`"),
        (r#""momentum": 0.9, "momentum": 0.9"#, "the key `momentum` of the optimizer is there twice"),
    ] {
        let said = said(r#""momentum": 0.9"#, to);
        assert!(said.contains(expected), "{said}");
    }
    let said = said(r#""name": "sgd""#, r#""name": "lino""#);
    assert!(said.contains("unknown optimizer `lino` (nearest: `lion`)"), "{said}");
}

/// What the program prints of every trace in float64.
fn printed(options: &[&str]) -> String {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_nkfac-bench"));
    let output = command.arg("verify").args(options).args(traces()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn every_trace_replays_on_the_path_that_a_gpu_takes() {
    let without = printed(&["--without-kernels"]);
    // Sums in another order end on other last digits: the path was another one.
    assert_ne!(without, printed(&[]));
}
