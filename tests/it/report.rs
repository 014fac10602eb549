//! The report, comparisons and exports at the program's boundary.

use std::path::Path;

use super::program::{repository, run};

/// The shipped sample in a folder of its own.
pub fn sample() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(repository("results/sample/quickstart")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "parquet") {
            std::fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
        }
    }
    folder
}

#[test]
fn a_report_is_one_file_that_asks_for_nothing_else() {
    let folder = sample();
    let ran = run(folder.path(), &["report", "."]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let html = std::fs::read_to_string(folder.path().join("_figures/report.html")).unwrap();
    // The only address is the name of SVG itself.
    assert_eq!(html.matches("http").count(), html.matches("http://www.w3.org/2000/svg").count());
    for part in [
        "has the highest final test accuracy",
        "<table class=\"sortable\">",
        "<title>",
        "git checkout ",
        "\ncargo build --release\ntarget/release/nkfac-bench run ",
        "aria-label=",
        "<nav>",
        "data-switch",
        "prefers-color-scheme",
    ] {
        assert!(html.contains(part), "{part}");
    }
    for id in ["answer", "table", "figures", "verdicts", "configurations", "facts", "again"] {
        assert!(html.contains(&format!("<section id=\"{id}\">")), "{id}");
    }
    assert!(!html.contains("NaN"));
}

#[test]
fn tables_are_for_markdown_and_latex_too() {
    let folder = sample();
    let latex = run(folder.path(), &["report", ".", "--latex", "--out", "-"]).out;
    assert!(latex.contains("\\toprule") && latex.contains("\\pm"), "{latex}");
    assert!(!latex.contains("\\mathbf{"), "two seeds are no evidence: {latex}");
    let markdown = run(folder.path(), &["report", ".", "--markdown", "--out", "-"]).out;
    assert!(markdown.starts_with("# quickstart\n") && markdown.contains("| nkfac "), "{markdown}");
    assert_eq!(run(folder.path(), &["report", ".", "--markdown", "--latex"]).code, 2);
}

#[test]
fn arms_are_compared_and_too_few_pairs_are_said_to_be() {
    let folder = sample();
    let ran = run(folder.path(), &["compare", "nkfac", "sgd", "."]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.out.starts_with("nkfac − sgd, 2 pairs (seeds 1, 2)\nfinal test accuracy: "), "{}", ran.out);
    assert!(ran.out.contains("2 seeds are too few to tell"), "{}", ran.out);
    let wrong = run(folder.path(), &["compare", "nkfac", "sgd"]);
    assert!(wrong.err.contains("hint: name a results folder after the two arms"), "{}", wrong.err);
}

/// The contents of a file of records, every checksum compared. Bit by bit, unlike the program.
fn records(path: &Path) -> Vec<Vec<u8>> {
    let crc = |bytes: &[u8]| {
        let mut crc = u32::MAX;
        for byte in bytes {
            crc ^= u32::from(*byte);
            for _ in 0..8 {
                crc = if crc % 2 == 1 { (crc >> 1) ^ 0x82f6_3b78 } else { crc >> 1 };
            }
        }
        let crc = !crc;
        crc.rotate_right(15).wrapping_add(0xa282_ead8)
    };
    let bytes = std::fs::read(path).unwrap();
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    let (mut at, mut all) = (0, Vec::new());
    while at < bytes.len() {
        let length = u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()) as usize;
        assert_eq!(word(at + 8), crc(&bytes[at..at + 8]));
        let content = &bytes[at + 12..at + 12 + length];
        assert_eq!(word(at + 12 + length), crc(content));
        all.push(content.to_vec());
        at += 16 + length;
    }
    all
}

