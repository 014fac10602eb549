//! Somebody's own data, from a file to a result.

use std::fs;
use std::path::Path;

use super::program::{Ran, repository, run};

/// An experiment on `data`, the keys of its table.
fn experiment(folder: &Path, data: &str) {
    let text = format!(
        r#"
name = "x"
[base]
epochs = 1
batch = 2
data = {{ {data} }}
model = {{ kind = "mlp", hidden = [4] }}
schedule = {{ kind = "constant", lr = 0.001 }}
optimizer = {{ preset = "sgd" }}
"#
    );
    fs::write(folder.join("x.toml"), text).unwrap();
}

/// `train/{cold,warm}` and `test/{cold,warm}` with images of two colours, and two strange ones.
fn pets(root: &Path) {
    let odd = repository("tests/golden/own/odd");
    for (class, image) in [("cold", "alpha.png"), ("warm", "cmyk.jpg")] {
        for (part, count) in [("train", 4), ("test", 2)] {
            let path = root.join(part).join(class);
            fs::create_dir_all(&path).unwrap();
            for i in 0..count {
                fs::copy(odd.join(image), path.join(format!("{i}.{}", &image[image.len() - 3..]))).unwrap();
            }
        }
    }
    fs::copy(odd.join("grey-16.png"), root.join("train/cold/grey.PNG")).unwrap();
    fs::write(root.join("train/cold/._x.jpg"), b"no image").unwrap();
}

fn id(planned: &Ran) -> String {
    let line = planned.out.lines().last().unwrap_or_default();
    assert_eq!(planned.code, 0, "{}", planned.err);
    line.split(' ').next().unwrap().to_owned()
}

