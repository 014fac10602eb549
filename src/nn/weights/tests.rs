use super::{Anew, Loaded, load, save, set, write};
use crate::nn::Net;
use crate::nn::zoo::{Images, ModelConfig};
use allocation_counter::measure;
use candle_core::{DType, Device, Tensor};
use proptest::prelude::*;
use std::path::Path;

const AS_THEY_ARE: Loaded = Loaded { key: None, prefix: String::new(), anew: None };

fn net(hidden: &[usize], classes: usize, seed: u64) -> Net {
    let model: ModelConfig = serde_json::from_value(serde_json::json!({ "mlp": { "hidden": hidden } })).unwrap();
    let shape = Images { channels: 1, height: 2, width: 3, classes };
    model.build(shape, seed, DType::F32, &Device::Cpu).unwrap()
}

fn values(net: &Net) -> Vec<Vec<f32>> {
    net.params.params.iter().map(|param| param.var.flatten_all().unwrap().to_vec1().unwrap()).collect()
}

#[test]
fn weights_come_back_bit_for_bit_and_a_classifier_of_other_size_starts_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("net.safetensors");
    let saved = net(&[4], 5, 1);
    save(&saved.params, &path).unwrap();

    let other = net(&[4], 5, 2);
    assert_ne!(values(&saved), values(&other));
    assert_eq!(load(&other.params, &path).unwrap(), AS_THEY_ARE);
    assert_eq!(values(&saved), values(&other));

    let tuned = net(&[4], 7, 2);
    let start = values(&tuned);
    let loaded = load(&tuned.params, &path).unwrap();
    let names = vec!["fc2.weight".to_owned(), "fc2.bias".to_owned()];
    assert_eq!(loaded.anew, Some(Anew { names, theirs: 5, ours: 7 }));
    assert_eq!(
        loaded.remarks(Path::new("w")),
        ["`w` has 5 classes, not 7: `fc2.weight` and `fc2.bias` keep their initial values"]
    );
    assert_eq!((&values(&tuned)[..2], &values(&tuned)[2..]), (&values(&saved)[..2], &start[2..]));
}

/// What a file of this net holds, with some of it changed.
fn changed(change: impl Fn(&mut Vec<(String, Tensor)>)) -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("net.safetensors");
    save(&net(&[4], 5, 1).params, &path).unwrap();
    let mut tensors: Vec<_> = candle_core::safetensors::load(&path, &Device::Cpu).unwrap().into_iter().collect();
    tensors.sort_by(|(a, _), (b, _)| a.cmp(b));
    change(&mut tensors);
    write(&path, tensors).unwrap();
    (folder, path)
}

fn zeros(shape: &[usize]) -> Tensor {
    Tensor::zeros(shape, DType::F32, &Device::Cpu).unwrap()
}

/// The error of loading a changed file, without its path; nothing is set.
fn refused(net: &Net, change: impl Fn(&mut Vec<(String, Tensor)>)) -> String {
    let (_folder, path) = changed(change);
    let before = values(net);
    let error = load(&net.params, &path).unwrap_err().to_string();
    assert_eq!(before, values(net));
    error.replace(&format!("`{}` ", path.display()), "")
}

#[test]
fn weights_of_another_net_change_nothing_and_all_that_differs_is_named() {
    let ends = "\nhint: these weights belong to another model";
    let says = |net: &Net| refused(net, |_| ()).replace("does not fit: ", "");
    assert_eq!(
        says(&net(&[5], 5, 2)),
        format!(
            "`fc1.weight` is [4, 6], not [5, 6], `fc1.bias` is [4], not [5], `fc2.weight` is [5, 4], not [5, 5]{ends}"
        )
    );
    assert_eq!(says(&net(&[], 5, 2)), format!("this model has no `fc2.bias`, `fc2.weight`{ends}"));
    let lacks = "it lacks `fc3.weight`, `fc3.bias`; `fc2.weight` is [5, 4], not [4, 4], `fc2.bias` is [5], not [4]";
    assert_eq!(says(&net(&[4, 4], 5, 2)), format!("{lacks}{ends}"));
    let many = refused(&net(&[4], 5, 2), |tensors| tensors.extend((10..23).map(|i| (format!("x{i}"), zeros(&[1])))));
    assert!(many.contains("this model has no `x10`, `x11`") && many.contains(", `x19` and 3 more\nhint"), "{many}");
}

