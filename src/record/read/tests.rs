use std::fs;
use std::path::Path;

use allocation_counter::measure;
use polars::prelude::*;
use proptest::prelude::*;

use super::super::{self as record, Metric, Origin, Row, Scope, Status, write};
use super::{COLUMNS, read, read_file, read_trial};

fn origin(trial: &str) -> Origin {
    Origin {
        experiment: "e".into(),
        trial: trial.into(),
        arm: "newton".into(),
        dataset: "digits".into(),
        model: "mlp".into(),
        optimizer: "nkfac".into(),
        inverter: "newton".into(),
        seed: u64::MAX,
        status: Status::Finished,
        swept: r#"{"seed":1}"#.into(),
        config: r#"{"epochs":1}"#.into(),
        dtype: "f32".into(),
        batch: 64,
        epochs: 1,
        host: "h".into(),
        cpu: "c".into(),
        device: "cpu".into(),
        threads: 2,
        version: "0.1.0".into(),
        commit: "abc".into(),
        started: 1.5e9,
        load: None,
    }
}

fn rows() -> Vec<Row> {
    let row = |scope, metric, value| Row { epoch: 1, step: 23, seconds: 0.25, scope, metric, value };
    vec![
        row(Scope::Train, Metric::Loss, f64::NAN),
        row(Scope::Test, Metric::Accuracy, 0.1 + 0.2),
        row(Scope::Factor("layer1.0.conv1/a".into()), Metric::FactorSize, 577.0),
        row(Scope::Step, Metric::StepSeconds, 0.01),
        row(Scope::Step, Metric::Loss, 2.3),
    ]
}

fn written(folder: &Path, trial: &str) -> Vec<u8> {
    let path = folder.join(trial).with_extension("parquet");
    write(&path, &origin(trial), &rows()).unwrap();
    fs::read(path).unwrap()
}

fn texts(frame: &DataFrame, column: &str) -> Vec<String> {
    frame.column(column).unwrap().str().unwrap().iter().map(|text| text.unwrap().to_owned()).collect()
}

#[test]
fn what_is_written_is_read_back_bit_for_bit_but_for_single_steps() {
    let folder = tempfile::tempdir().unwrap();
    written(folder.path(), "a");
    let results = read(folder.path()).unwrap();
    assert!(results.skipped.is_empty());
    let columns = |frame: &DataFrame| -> Vec<(String, DataType)> {
        frame.schema().iter().map(|(name, kind)| (name.to_string(), kind.clone())).collect()
    };
    let mut found = [columns(&results.trials), columns(&results.rows[0])].concat();
    found.sort_by_key(|(name, _)| COLUMNS.iter().position(|(known, _)| known == name));
    found.dedup();
    assert_eq!(found, COLUMNS.map(|(name, kind)| (name.to_owned(), kind)));
    assert_eq!(texts(&results.rows[0], "scope"), ["train", "test", "layer1.0.conv1/a"]);
    assert_eq!(texts(&results.rows[0], "metric"), ["loss", "accuracy", "factor_size"]);
    let values = results.rows[0].column("value").unwrap().f64().unwrap().clone();
    let bits: Vec<u64> = values.into_no_null_iter().map(f64::to_bits).collect();
    assert_eq!(bits, [f64::NAN, 0.1 + 0.2, 577.0].map(f64::to_bits));
    assert_eq!(results.trials.height(), 1);
    assert_eq!(results.trials.column("seed").unwrap().u64().unwrap().get(0), Some(u64::MAX));
    assert_eq!(results.trials.column("load").unwrap().null_count(), 1);
}

#[test]
fn single_steps_are_told_by_how_many_took_so_long() {
    let frame = super::steps("a", (1..=20).map(f64::from).collect()).unwrap();
    let column = |name: &str| frame.column(name).unwrap().f64().unwrap().into_no_null_iter().collect::<Vec<_>>();
    assert_eq!(column("share"), [1.0, 0.9, 0.75, 0.5, 0.35, 0.25, 0.15, 0.1, 0.05]);
    assert_eq!(column("seconds"), [1.0, 3.0, 6.0, 11.0, 14.0, 16.0, 18.0, 19.0, 20.0]);
    assert_eq!(super::steps("a", Vec::new()).unwrap().height(), 0);
}

#[test]
fn losses_of_single_steps_are_no_times() {
    let folder = tempfile::tempdir().unwrap();
    written(folder.path(), "a");
    let steps = read(folder.path()).unwrap().steps;
    let seconds: Vec<f64> = steps.column("seconds").unwrap().f64().unwrap().into_no_null_iter().collect();
    assert_eq!(seconds, [0.01]);
}

