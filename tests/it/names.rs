//! Names as people choose them, in every output; names that none takes; names that are no text.

use std::collections::BTreeSet;
use std::path::Path;

use nkfac_bench::figure::{self, ALL, COLUMN, Data, PAGE, Table, Tables, Theme};
use nkfac_bench::record::{self, Metric, Origin, Row, Scope, Status};
use nkfac_bench::report::{Report, Scales};
use nkfac_bench::{export, text};
use proptest::prelude::*;

use super::program::{command, ran, run};
use super::sweep::folder;

const SMALL: &str = r#"
name = "small"
[base]
epochs = 1
batch = 32
data = { kind = "digits", train_limit = 320 }
model = { kind = "mlp", hidden = [8] }
schedule = { kind = "constant", lr = 0.05 }
optimizer = { preset = "sgd" }
"#;

/// What `plan` says of the small file with `from` replaced.
fn plan(from: &str, to: &str) -> String {
    assert!(SMALL.contains(from), "{from}");
    let folder = folder(&SMALL.replace(from, to));
    let ran = run(folder.path(), &["plan", "x.toml"]);
    if ran.code == 0 { ran.out } else { ran.err }
}

#[test]
fn a_command_to_be_typed_is_quoted_and_names_the_folder() {
    let folder = folder(SMALL);
    std::fs::rename(folder.path().join("x.toml"), folder.path().join("my x.toml")).unwrap();
    let args = ["run", "my x.toml", "--threads", "1", "--shard", "1/2", "--out", "other place"];
    let said = run(folder.path(), &args).err;
    assert!(said.contains("`nkfac-bench figure 'my x.toml' --results 'other place'`"), "{said}");
}

#[test]
fn control_characters_in_names_and_keys_are_refused_and_not_sent_to_the_terminal() {
    let with_arm = |name: &str| plan("[base]", &format!("arm = [{{ name = \"{name}\" }}]\n[base]"));
    for name in ["a\\u001b[31mred", "two\\nlines", "a\\u007f", "a\\u009b", "a\\u202eb", "a\\uffff"] {
        let said = [with_arm(name), plan("\"small\"", &format!("\"{name}\"")), plan("epochs", &format!("\"{name}\""))];
        for said in said {
            assert!(said.starts_with("error: x.toml:") && said.contains("control character"), "{said}");
            assert!(said.chars().all(|c| c == '\n' || text::is_plain(c)), "{said:?}");
        }
    }
    let said = plan("\"sgd\"", "\"s\\u001b[31mgd\"");
    assert!(said.contains("unknown name `s\\u{1b}[31mgd`"), "{said}");
    assert!(with_arm("λ = 10⁻⁴, 学习 🚀").contains("λ = 10⁻⁴, 学习 🚀"), "control");
}

#[test]
fn a_name_is_as_long_as_a_folder_may_have_and_no_longer() {
    let named = |length: usize| plan("\"small\"", &format!("\"{}\"", "ä".repeat(length / 2) + &"b".repeat(length % 2)));
    assert!(named(255).contains(": 1 trial"), "{}", named(255));
    assert!(named(256).contains("must be at most 255 bytes long (got 256)"), "{}", named(256));
    for path in ["", ".", "..", "a/b", "a/", "./a"] {
        let said = plan("\"small\"", &format!("\"{path}\""));
        assert!(said.contains("must be the name of a folder"), "{said}");
    }
}

#[test]
fn an_experiment_may_be_a_pipe_that_is_read_once() {
    let folder = folder(SMALL);
    let bash = |what: &str| {
        let mut bash = std::process::Command::new("bash");
        let script = format!("cat x.toml | {} {what}", env!("CARGO_BIN_EXE_nkfac-bench"));
        ran(bash.args(["-c", &script]).current_dir(folder.path()))
    };
    let planned = bash("plan /dev/stdin");
    assert!(planned.out.starts_with("small: 1 trial"), "{}", planned.err);
    let done = bash("run /dev/stdin --threads 1");
    assert!(done.out.contains("1 finished"), "{}{}", done.out, done.err);
    assert!(bash("status /dev/stdin").out.ends_with("1 finished\n"));
    let two = bash("run /dev/stdin --jobs 2 --seeds 3");
    assert!(two.code == 0 && two.out.contains(" 1 already done"), "{}{}", two.out, two.err);
    let refused = bash("submit /dev/stdin --dry-run");
    assert_eq!(refused.code, 1);
    assert!(refused.err.contains("`/dev/stdin` can be read only once"), "{}", refused.err);
}

