//! A folder of trials into one table. A folder may hold files of other origin, or broken ones: they are named, not fatal.

use std::collections::HashMap;
use std::fmt::{self, Display};
use std::fs;
use std::io::Cursor;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};

use polars::prelude::*;

use super::write::COLUMNS;
use super::{Error, Scope, Status, seal};

/// All that could be read in a folder.
#[derive(Debug)]
pub struct Results {
    /// The rows of every trial, with the columns that [`super::write`] gives them. Those of single steps outnumber all others
    /// by far and are left out.
    pub rows: DataFrame,
    /// Files that hold no results, or the same again.
    pub skipped: Vec<Skipped>,
}

/// A Parquet file that was not used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    pub path: PathBuf,
    pub reason: String,
}

impl Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is skipped: {}", self.path.display(), self.reason)
    }
}

/// Reads every `*.parquet` in `folder`, in the order of their names.
pub fn read(folder: &Path) -> Result<Results, Error> {
    let paths = parquet_files(folder)?;
    let mut trials: HashMap<String, &Path> = HashMap::new();
    let mut frames = Vec::new();
    let mut skipped = Vec::new();
    for path in &paths {
        let outcome = read_trial(path).and_then(|(trial, frame)| match trials.insert(trial.clone(), path) {
            None => Ok(frame),
            Some(first) => Err(format!("trial `{trial}` is in `{}` already", first.display())),
        });
        match outcome {
            Ok(frame) => frames.push(frame),
            Err(reason) => skipped.push(Skipped { path: path.clone(), reason }),
        }
    }
    if frames.is_empty() {
        return Err(match skipped.first() {
            None => Error::Empty { folder: folder.to_owned() },
            Some(first) => {
                Error::NoneReadable { folder: folder.to_owned(), count: skipped.len(), first: first.to_string() }
            }
        });
    }
    let stack = |source| Error::Stack { folder: folder.to_owned(), source };
    let rows = concat(frames, UnionArgs::default()).and_then(LazyFrame::collect).map_err(stack)?;
    Ok(Results { rows, skipped })
}

fn parquet_files(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let fail = |source| Error::Folder { folder: folder.to_owned(), source };
    let entries: Vec<fs::DirEntry> = fs::read_dir(folder).and_then(Iterator::collect).map_err(fail)?;
    let mut paths: Vec<PathBuf> = entries
        .iter()
        .map(fs::DirEntry::path)
        .filter(|path| path.extension().is_some_and(|extension| extension == "parquet"))
        .collect();
    paths.sort();
    Ok(paths)
}

/// The id and the rows of the trial in `path`, or why there is none.
fn read_trial(path: &Path) -> Result<(String, LazyFrame), String> {
    let frame = decode(path)?;
    for (name, expected) in &COLUMNS {
        match frame.schema().get(name) {
            Some(found) if found == expected => {}
            Some(found) => return Err(format!("column `{name}` is {found}, not {expected}")),
            None => return Err(format!("it has no column `{name}`")),
        }
    }
    let trial = frame.column("trial").and_then(|trials| trials.str().map(|trials| trials.first().map(str::to_owned)));
    let trial = trial.map_err(|error| error.to_string())?.ok_or("it has no rows")?;
    let columns: Vec<Expr> = COLUMNS.iter().map(|(name, _)| col(*name)).collect();
    let epochs = frame.lazy().filter(col("scope").neq(lit(Scope::Step.name().to_owned()))).select(columns).collect();
    Ok((trial, epochs.map_err(|error| error.to_string())?.lazy()))
}

/// The table in `path`, if its seal is intact.
fn decode(path: &Path) -> Result<DataFrame, String> {
    let bytes = fs::read(path).map_err(|error| error.to_string())?;
    seal::check(&bytes)?;
    // A seal proves that the bytes are ours, not that this version of polars takes them; it is known to panic where it should fail.
    panic::catch_unwind(AssertUnwindSafe(|| ParquetReader::new(Cursor::new(bytes)).finish()))
        .map_err(|_| "it is no intact Parquet file".to_owned())?
        .map_err(|error| format!("it is no intact Parquet file: {error}"))
}