#[test]
fn a_classifier_is_never_half_loaded() {
    let tuned = net(&[4], 7, 2);
    let set = |name: &str, shape: &[usize]| {
        refused(&tuned, |tensors| {
            tensors.iter_mut().filter(|(found, _)| found == name).for_each(|(_, t)| *t = zeros(shape));
        })
    };
    assert!(set("fc2.bias", &[7]).contains("`fc2.weight` is [5, 4], not [7, 4]\n"));
    assert!(set("fc2.bias", &[6]).contains("`fc2.weight` is [5, 4], not [7, 4], `fc2.bias` is [6], not [7]"));
    let without = refused(&tuned, |tensors| tensors.retain(|(name, _)| name != "fc2.bias"));
    assert!(without.contains("it lacks `fc2.bias`; `fc2.weight` is [5, 4], not [7, 4]"), "{without}");
}

#[test]
fn values_that_are_not_finite_are_refused_by_name_except_in_a_classifier_that_starts_anew() {
    let spoil = |names: &'static [&str]| {
        move |tensors: &mut Vec<(String, Tensor)>| {
            for (_, tensor) in tensors.iter_mut().filter(|(name, _)| names.contains(&name.as_str())) {
                let mut values: Vec<f32> = tensor.flatten_all().unwrap().to_vec1().unwrap();
                (values[0], values[1]) = (f32::NAN, f32::INFINITY);
                *tensor = Tensor::from_vec(values, tensor.shape(), &Device::Cpu).unwrap();
            }
        }
    };
    let error = refused(&net(&[4], 5, 2), spoil(&["fc1.weight", "fc2.bias"]));
    let expected = "holds NaN or infinite values: 2 of 24 in `fc1.weight`, 2 of 5 in `fc2.bias`\nhint: the run that saved them had diverged";
    assert_eq!(error, expected);
    let (_folder, path) = changed(spoil(&["fc2.weight"]));
    assert!(load(&net(&[4], 7, 2).params, &path).unwrap().anew.is_some());
    // Too large for the net's own numbers.
    let huge = |tensors: &mut Vec<(String, Tensor)>| {
        tensors[0].1 = (tensors[0].1.ones_like().unwrap().to_dtype(DType::F64).unwrap() * 1e300).unwrap();
    };
    assert!(refused(&net(&[4], 5, 2), huge).contains("4 of 4 in `fc1.bias`"));
}

#[test]
fn names_are_read_without_what_wrappers_put_before_all_of_them() {
    let wrapped = |prefix: &'static str| {
        changed(move |tensors| {
            tensors.iter_mut().for_each(|(name, _)| *name = format!("{prefix}{name}"));
            tensors.extend(
                ["total_ops", "module.fc1.total_params", "bn.num_batches_tracked"]
                    .map(|name| (name.into(), zeros(&[1]))),
            );
        })
    };
    for prefix in ["module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module."] {
        let ((_folder, path), net) = (wrapped(prefix), net(&[4], 5, 2));
        let loaded = load(&net.params, &path).unwrap();
        assert_eq!(loaded.remarks(Path::new("w")), [format!("`w`: names are read without `{prefix}`")]);
        assert_eq!(values(&net), values(&self::net(&[4], 5, 1)));
    }
    let one = refused(&net(&[4], 5, 2), |tensors| tensors[0].0.insert_str(0, "module."));
    assert!(one.contains("it lacks `fc1.bias`; this model has no `module.fc1.bias`\n"), "{one}");
}

fn checkpoint(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pytorch/checkpoints").join(name)
}