#[test]
fn powers_of_ten_are_ascii_in_latex_and_can_be_typed() {
    let folder = folder(&(SMALL.to_owned() + "[sweep]\n\"schedule.lr\" = [1e-7, 1.5e-4, 0.1]\n"));
    let ran = run(folder.path(), &["run", "x.toml", "--threads", "1"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.out.contains("10⁻⁷"), "control: {}", ran.out);
    let latex = run(folder.path(), &["report", "results/small", "--latex", "--out", "-"]).out;
    assert!(latex.is_ascii(), "{latex}");
    assert!(latex.contains("$10^{-7}$") && latex.contains("$1.5\\times10^{-4}$"), "{latex}");
    let compare = |a: &str, b: &str| run(folder.path(), &["compare", a, b, "results/small"]);
    let typed = compare("sgd, schedule.lr = 1e-7", "sgd, schedule.lr = 0.00015");
    assert!(
        typed.out.starts_with("sgd, schedule.lr = 10⁻⁷ − sgd, schedule.lr = 1.5×10⁻⁴, "),
        "{}{}",
        typed.out,
        typed.err
    );
    assert_eq!(compare("sgd, schedule.lr = 1e-6", "sgd, schedule.lr = 0.1").code, 1);
}

#[cfg(unix)]
#[test]
fn folders_whose_names_are_no_text_are_written_read_and_reported() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let folder = folder(SMALL);
    let out = OsStr::from_bytes(b"out\xff");
    let results = Path::new(out).join("small");
    let done = ran(command(folder.path(), &["run", "x.toml", "--threads", "1", "--json", "--out"]).arg(out));
    assert_eq!(done.code, 0, "{}", done.err);
    assert!(done.out.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()), "{}", done.out);
    let written = std::fs::read_dir(folder.path().join(&results)).unwrap().map(|entry| entry.unwrap().path());
    let trial = written.into_iter().find(|path| path.extension().is_some_and(|found| found == "parquet")).unwrap();
    // Two files that hold no results, whose names differ in a byte that is no text.
    for name in [&b"a\xfe.parquet"[..], b"a\xff.parquet"] {
        std::fs::write(trial.with_file_name(OsStr::from_bytes(name)), "PAR1").unwrap();
    }
    let status = ran(command(folder.path(), &["status"]).arg(&results));
    assert!(status.out.contains("a\\xfe") && status.out.contains("a\\xff"), "{}", status.out);
    let told = |args: &[&str]| {
        let told = ran(command(folder.path(), args).arg(&results));
        assert_eq!(told.code, 0, "{}", told.err);
        assert_eq!(told.err.matches("is skipped").count(), 2, "{}", told.err);
    };
    told(&["figure"]);
    told(&["report"]);
    told(&["export", "--csv", "csv"]);
    let script = ran(command(folder.path(), &["submit", "--dry-run", "x.toml", "--out"]).arg(out));
    assert!(script.err.contains("cannot be named in a batch script"), "{}", script.err);
    std::fs::rename(folder.path().join("x.toml"), folder.path().join(OsStr::from_bytes(b"\xff.toml"))).unwrap();
    let named = ran(command(folder.path(), &["plan"]).arg(OsStr::from_bytes(b"\xff.toml")));
    assert!(named.out.starts_with("small: 1 trial"), "{}", named.err);
}