/// What a list of trials says of one that has ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Brief {
    pub trial: String,
    pub arm: String,
    /// The swept keys and their values, as a JSON object.
    pub swept: String,
    pub status: Status,
    pub host: String,
    pub device: String,
    pub threads: u32,
    /// Seconds since 1970, UTC.
    pub started: f64,
    /// Training seconds.
    pub seconds: f64,
}

/// The trial in `path`, in brief.
///
/// # Errors
/// The file cannot be read, is damaged or of other origin: says so.
pub fn brief(path: &Path) -> Result<Brief, String> {
    let frame = decode(path)?;
    let column = |name: &str| frame.column(name).map_err(|_| format!("it has no column `{name}`"));
    let text = |name: &str| {
        let texts = column(name)?.str().map_err(|error| error.to_string())?;
        Ok::<_, String>(texts.last().ok_or("it has no rows")?.to_owned())
    };
    let number = |name: &str| {
        let numbers = column(name)?.cast(&DataType::Float64).map_err(|error| error.to_string())?;
        let last = numbers.f64().map_err(|error| error.to_string())?.last();
        last.ok_or_else(|| "it has no rows".to_owned())
    };
    let status = text("status")?;
    Ok(Brief {
        trial: text("trial")?,
        arm: text("arm")?,
        swept: text("swept")?,
        status: Status::from_name(&status).ok_or_else(|| format!("its status is `{status}`"))?,
        host: text("host")?,
        device: text("device")?,
        threads: number("threads")? as u32,
        started: number("started")?,
        seconds: number("seconds")?,
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use polars::prelude::*;
    use proptest::prelude::*;

    use super::super::{Metric, Origin, Row, Scope, Status, write};
    use super::{COLUMNS, read};

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
        let found: Vec<(String, DataType)> =
            results.rows.schema().iter().map(|(name, kind)| (name.to_string(), kind.clone())).collect();
        assert_eq!(found, COLUMNS.map(|(name, kind)| (name.to_owned(), kind)));
        assert_eq!(texts(&results.rows, "scope"), ["train", "test", "layer1.0.conv1/a"]);
        assert_eq!(texts(&results.rows, "metric"), ["loss", "accuracy", "factor_size"]);
        let values = results.rows.column("value").unwrap().f64().unwrap().clone();
        let bits: Vec<u64> = values.into_no_null_iter().map(f64::to_bits).collect();
        assert_eq!(bits, [f64::NAN, 0.1 + 0.2, 577.0].map(f64::to_bits));
        assert_eq!(results.rows.column("seed").unwrap().u64().unwrap().get(2), Some(u64::MAX));
        assert_eq!(results.rows.column("load").unwrap().null_count(), 3);
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
        assert_eq!(results.rows.height(), 3);
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
        let brief = super::brief(&folder.path().join("a.parquet")).unwrap();
        assert_eq!(
            (brief.trial.as_str(), brief.status, brief.threads, brief.seconds),
            ("a", Status::Finished, 2, 0.25)
        );
        assert!(super::brief(&folder.path().join("b.parquet")).is_err());
    }

    #[test]
    fn a_folder_without_results_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let message = |path: &Path| read(path).unwrap_err().to_string().replace(&*folder.path().to_string_lossy(), "F");
        assert_eq!(
            message(folder.path()),
            "no results in `F`\nhint: `nkfac-bench run` writes them, one Parquet file a trial"
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
            thread_local!(static BYTES: Vec<u8> = written(tempfile::tempdir().unwrap().path(), "a"));
            let mut bytes = BYTES.with(Clone::clone);
            prop_assert!(super::seal::check(&bytes).is_ok());
            prop_assert!(super::seal::check(&bytes[..cut.index(bytes.len())]).is_err());
            let at = at.index(bytes.len());
            bytes[at] ^= with;
            prop_assert!(super::seal::check(&bytes).is_err());
        }
    }
}