#[test]
fn nothing_is_left_beside_a_file_and_a_second_write_replaces_it() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(written(folder.path(), "a"), written(folder.path(), "a"));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    assert!(write(&folder.path().join("missing/a.parquet"), &origin("a"), &rows()).is_err());
}

#[test]
fn files_that_hold_no_results_are_named_and_the_rest_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let intact = written(folder.path(), "a");
    let put = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).unwrap();
    put("b.parquet", &intact[..intact.len() / 2]);
    put("c.parquet", &intact);
    put("notes.txt", b"not a result");
    fs::write(folder.path().join("e.parquet"), sealed_foreign()).unwrap();
    let mut foreign = df!("trial" => ["x"], "seed" => [1i64]).unwrap();
    ParquetWriter::new(fs::File::create(folder.path().join("d.parquet")).unwrap()).finish(&mut foreign).unwrap();

    let results = read(folder.path()).unwrap();
    assert_eq!((results.rows.len(), results.rows[0].height()), (1, 3));
    let place = format!("{}/", folder.path().display());
    let skipped: Vec<String> = results.skipped.iter().map(|file| file.to_string().replace(&place, "")).collect();
    assert_eq!(skipped.len(), 4, "{skipped:?}");
    assert!(skipped[0].starts_with("`b.parquet` is skipped: it is cut short, damaged, or not"), "{}", skipped[0]);
    assert_eq!(skipped[1], "`c.parquet` is skipped: trial `a` is in `a.parquet` already");
    assert!(skipped[2].starts_with("`d.parquet` is skipped: it is cut short, damaged, or not"), "{}", skipped[2]);
    assert_eq!(skipped[3], "`e.parquet` is skipped: it has no column `experiment`");
}

/// A table of another kind under an intact seal.
fn sealed_foreign() -> Vec<u8> {
    let mut bytes = Vec::new();
    ParquetWriter::new(&mut bytes).finish(&mut df!("trial" => ["x"]).unwrap()).unwrap();
    assert!(super::seal::check(&bytes).is_err());
    super::seal::seal(&bytes).unwrap()
}

#[test]
fn a_trial_is_known_in_brief() {
    let folder = tempfile::tempdir().unwrap();
    written(folder.path(), "a");
    let brief = super::super::brief(&folder.path().join("a.parquet")).unwrap();
    assert_eq!((brief.trial.as_str(), brief.status, brief.threads, brief.seconds), ("a", Status::Finished, 2, 0.25));
    assert!(super::super::brief(&folder.path().join("b.parquet")).is_err());
}

#[test]
fn a_folder_without_results_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let message = |path: &Path| read(path).unwrap_err().to_string().replace(&*folder.path().to_string_lossy(), "F");
    assert_eq!(
        message(folder.path()),
        "no results in `F`\nhint: `nkfac-bench run` writes them, one Parquet file per trial"
    );
    assert!(message(&folder.path().join("x")).starts_with("cannot read folder `F/x`: "));
    fs::write(folder.path().join("a.parquet"), "PAR1").unwrap();
    let only_broken = message(folder.path());
    assert!(only_broken.starts_with("none of the 1 Parquet files in `F` holds results; the first: `F/a.parquet`"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn random_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(super::seal::check(&bytes).is_err());
    }

    #[test]
    fn every_damage_is_noticed(at in any::<prop::sample::Index>(), with in 1u8..=255, cut in any::<prop::sample::Index>()) {
        thread_local!(static FOLDER: (tempfile::TempDir, Vec<u8>) = {
            // In memory where there is such a place: 20,000 files on a disk take minutes.
            let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
            let bytes = written(folder.path(), "a");
            assert!(read_file(&folder.path().join("a.parquet")).is_ok(), "control");
            (folder, bytes)
        });
        FOLDER.with(|(folder, bytes)| {
            let path = folder.path().join("a.parquet");
            let refused = |bytes: &[u8]| {
                fs::write(&path, bytes).unwrap();
                let mut refused = false;
                let readers = || read_file(&path).is_err() && read_trial(&path).is_err() && record::brief(&path).is_err();
                let memory = measure(|| refused = readers());
                refused && memory.bytes_max < 2 * bytes.len() as u64 + (1 << 12)
            };
            prop_assert!(refused(&bytes[..cut.index(bytes.len())]));
            let (at, mut bytes) = (at.index(bytes.len()), bytes.clone());
            bytes[at] ^= with;
            prop_assert!(refused(&bytes));
            Ok(())
        })?;
    }
}