#[test]
fn a_folder_of_images_is_counted_and_trained_on_and_other_images_are_another_trial() {
    let folder = tempfile::tempdir().unwrap();
    let at = |args: &[&str]| run(folder.path(), args);
    pets(&folder.path().join("data/pets"));
    experiment(folder.path(), r#"kind = "folder", path = "data/pets", size = 8"#);
    let planned = at(&["plan", "x.toml"]);
    let counted = "9 training and 4 test examples of 2 classes, 8×8×3; 1 file passed over (1 hidden)";
    assert!(planned.out.contains(counted), "{}{}", planned.out, planned.err);
    let full = at(&["plan", "x.toml", "--full"]).out;
    assert!(
        full.contains("\"path\": \"sha256:") && full.contains("\"classes\": [\n        \"cold\",\n        \"warm\""),
        "{full}"
    );
    let ran = at(&["run", "x.toml"]);
    assert!(ran.code == 0, "{}", ran.err);
    assert_eq!(at(&["export", "x.toml", "--csv", "csv"]).code, 0);
    let tables =
        fs::read_dir(folder.path().join("csv")).unwrap().map(|file| fs::read_to_string(file.unwrap().path()).unwrap());
    assert!(tables.into_iter().any(|table| table.contains("pets (folder)")), "the name of the data");
    // Neither the place nor what is passed over makes another trial.
    fs::rename(folder.path().join("data/pets"), folder.path().join("elsewhere")).unwrap();
    fs::remove_file(folder.path().join("elsewhere/train/cold/._x.jpg")).unwrap();
    experiment(folder.path(), r#"kind = "folder", path = "elsewhere", size = 8"#);
    let same = at(&["plan", "x.toml"]);
    assert_eq!(id(&same), id(&planned));
    assert!(at(&["run", "x.toml"]).out.contains("1 already done"), "{}", at(&["run", "x.toml"]).out);
    // The same name and size, and other content, if only the version of who wrote it.
    let image = folder.path().join("elsewhere/test/warm/0.jpg");
    let before = fs::read(&image).unwrap();
    let mut bytes = before.clone();
    let adobe = bytes.windows(5).position(|window| window == b"Adobe").unwrap();
    bytes[adobe + 6] ^= 1;
    fs::write(&image, bytes).unwrap();
    assert_ne!(id(&at(&["plan", "x.toml"])), id(&planned));
    fs::write(&image, before).unwrap();
    assert_eq!(id(&at(&["plan", "x.toml"])), id(&planned));
    fs::rename(&image, folder.path().join("elsewhere/test/warm/other.jpg")).unwrap();
    assert_ne!(id(&at(&["plan", "x.toml"])), id(&planned), "a name is a part of the list");
}

#[test]
fn images_that_cannot_be_decoded_are_named_before_anything_runs() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("pets");
    pets(&root);
    let whole = fs::read(root.join("train/warm/0.jpg")).unwrap();
    fs::write(root.join("train/warm/0.jpg"), &whole[..whole.len() / 3]).unwrap();
    fs::copy(repository("tests/golden/own/odd/other.webp"), root.join("test/warm/0.jpg")).unwrap();
    experiment(folder.path(), r#"kind = "folder", path = "pets", size = 8"#);
    for command in ["plan", "run"] {
        let ran = run(folder.path(), &[command, "x.toml"]);
        let first = format!("x.toml:6: `{}` cannot be decoded: ", Path::new("pets/train/warm/0.jpg").display());
        assert!(ran.code == 1 && ran.err.contains(&first), "{}", ran.err);
        assert!(
            ran.err.contains("0.jpg` neither: it is WebP, neither JPEG nor PNG\nhint: mend, convert or remove"),
            "{}",
            ran.err
        );
    }
    let ran = run(folder.path(), &["run", "x.toml", "--set", "data.skip_broken=true", "--seeds", "1"]);
    assert!(
        ran.code == 0 && ran.err.contains("images that cannot be decoded are left out: 2, the first"),
        "{}",
        ran.err
    );
    // Without `size` all must have one.
    fs::write(root.join("train/warm/0.jpg"), &whole).unwrap();
    fs::write(root.join("test/warm/0.jpg"), &whole).unwrap();
    experiment(folder.path(), r#"kind = "folder", path = "pets""#);
    assert!(run(folder.path(), &["plan", "x.toml"]).out.contains("2 classes, 12×16×3"));
    fs::copy(repository("results/sample/quickstart/_figures/curves.png"), root.join("test/warm/0.png")).unwrap();
    let ran = run(folder.path(), &["plan", "x.toml"]);
    assert!(
        ran.code == 1 && ran.err.contains("pixels, but `pets/train/cold/0.png` 16×12\nhint: `size` in `data`"),
        "{}",
        ran.err
    );
}

#[test]
fn data_are_counted_once_until_a_file_is_touched() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("pets");
    pets(&root);
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(60);
    let touch = |path: &Path, time| fs::File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
    let images = |folder: &Path| fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect::<Vec<_>>();
    for class in ["train/cold", "train/warm", "test/cold", "test/warm"] {
        images(&root.join(class)).iter().for_each(|image| touch(image, old));
    }
    experiment(folder.path(), r#"kind = "folder", path = "pets", size = 8"#);
    let plan = || run(folder.path(), &["plan", "x.toml"]);
    assert!(plan().out.contains("9 training and 4 test"));
    // What is remembered is believed: were it counted again, the lie would not be told.
    let memos = images(&folder.path().join(".cache/nkfac-bench/census"));
    let memo = fs::read_to_string(&memos[0]).unwrap();
    assert!(memos.len() == 1 && memo.contains("\"train\":9"), "{memo}");
    fs::write(&memos[0], memo.replace("\"train\":9", "\"train\":8")).unwrap();
    assert!(plan().out.contains("8 training and 4 test"));
    touch(&root.join("train/warm/0.jpg"), old + std::time::Duration::from_secs(1));
    assert!(plan().out.contains("9 training and 4 test"));
    fs::write(&memos[0], "no memo").unwrap();
    touch(&root.join("train/warm/0.jpg"), old);
    assert!(plan().out.contains("9 training and 4 test"));
    // What was changed a moment ago may change again within the same tick: it is not remembered.
    fs::copy(root.join("train/warm/1.jpg"), root.join("train/warm/0.jpg")).unwrap();
    touch(&root.join("train/warm/0.jpg"), std::time::SystemTime::now());
    let before = images(&folder.path().join(".cache/nkfac-bench/census")).len();
    plan();
    assert_eq!(images(&folder.path().join(".cache/nkfac-bench/census")).len(), before);
}

#[test]
fn arrays_and_parquet_are_trained_on() {
    let folder = tempfile::tempdir().unwrap();
    let golden = repository("tests/golden/own");
    let results = folder.path().join("results/x");
    for (kind, path, counted) in [
        ("arrays", golden.join("arrays.npz"), "6 training and 2 test examples of 3 classes, 2×2×3"),
        ("parquet", golden, "6 training and 2 test examples of 3 classes, 2×2×3"),
    ] {
        experiment(folder.path(), &format!("kind = '{kind}', path = '{}'", path.display()));
        let planned = run(folder.path(), &["plan", "x.toml"]);
        assert!(planned.out.contains(counted), "{}{}", planned.out, planned.err);
        assert!(
            planned.err.contains("class `2` has nothing to test on") || planned.err.contains("class `cow` has nothing"),
            "{}",
            planned.err
        );
        let ran = run(folder.path(), &["run", "x.toml"]);
        assert!(ran.code == 0 && results.join(format!("{}.parquet", id(&planned))).exists(), "{}", ran.err);
    }
}

#[test]
fn twelve_odd_images_are_trained_on() {
    let folder = tempfile::tempdir().unwrap();
    let odd = repository("tests/golden/own/odd");
    let jpeg = ["cmyk.jpg", "grey.jpg", "progressive.jpg"];
    let png = ["alpha.png", "grey-16.png", "grey-alpha.png", "palette.png"];
    let parts = [("train/jpeg", &jpeg[..]), ("train/png", &png), ("val/jpeg", &jpeg[..2]), ("val/png", &png[..3])];
    for (class, images) in parts {
        let class = folder.path().join("odd").join(class);
        fs::create_dir_all(&class).unwrap();
        for image in images {
            fs::copy(odd.join(image), class.join(image)).unwrap();
        }
    }
    for foreign in ["train/.DS_Store", "train/png/._alpha.png", "val/jpeg/Thumbs.db"] {
        fs::write(folder.path().join("odd").join(foreign), b"no image").unwrap();
    }
    experiment(folder.path(), "kind = 'folder', path = 'odd', size = 8");
    let ran = run(folder.path(), &["run", "x.toml"]);
    assert!(ran.out.contains("1 finished"), "{}", ran.err);
    let planned = run(folder.path(), &["plan", "x.toml"]).out;
    let counted = "7 training and 5 test examples of 2 classes, 8×8×3; 3 files passed over (1 *.db, 2 hidden)";
    assert!(planned.contains(counted), "{planned}");
}

#[test]
fn classes_that_are_empty_alone_or_missing_are_said_in_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let image = repository("tests/golden/own/odd/alpha.png");
    let images = |root: &str, classes: &[(&str, usize)]| {
        for (class, count) in classes {
            let path = folder.path().join(root).join(class);
            fs::create_dir_all(&path).unwrap();
            for i in 0..*count {
                fs::copy(&image, path.join(format!("{i}.png"))).unwrap();
            }
        }
    };
    images("empty", &[("train/a", 2), ("train/b", 2), ("train/c", 0), ("test/a", 1), ("test/b", 1)]);
    images("alone", &[("train/a", 2), ("test/a", 1)]);
    images("unknown", &[("train/a", 2), ("train/b", 2), ("test/a", 1), ("test/c", 1)]);
    images("missing", &[("train/a", 2), ("train/b", 2), ("test/a", 1)]);
    for (root, message) in [
        ("empty", "`empty/train/c` has no images in it"),
        ("alone", "`alone/train` has only one class, `a`"),
        ("unknown", "`unknown/test/c` is a class that `train` does not have"),
    ] {
        experiment(folder.path(), &format!("kind = 'folder', path = '{root}', size = 8"));
        let ran = run(folder.path(), &["plan", "x.toml"]);
        assert!(ran.code == 1 && ran.err.contains(&format!("error: x.toml:6: {message}")), "{}", ran.err);
        assert!(ran.err.lines().count() == 2 && ran.err.contains("\nhint: "), "{}", ran.err);
    }
    experiment(folder.path(), "kind = 'folder', path = 'missing', size = 8");
    let ran = run(folder.path(), &["run", "x.toml"]);
    assert!(ran.out.contains("1 finished") && ran.err.contains("class `b` has nothing to test on"), "{}", ran.err);
}

#[test]
fn a_text_is_cut_into_characters_or_bytes_and_trained_on() {
    let folder = tempfile::tempdir().unwrap();
    let text = "Wer reitet so spät durch Nacht und Wind?\n".repeat(10);
    fs::write(folder.path().join("goethe.txt"), &text).unwrap();
    let gpt = "model={ kind = 'gpt', layers = 1, heads = 2, width = 8 }";
    let (characters, bytes) = (text.chars().count(), text.len());
    for (tokens, kinds, all) in [("chars", 19, characters), ("bytes", 256, bytes)] {
        experiment(folder.path(), &format!("kind = 'text', path = 'goethe.txt', tokens = '{tokens}', context = 8"));
        let planned = run(folder.path(), &["plan", "x.toml", "--set", gpt]);
        let (train, test) = ((all * 9 / 10 - 1) / 8, (all - all * 9 / 10 - 1) / 8);
        let counted = format!("{train} training and {test} test windows of a text of {kinds} tokens");
        assert!(planned.out.contains(&counted), "{counted}: {}{}", planned.out, planned.err);
        let ran = run(folder.path(), &["run", "x.toml", "--set", gpt]);
        assert!(ran.out.contains("1 finished"), "{}{}", ran.out, ran.err);
    }
    // Every cut is counted by itself.
    experiment(folder.path(), "kind = 'text', path = 'goethe.txt', tokens = 'chars', context = 8");
    let sweep = "\n[sweep]\n'data.tokens' = ['chars', 'bytes']\n'data.context' = [4, 8]\n";
    let file = folder.path().join("x.toml");
    fs::write(&file, fs::read_to_string(&file).unwrap() + sweep).unwrap();
    let planned = run(folder.path(), &["plan", "x.toml", "--set", gpt]);
    for counted in
        ["92 training and 10 test", "46 training and 5 test", "94 training and 10 test", "47 training and 5 test"]
    {
        assert!(planned.out.contains(counted), "{counted}: {}{}", planned.out, planned.err);
    }
    let ran = run(folder.path(), &["run", "x.toml", "--set", gpt]);
    assert!(ran.out.contains("2 finished, 0 diverged, 2 already done"), "{}{}", ran.out, ran.err);
    let (text, images) = ("kind = 'text', path = 'goethe.txt', context = 8", "kind = 'digits'");
    for (data, set, message) in [
        (text, "model.hidden=[3]", "`mlp` takes no tokens; these nets do: gpt\n"),
        (images, gpt, "`gpt` takes no images; these nets do: mlp, lenet, resnet18, "),
    ] {
        experiment(folder.path(), data);
        let ran = run(folder.path(), &["plan", "x.toml", "--set", set]);
        assert!(ran.code == 1 && ran.err.contains(message) && ran.err.lines().count() == 1, "{}", ran.err);
    }
}

#[test]
fn classes_that_are_written_as_floats_are_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let write = |first: f32| {
        let y = candle_core::Tensor::new(&[first, 1.0, 2.0, 1.0], &candle_core::Device::Cpu).unwrap();
        let arrays = [("train_x", y.unsqueeze(1).unwrap()), ("train_y", y)].map(|(name, y)| (name.to_owned(), y));
        candle_core::safetensors::save(&arrays.into(), folder.path().join("y.safetensors")).unwrap();
        experiment(folder.path(), r#"kind = "arrays", path = "y.safetensors", test = 0.5"#);
        run(folder.path(), &["plan", "x.toml"])
    };
    let whole = write(0.0);
    assert!(whole.err.contains("but all are whole: y.astype(\"int64\") makes classes"), "{}", whole.err);
    let other = write(0.5);
    assert!(other.code == 0 && other.err.is_empty(), "{}", other.err);
    assert!(other.out.contains("vectors of 1, a number to give for each"), "{}", other.out);
}

/// `y = (x₀ − 2 x₁, 1 + x₀)` on a grid, to be given.
fn line(path: &Path) {
    let tensor = |rows: &[[f32; 2]]| {
        candle_core::Tensor::from_vec(rows.concat(), (rows.len(), 2), &candle_core::Device::Cpu).unwrap()
    };
    let grid = |offset: f32, count: usize| -> Vec<[f32; 2]> {
        (0..count).map(|i| [(i % 8) as f32 / 4.0 - 1.0 + offset, (i / 8) as f32 / 4.0 - 1.0]).collect()
    };
    let mut arrays = std::collections::HashMap::new();
    for (part, offset) in [("train", 0.0), ("test", 0.1)] {
        let x = grid(offset, 64);
        let y: Vec<[f32; 2]> = x.iter().map(|[a, b]| [a - 2.0 * b, 1.0 + a]).collect();
        arrays.insert(format!("{part}_x"), tensor(&x));
        arrays.insert(format!("{part}_y"), tensor(&y));
    }
    candle_core::safetensors::save(&arrays, path).unwrap();
}

#[test]
fn numbers_are_learned_where_targets_are_floats() {
    let folder = tempfile::tempdir().unwrap();
    line(&folder.path().join("line.safetensors"));
    experiment(folder.path(), r#"kind = "arrays", path = "line.safetensors""#);
    let planned = run(folder.path(), &["plan", "x.toml"]);
    let counted = "64 training and 64 test examples, vectors of 2, 2 numbers to give for each";
    assert!(planned.out.contains(counted), "{}{}", planned.out, planned.err);
    let error = |optimizer: &str, lr: &str| {
        let sets = [
            "--set",
            "epochs=30",
            "--set",
            "batch=16",
            "--set",
            &format!("schedule.lr={lr}"),
            "--set",
            optimizer,
            "--set",
            "model.hidden=[16]",
        ];
        let ran = run(folder.path(), &[&["run", "x.toml", "--save-weights", "--out", optimizer][..], &sets].concat());
        assert_eq!(ran.code, 0, "{}", ran.err);
        let results = fs::read_dir(folder.path().join(optimizer).join("x")).unwrap().map(|file| file.unwrap().path());
        let weights =
            results.into_iter().find(|path| path.extension().is_some_and(|end| end == "safetensors")).unwrap();
        let told =
            run(folder.path(), &[&["evaluate", "x.toml", "--weights", weights.to_str().unwrap()][..], &sets].concat());
        let (_, error) = told.out.split_once("squared error ").unwrap_or_else(|| panic!("{}{}", told.out, told.err));
        error.split(',').next().unwrap().parse::<f64>().unwrap()
    };
    // The targets' own variance is above 1.
    assert!(error("optimizer.preset=adamw", "0.03") < 0.05);
    assert!(error("optimizer.preset=sgd", "0") > 0.5, "a net that learns nothing");
    for fisher in ["empirical", "sampled", "exact"] {
        let table = format!("optimizer={{ preset = 'kfac', precondition = {{ fisher = '{fisher}' }} }}");
        assert!(error(&table, "0.03") < 0.5, "{fisher}");
    }
    let ran = run(folder.path(), &["plan", "x.toml", "--set", "label_smoothing=0.1"]);
    assert!(ran.code == 1 && ran.err.contains("`label_smoothing` is for classes"), "{}", ran.err);
}

#[test]
fn keys_that_are_missing_or_out_of_place_are_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let cases = [
        (r#"kind = "folder""#, "`data.path` is missing"),
        (r#"kind = "cifar10", path = "x""#, "`data.path` is for your own data, not for `cifar10`"),
        (r#"kind = "digits", test = 0.2"#, "`data.test` is for your own data"),
        (r#"kind = "folder", path = "x", test = 1.0"#, "`data.test` must be greater than 0 and below 1 (got 1)"),
        (r#"kind = "folder", path = "x", size = 0"#, "`data.size` must be from 1 to 4096 pixels (got 0)"),
        (r#"kind = "arrays", path = "x", size = 8"#, "`data.size` cannot be chosen"),
        (r#"kind = "folder", path = "x""#, "`x` cannot be read"),
        (r#"kind = "folders", path = "x""#, "did you mean `folder`?"),
    ];
    for (data, message) in cases {
        experiment(folder.path(), data);
        let ran = run(folder.path(), &["plan", "x.toml"]);
        assert!(ran.code == 1 && ran.err.contains(message) && ran.err.contains("x.toml:6"), "{data}: {}", ran.err);
        assert!(ran.err.lines().count() <= 2, "{}", ran.err);
    }
}