#[test]
fn whatever_has_a_meaning_in_a_batch_script_is_escaped() {
    for name in ["$(touch x); `touch x`", "a\\\"b'c", "{command}", "{here} {options}", "# -x", "%j"] {
        let folder = folder(&SMALL.replace("\"small\"", &format!("'''{name}'''")));
        let script = run(folder.path(), &["submit", "x.toml", "--dry-run", "--out", "%A {command}"]);
        if name.contains('\\') {
            assert!(script.err.contains("cannot be named in a batch script"), "{}", script.err);
            continue;
        }
        assert_eq!(script.code, 0, "{}", script.err);
        let job = script.out.lines().find(|line| line.starts_with("#SBATCH --job-name=")).unwrap();
        assert_eq!(job.trim_start_matches("#SBATCH --job-name=").trim_matches('"'), name);
        let log = script.out.lines().find(|line| line.starts_with("#SBATCH --output=")).unwrap();
        assert!(log.contains("/%%A {command}/") && log.contains("/_slurm/%A_%a.log"), "{log}");
        assert_eq!(script.out.matches(" run x.toml ").count(), 1, "{}", script.out);
        assert_eq!(script.out.matches("--out '%A {command}'").count(), 1, "{}", script.out);
    }
    let folder = folder(SMALL);
    let timed = |time: &str| run(folder.path(), &["submit", "x.toml", "--dry-run", "--time", time]);
    assert_eq!(timed("3").code, 0);
    for (time, reason) in
        [("2", "must be longer than 120 seconds (got 120)"), ("4h", "must be a time such as"), ("1:59", "(got 119)")]
    {
        let refused = timed(time);
        assert_eq!(refused.code, 2);
        assert!(refused.err.contains(reason), "{}", refused.err);
    }
}

#[test]
fn an_eps_that_vanishes_in_the_nets_numbers_is_refused() {
    let said = |eps: &str| plan("preset = \"sgd\"", &format!("preset = \"adamw\", update = {{ eps = {eps} }}"));
    assert!(
        said("1e-50").contains("`optimizer.update.eps` is 1e-50, which is 0 in float32\nhint: "),
        "{}",
        said("1e-50")
    );
    assert!(said("1e-45").contains("1 trial"), "{}", said("1e-45"));
    let double = plan(
        "optimizer = { preset = \"sgd\" }",
        "dtype = \"f64\"\noptimizer = { preset = \"adamw\", update = { eps = 1e-50 } }",
    );
    assert!(double.contains("1 trial"), "{double}");
}

#[test]
fn without_a_home_of_its_own_data_are_looked_for_in_the_users() {
    let folder = folder(SMALL);
    let list = |set: Option<&str>| {
        let mut command = command(folder.path(), &["data", "list"]);
        match set {
            Some(home) => command.env("HOME", home),
            None => command.env_remove("HOME"),
        };
        ran(&mut command).out.lines().next().unwrap().to_owned()
    };
    assert_eq!(list(Some("/h")), "looked for in /h/.cache/nkfac-bench");
    assert!(list(None).starts_with("looked for in /"), "{}", list(None));
}

fn write(path: &Path, arm: &str, place: u32) {
    let origin = Origin {
        experiment: "names".into(),
        trial: format!("{place:012}"),
        arm: arm.into(),
        dataset: "digits".into(),
        model: "mlp".into(),
        optimizer: "sgd".into(),
        inverter: String::new(),
        seed: 1,
        status: Status::Finished,
        swept: "{}".into(),
        config: "{}".into(),
        dtype: "f32".into(),
        batch: 64,
        epochs: 2,
        host: "h".into(),
        cpu: "c".into(),
        device: "cpu".into(),
        threads: 2,
        version: "0.1.0".into(),
        commit: "abc".into(),
        started: f64::from(place),
        load: None,
    };
    let row = |epoch: u32, scope: Scope, metric: Metric, value: f64| {
        let (step, seconds) = (u64::from(epoch) * 10, f64::from(epoch + place));
        Row { epoch, step, seconds, scope, metric, value }
    };
    let of_epoch = |epoch: u32| {
        [
            row(epoch, Scope::Train, Metric::Loss, 1.0 / f64::from(epoch)),
            row(epoch, Scope::Train, Metric::EpochSeconds, 1.0),
            row(epoch, Scope::Train, Metric::PhaseForward, 0.5),
            row(epoch, Scope::Step, Metric::StepSeconds, 0.1),
            row(epoch, Scope::Test, Metric::Accuracy, 0.3 * f64::from(epoch) + 0.01 * f64::from(place)),
        ]
    };
    record::write(path, &origin, &[of_epoch(1), of_epoch(2)].concat()).unwrap();
}

