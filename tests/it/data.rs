//! `data list`, `data check`, and a run on image files.

use std::fs;
use std::path::Path;

use image::ImageEncoder;
use nkfac_bench::data::Kind;

use super::program::run;

/// Imagenette in full, made of as many links to ten small images.
pub fn imagenette(folder: &Path) {
    let root = folder.join("imagenette2-160");
    for (part, count) in [("train", Kind::Imagenette.train_len()), ("val", Kind::Imagenette.test_len())] {
        for class in 0..10 {
            let path = root.join(format!("{part}/n{class:08}"));
            fs::create_dir_all(&path).unwrap();
            let first = path.join("0.JPEG");
            fs::write(&first, jpeg(class as u8 * 25)).unwrap();
            for i in (10 + class..count).step_by(10) {
                fs::hard_link(&first, path.join(format!("{i}.JPEG"))).unwrap();
            }
        }
    }
}

fn jpeg(level: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    let encoder = image::codecs::jpeg::JpegEncoder::new(&mut bytes);
    encoder.write_image(&[level; 16 * 8 * 3], 16, 8, image::ColorType::Rgb8).unwrap();
    bytes
}

const EXPERIMENT: &str = r#"
name = "x"
data_dir = "."
[base]
epochs = 1
batch = 2
data = { kind = "imagenette", augment = ["resized-crop", "flip"], train_limit = 20 }
model = { kind = "mlp", hidden = [2] }
schedule = { kind = "constant", lr = 0.001 }
optimizer = { preset = "sgd" }
"#;

#[test]
fn image_files_are_checked_and_trained_on() {
    let folder = tempfile::tempdir().unwrap();
    imagenette(folder.path());
    let check = || run(folder.path(), &["data", "check", "imagenette", "--in", "."]);
    let good = check();
    assert_eq!(good.code, 0, "{}", good.err);
    assert_eq!(
        good.out,
        "9469 training images of 10 classes, 946 to 947 per class\n3925 test images of 10 classes, 392 to 393 per class\n"
    );
    // The broken one is a link no more: the others of its class stay whole.
    let broken = folder.path().join("imagenette2-160/val/n00000003/13.JPEG");
    fs::remove_file(&broken).unwrap();
    fs::write(&broken, b"").unwrap();
    let bad = check();
    assert_eq!((bad.code, bad.err.as_str()), (1, "error: `imagenette` is not as published\n"));
    assert!(bad.out.contains("n00000003/13.JPEG: cannot be decoded: it is empty\n"), "{}", bad.out);
    assert!(bad.out.ends_with("1 broken images\n"), "{}", bad.out);

    fs::write(folder.path().join("x.toml"), EXPERIMENT).unwrap();
    let stopped = run(folder.path(), &["run", "x.toml"]);
    assert_eq!(stopped.code, 1);
    assert!(stopped.err.contains("n00000003/13.JPEG` cannot be decoded: it is empty\nhint: "), "{}", stopped.err);
    let skipped = run(folder.path(), &["run", "x.toml", "--set", "data.skip_broken=true", "--json"]);
    assert_eq!(skipped.code, 0, "{}", skipped.err);
    assert!(
        skipped.out.contains(r#""event":"broken""#) && skipped.out.contains("n00000003/13.JPEG"),
        "{}",
        skipped.out
    );
}

#[test]
fn what_is_there_and_what_is_not_is_listed() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("svhn")).unwrap();
    for file in ["train_32x32.mat", "test_32x32.mat"] {
        fs::write(folder.path().join("svhn").join(file), b"").unwrap();
    }
    let ran = run(folder.path(), &["data", "list", "--in", "."]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let line = |name: &str| ran.out.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
    assert!(Kind::ALL.into_iter().all(|kind| !line(kind.name()).is_empty()));
    assert!(line("svhn").contains("found") && line("svhn").contains("246 MB"), "{}", line("svhn"));
    assert!(line("cifar10 ").contains("missing") && line("cifar10 ").ends_with("cifar-10-batches-bin"));
    assert!(ran.out.contains("non-commercial use only"));
}

#[test]
fn a_set_that_is_not_as_published_fails_the_check() {
    let folder = tempfile::tempdir().unwrap();
    let missing = run(folder.path(), &["data", "check", "svhn", "--in", "."]);
    assert_eq!(missing.code, 1);
    assert!(missing.err.contains("`train_32x32.mat` is missing") && missing.err.contains("data fetch svhn"));
    for file in ["train.bin", "test.bin"] {
        fs::write(folder.path().join(file), [0; 3074]).unwrap();
    }
    let short = run(folder.path(), &["data", "check", "cifar100", "--in", "."]);
    assert!(short.err.contains("1 training images, but cifar100 has 50000"), "{}", short.err);
    let records = |count: usize| [1; 3074].repeat(count);
    fs::write(folder.path().join("train.bin"), records(50_000)).unwrap();
    fs::write(folder.path().join("test.bin"), records(10_000)).unwrap();
    let wrong = run(folder.path(), &["data", "check", "cifar100", "--in", "."]);
    assert_eq!(wrong.code, 1);
    assert!(wrong.out.contains("train.bin: differs from the published file"), "{}", wrong.out);
    assert!(wrong.out.contains("50000 training images of 100 classes, 0 to 50000 per class"), "{}", wrong.out);
}

#[test]
fn what_cannot_be_done_to_a_set_is_refused_in_the_plan() {
    let folder = tempfile::tempdir().unwrap();
    let plan = |set: &str| {
        fs::write(folder.path().join("x.toml"), EXPERIMENT).unwrap();
        run(folder.path(), &["plan", "x.toml", "--set", set]).err
    };
    assert!(plan(r#"data={ kind = "digits", augment = ["resized-crop"] }"#).contains("larger than what a net takes"));
    assert!(plan(r#"data.augment=["flip", "resized-crop"]"#).contains("must come first"));
    assert!(plan(r#"data={ kind = "digits", skip_broken = true }"#).contains("`digits` has no image files"));
}