#[test]
fn checkpoints_of_pytorch_are_read_whatever_lies_beside_the_net() {
    let torch = |net: &Net| -> Vec<f32> {
        let theirs = net.params.all().map(|param| param.layout.to_torch(&param.var.as_detached_tensor()).unwrap());
        theirs.flat_map(|tensor| tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap()).collect()
    };
    let expected: Vec<f32> = (0..23).map(|i| i as f32 / 8.0).collect();
    let says = [
        "`w`: reading the tensors under `state_dict`".to_owned(),
        "`w`: names are read without `module._orig_mod.`".to_owned(),
    ];
    for (name, says) in [("checkpoint.pth", &says[..]), ("views.pt", &[])] {
        let net = net(&[2], 3, 1);
        let loaded = load(&net.params, &checkpoint(name)).unwrap();
        assert_eq!((torch(&net), &loaded.remarks(Path::new("w"))[..]), (expected.clone(), says), "{name}");
    }
}

#[test]
fn a_checkpoint_that_is_not_read_says_what_it_is_and_the_way_out() {
    let refused = |path: &Path| load(&net(&[2], 3, 1).params, path).unwrap_err().to_string();
    for (name, says) in [
        ("whole.pt", "but a whole object was saved, not its tensors\nhint: `torch.save(net.state_dict(), …)`"),
        ("old.pth", "but in the format before PyTorch 1.6\nhint: `torch.save(torch.load("),
        ("two.pth", "but has tensors under `a`, `b`\nhint: `torch.save(torch.load(FILE)[KEY], …)`"),
    ] {
        let error = refused(&checkpoint(name));
        assert!(error.contains(&format!("{name}` is a PyTorch checkpoint, {says}")), "{error}");
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x");
    for content in [&b"not weights"[..], b"", b"PK\x03\x04 and no more"] {
        std::fs::write(&path, content).unwrap();
        assert!(refused(&path).contains("x` is neither safetensors nor a PyTorch checkpoint: "));
    }
}

/// A file of weights, and a net that they fit.
fn file() -> (Vec<u8>, Net) {
    let (folder, net) = (tempfile::tempdir().unwrap(), net(&[3], 2, 1));
    let path = folder.path().join("net.safetensors");
    save(&net.params, &path).unwrap();
    (std::fs::read(path).unwrap(), net)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    /// Whatever it has become: numbers, or an error in words.
    #[test]
    fn a_mutated_checkpoint_is_read_or_refused(at: prop::sample::Index, with: u8, cut in prop::option::weighted(0.2, any::<prop::sample::Index>())) {
        thread_local!(static FILE: (Vec<u8>, Net) = (std::fs::read(checkpoint("checkpoint.pth")).unwrap(), net(&[2], 3, 1)));
        FILE.with(|(bytes, net)| {
            let mut bytes = bytes.clone();
            let at = at.index(bytes.len());
            bytes[at] = with;
            if let Some(cut) = cut {
                bytes.truncate(cut.index(bytes.len()));
            }
            let before = values(net);
            let refused = set(&net.params, Path::new("x"), &bytes).is_err();
            prop_assert!(!refused || before == values(net));
            Ok(())
        })?;
    }

    /// Of a file that is no longer read nothing is set; of one that is, its numbers alone may differ.
    #[test]
    fn a_mutated_file_is_read_or_refused(
        at: prop::sample::Index, with: u8, in_header: bool, digits in "[0-9]{0,20}", cut in prop::option::weighted(0.2, any::<prop::sample::Index>()),
    ) {
        thread_local!(static FILE: (Vec<u8>, Net) = file());
        FILE.with(|(bytes, net)| {
            let mut bytes = bytes.clone();
            let header = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
            let at = at.index(if in_header { header } else { bytes.len() });
            bytes[at] = with;
            let end = bytes.len().min(at + digits.len());
            bytes[at..end].copy_from_slice(&digits.as_bytes()[..end - at]);
            if let Some(cut) = cut {
                bytes.truncate(cut.index(bytes.len()));
            }
            let (before, mut set_all) = (values(net), false);
            let memory = measure(|| set_all = set(&net.params, Path::new("x"), &bytes).is_ok_and(|loaded| loaded == AS_THEY_ARE));
            prop_assert!(memory.bytes_max < 1 << 16, "{} bytes", memory.bytes_max);
            let same = |a: &[Vec<f32>], b: &[Vec<f32>]| {
                a.concat().iter().map(|x| x.to_bits()).eq(b.concat().iter().map(|x| x.to_bits()))
            };
            prop_assert!(set_all || same(&before, &values(net)));
            Ok(())
        })?;
    }
}