/// The fields of CSV by RFC 4180.
fn fields(csv: &str) -> Vec<Vec<String>> {
    let (mut rows, mut quoted) = (vec![vec![String::new()]], false);
    let mut chars = csv.trim_end_matches('\n').chars().peekable();
    while let Some(c) = chars.next() {
        let row = rows.last_mut().unwrap();
        match c {
            '"' if quoted && chars.next_if_eq(&'"').is_some() => row.last_mut().unwrap().push(c),
            '"' => quoted = !quoted,
            ',' if !quoted => row.push(String::new()),
            '\n' if !quoted => rows.push(vec![String::new()]),
            _ => row.last_mut().unwrap().push(c),
        }
    }
    rows
}

/// That every tag is closed, every ampersand begins an entity, and XML takes every character.
fn assert_well_formed(svg: &str) {
    assert!(svg.chars().all(|c| c == '\n' || text::is_plain(c)), "{svg}");
    let mut open = Vec::new();
    for piece in svg.split('<').skip(1) {
        let (tag, text) = piece.split_once('>').unwrap_or_else(|| panic!("<{piece}"));
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
        let name = tag.split_whitespace().next().unwrap();
        match name.strip_prefix('/') {
            Some(name) => assert_eq!(open.pop(), Some(name)),
            None if !tag.ends_with('/') => open.push(name),
            None => {}
        }
        assert!(!text.contains('>'), "{text}");
        for entity in text.split('&').skip(1) {
            assert!(["amp;", "lt;", "gt;", "quot;"].iter().any(|known| entity.starts_with(known)), "&{entity}");
        }
    }
    assert!(open.is_empty(), "{open:?}");
}

#[test]
#[should_panic(expected = "<b")]
fn a_document_that_a_name_breaks_is_found() {
    assert_well_formed("<svg><text>a <b</text></svg>");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn every_writer_takes_every_name(
        a in prop_oneof![any::<String>(), "[<>&\"'|\\\\`*_$~{}#%,\r\n\u{1b}=-]{1,12}", "\\PC{100,300}"],
        b in any::<String>(),
    ) {
        prop_assume!(a != b && !a.is_empty());
        let folder = tempfile::tempdir().unwrap();
        write(&folder.path().join("0.parquet"), &a, 0);
        write(&folder.path().join("1.parquet"), &b, 1);
        let read = || Data::new(record::read(folder.path()).unwrap()).unwrap();
        let data = read();
        for figure in ALL {
            for width in [PAGE, COLUMN] {
                assert_well_formed(&figure::svg(&figure::draw(*figure, &data, width).unwrap(), Theme::Light));
            }
        }
        let table = Table::new(&data).unwrap();
        let csv = fields(&Tables::new(&data).unwrap().csv().unwrap());
        prop_assert_eq!(csv.iter().skip(1).map(|row| row[0].clone()).collect::<Vec<_>>(), [a.clone(), b.clone()]);
        prop_assert!(csv.iter().all(|row| row.len() == csv[0].len()));
        prop_assert_eq!(table.terminal(None).lines().count(), 3);
        let bars = |line: &str| line.replace("\\\\", "").replace("\\|", "").matches('|').count();
        let markdown = table.markdown();
        prop_assert!(markdown.lines().count() == 4 && !markdown.contains('<'), "{}", markdown);
        prop_assert!(markdown.lines().all(|line| bars(line) == table.columns.len() + 1), "{}", markdown);

        let report = Report::new(&data, Scales::Any).unwrap();
        let (html, latex) = (report.html(), report.latex(&[]));
        prop_assert_eq!(html.matches("<script").count(), 1);
        prop_assert!(html.chars().all(|c| c == '\n' || text::is_plain(c)));
        prop_assert!(latex.is_ascii() && latex.matches("\\\\\n").count() == 3, "{}", latex);
        prop_assert!(!report.markdown().contains('<'));

        let events = folder.path().join("events");
        prop_assert_eq!(export::to_tensorboard(folder.path(), None, &events).unwrap().trials, 2);
        let runs: BTreeSet<_> = std::fs::read_dir(&events).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        prop_assert_eq!(runs.len(), 2);
    }
}