#[test]
fn results_go_to_csv_and_tensorboard() {
    let folder = sample();
    let ran = run(folder.path(), &["export", ".", "--csv", "csv", "--tensorboard", "events"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, "8 trials in csv\n8 trials in events\n"), "{}", ran.err);
    let read = |path: &str| std::fs::read_to_string(folder.path().join(path)).unwrap();
    assert_eq!(read("csv/trials.csv").lines().count(), 9);
    let mut files: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "parquet"));
    files.sort();
    let trial = files[0].file_stem().unwrap().to_str().unwrap();
    let rows = read(&format!("csv/{trial}.csv"));
    assert!(rows.starts_with("epoch,step,seconds,scope,metric,value\n"), "{}", &rows[..80]);
    let run_folder = std::fs::read_dir(folder.path().join("events")).unwrap().map(|entry| entry.unwrap().path());
    let run_folder = run_folder.filter(|path| path.to_string_lossy().ends_with(trial)).collect::<Vec<_>>();
    let file = std::fs::read_dir(&run_folder[0]).unwrap().next().unwrap().unwrap().path();
    assert!(file.file_name().unwrap().to_string_lossy().starts_with("events.out.tfevents."));
    let events = records(&file);
    assert_eq!(events.len(), rows.lines().count());
    assert!(events[0].ends_with(b"brain.Event:2"));
    // wall time (9 bytes), step 45 (2 bytes), then a summary of one value: its tag and a float32.
    let (tag, number) =
        (b"\x0a\x0dtest/accuracy\x15", rows.lines().find(|row| row.contains(",test,accuracy,")).unwrap());
    let event = events.iter().find(|event| event.windows(tag.len()).any(|part| part == tag)).unwrap();
    let value = f32::from_le_bytes(event[event.len() - 4..].try_into().unwrap());
    assert_eq!(value, number.rsplit(',').next().unwrap().parse::<f64>().unwrap() as f32);
    // Control: a changed byte is noticed.
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[20] ^= 1;
    let broken = folder.path().join("broken");
    std::fs::write(&broken, bytes).unwrap();
    assert!(std::panic::catch_unwind(|| records(&broken)).is_err());
    assert_eq!(run(folder.path(), &["export", "."]).code, 2);
}

const TWO_ARMS: &str = r#"
name = "small"
target = 0.5
order = "interleaved"
[base]
epochs = 1
batch = 64
data = { kind = "digits", train_limit = 320 }
model = { kind = "mlp", hidden = [16] }
schedule = { kind = "constant", lr = 0.05 }
optimizer = { preset = "sgd" }
[[arm]]
name = "a"
[[arm]]
name = "b"
optimizer.update.momentum = 0.5
[[arm]]
name = "c"
optimizer.update.momentum = 0.6
[sweep]
seed = [1, 2, 3, 4]
"#;

#[test]
fn interleaved_trials_go_seed_by_seed_in_a_random_order_that_stays() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("x.toml"), TWO_ARMS).unwrap();
    let plan = || run(folder.path(), &["plan", "x.toml"]).out;
    let order: Vec<String> =
        plan().lines().skip(1).map(|line| line[12..].split_whitespace().next().unwrap().into()).collect();
    let seeds: Vec<char> = plan().lines().skip(1).map(|line| line.chars().last().unwrap()).collect();
    assert_eq!(seeds, ['1', '1', '1', '2', '2', '2', '3', '3', '3', '4', '4', '4']);
    assert!(
        order.chunks(3).all(|block| ["a", "b", "c"].iter().all(|arm| block.iter().any(|of| of == arm))),
        "{order:?}"
    );
    assert!(order.chunks(3).any(|block| block != ["a", "b", "c"]), "{order:?}");
    assert_eq!(plan(), plan());
    // As it is without a word.
    std::fs::write(folder.path().join("x.toml"), TWO_ARMS.replace("order = \"interleaved\"\n", "")).unwrap();
    let seeds: Vec<char> = plan().lines().skip(1).map(|line| line.chars().last().unwrap()).collect();
    assert_eq!(seeds[..4], ['1', '2', '3', '4']);
}

#[test]
fn a_target_is_recorded_and_an_impossible_one_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = |text: &str| std::fs::write(folder.path().join("x.toml"), text).unwrap();
    file(TWO_ARMS);
    let ran = run(folder.path(), &["run", "x.toml", "--seeds", "1"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let svg = std::fs::read_to_string(folder.path().join("results/small/_figures/time-to-target.svg")).unwrap();
    assert!(svg.contains("training time to 50.0 % test accuracy"), "{svg}");
    for (wrong, message) in
        [("target = 90", "`target` must be above 0 and at most 1 (got 90)"), ("order = \"any\"", "unknown")]
    {
        file(&TWO_ARMS.replace("target = 0.5", wrong).replace("order = \"interleaved\"\n", ""));
        let ran = run(folder.path(), &["plan", "x.toml"]);
        assert_eq!(ran.code, 1);
        assert!(ran.err.contains(message) && ran.err.contains("x.toml:3"), "{}", ran.err);
    }
}
