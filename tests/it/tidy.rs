//! The layers of `ARCHITECTURE.md` hold, and the house is tidy.

mod circles;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Which layers each layer may import, from the table in `ARCHITECTURE.md`.
fn allowed() -> BTreeMap<String, BTreeSet<String>> {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let rows =
        text.lines().skip_while(|line| !line.starts_with("| layer")).skip(2).take_while(|line| line.starts_with('|'));
    let names = |cell: &str| -> Vec<String> { cell.split('`').skip(1).step_by(2).map(str::to_owned).collect() };
    let mut table = BTreeMap::new();
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split('|').collect();
        for layer in names(cells[0]) {
            let may = if cells[1].trim() == "everything" { vec!["everything".to_owned()] } else { names(cells[1]) };
            table.insert(layer, may.into_iter().collect());
        }
    }
    assert!(table.len() > 10, "{table:?}");
    table
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// `src/nn/op/mod.rs` belongs to the layer `nn`, `src/param.rs` to `param`.
fn layer(path: &Path) -> String {
    let inner = path.strip_prefix(root().join("src")).unwrap();
    inner.components().next().unwrap().as_os_str().to_str().unwrap().trim_end_matches(".rs").to_owned()
}

/// Layers that a source names after `crate::` or `nkfac_bench::`, in braces too.
fn imports(source: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for prefix in ["crate::", "nkfac_bench::"] {
        for (at, _) in source.match_indices(prefix) {
            let rest = &source[at + prefix.len()..];
            let word = |text: &str| {
                text.trim_start().split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap().to_owned()
            };
            match rest.strip_prefix('{') {
                Some(group) => found.extend(split_group(group).iter().map(|item| word(item))),
                None => {
                    found.insert(word(rest));
                }
            }
        }
    }
    found
}

/// The items of `a, b::{c, d}, e}` at its own depth.
fn split_group(group: &str) -> Vec<String> {
    let (mut depth, mut items, mut item) = (0, Vec::new(), String::new());
    for c in group.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                items.push(std::mem::take(&mut item));
                continue;
            }
            _ => {}
        }
        item.push(c);
    }
    items.push(item);
    items
}

#[test]
fn layers_import_only_what_the_table_allows() {
    let allowed = allowed();
    for path in sources(&root().join("src")) {
        let layer = layer(&path);
        if layer == "lib" || layer == "main" {
            continue;
        }
        let may = allowed.get(&layer).unwrap_or_else(|| panic!("no row for `{layer}` in ARCHITECTURE.md"));
        for import in imports(&fs::read_to_string(&path).unwrap()) {
            let ours = import == layer || may.contains(&import) || may.contains("everything");
            assert!(ours || !allowed.contains_key(&import), "{}: `{layer}` may not import `{import}`", path.display());
        }
    }
}

#[test]
fn a_forbidden_import_would_be_found() {
    let found = imports("use crate::{nn::{Net, Pass}, optim}; fn f() { crate::data::load() }");
    assert_eq!(found, BTreeSet::from(["nn", "optim", "data"].map(str::to_owned)));
    assert!(!allowed()["nn"].contains("optim") && !allowed()["optim"].contains("nn"));
}

#[test]
fn unsafe_code_lives_with_the_kernels_alone() {
    for path in sources(&root().join("src")) {
        let source = fs::read_to_string(&path).unwrap();
        let is_kernel = ["kernel", "device"].contains(&layer(&path).as_str());
        assert!(is_kernel || !source.contains(concat!("unsafe", " ")), "{}", path.display());
    }
}

/// candle prints backtraces.
#[test]
fn paths_are_shown_by_text_alone() {
    for path in sources(&root().join("src")) {
        let source = fs::read_to_string(&path).unwrap();
        let code = source.split("mod tests {").next().unwrap();
        let is_test = path.ends_with("tests.rs");
        assert!(
            is_test || !code.contains(".display()"),
            "{}: `shown` spells out what steers a terminal",
            path.display()
        );
    }
}

#[test]
fn no_error_of_ours_lets_candle_speak_for_itself() {
    for path in sources(&root().join("src")) {
        let source = fs::read_to_string(&path).unwrap();
        let attributes = source.split("#[error(transparent)]").skip(1);
        let mut variants = attributes.filter_map(|rest| rest.trim_start().lines().next());
        assert_eq!(variants.find(|variant| variant.contains("candle_core::Error")), None, "{}", path.display());
    }
}

#[test]
fn files_are_short_enough_to_read() {
    for path in sources(&root().join("src")) {
        let lines = fs::read_to_string(&path).unwrap().lines().count();
        assert!(lines <= 400, "{} has {lines} lines", path.display());
    }
}
