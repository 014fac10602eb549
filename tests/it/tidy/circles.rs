//! No files of `src` import each other in a circle.
//!
//! A path that begins with `crate`, `nkfac_bench`, `super`, `self` or a child module leads to the file that has what it names: a name that
//! a `mod.rs` re-exports counts for the file that it comes from. What a `mod.rs` has of its own belongs to the folder as a whole, and a file
//! may speak of the folders that it lies in: that closes no circle. Tests are left out.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use super::{root, sources};

/// `src/nn/op/mod.rs` is `["nn", "op"]`, `src/param.rs` is `["param"]`, `src/lib.rs` is empty.
type Module = Vec<String>;

/// A path in a source, from the crate's root, and what it is called there.
struct Import {
    path: Vec<String>,
    name: String,
    /// Whether it stands behind `use`, so that the name leads on for others.
    is_use: bool,
}

fn module(file: &str) -> Module {
    let file = file.trim_end_matches(".rs");
    let file = file.strip_suffix("/mod").unwrap_or(file);
    if file == "lib" { Vec::new() } else { file.split('/').map(str::to_owned).collect() }
}

/// Words, `::`, and every other sign by itself. Neither comments nor the tests at the end of a file.
fn tokens(source: &str) -> Vec<String> {
    let code = source.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    let mut tokens: Vec<String> = Vec::new();
    for line in lines {
        let mut rest = line.trim_start();
        while let Some(first) = rest.chars().next() {
            let word = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            let end = if rest.starts_with("::") { 2 } else { word.max(first.len_utf8()) };
            tokens.push(rest[..end].to_owned());
            rest = rest[end..].trim_start();
        }
    }
    tokens
}

/// The paths of a tree such as `a::{b, c::{self, d as e}}` at `at`, each with its name; and where the tree ends.
fn tree(tokens: &[String], mut at: usize) -> (Vec<(Vec<String>, String)>, usize) {
    let token = |at: usize| tokens.get(at).map_or("", String::as_str);
    let mut path: Vec<String> = Vec::new();
    loop {
        if token(at) == "{" {
            let mut paths = Vec::new();
            at += 1;
            while !matches!(token(at), "}" | "") {
                let (inner, end) = tree(tokens, at);
                paths.extend(inner.into_iter().map(|(rest, name)| {
                    let whole: Vec<String> = path.iter().cloned().chain(rest).collect();
                    let name = if name == "self" { path.last().cloned().unwrap_or_default() } else { name };
                    (whole, name)
                }));
                at = end.max(at + 1);
                at += usize::from(token(at) == ",");
            }
            return (paths, at + 1);
        }
        path.push(token(at).to_owned());
        at += 1;
        if token(at) != "::" {
            break;
        }
        at += 1;
    }
    let is_renamed = token(at) == "as";
    let name = if is_renamed { token(at + 1) } else { path.last().map_or("", String::as_str) }.to_owned();
    (vec![(path, name)], if is_renamed { at + 2 } else { at })
}

/// What a file of `module`, whose child modules are `children`, says of other files.
fn imports(module: &Module, children: &BTreeSet<&String>, source: &str) -> Vec<Import> {
    let tokens = tokens(source);
    let (mut found, mut at) = (Vec::new(), 0);
    while at < tokens.len() {
        let is_rooted = matches!(tokens[at].as_str(), "crate" | "nkfac_bench" | "super" | "self");
        let is_path = tokens.get(at + 1).is_some_and(|next| next == "::") && (at == 0 || tokens[at - 1] != "::");
        if !is_path || !(is_rooted || children.contains(&tokens[at])) {
            at += 1;
            continue;
        }
        let is_use = at > 0 && tokens[at - 1] == "use";
        let (paths, end) = tree(&tokens, at);
        for (path, name) in paths {
            found.push(Import { path: absolute(module, &path), name, is_use });
        }
        at = end;
    }
    found
}

fn absolute(module: &Module, path: &[String]) -> Vec<String> {
    let mut whole = module.clone();
    for part in path {
        match part.as_str() {
            "crate" | "nkfac_bench" => whole.clear(),
            "super" => drop(whole.pop()),
            "self" => {}
            _ => whole.push(part.clone()),
        }
    }
    whole
}

/// Which modules each module imports.
fn edges(files: &BTreeMap<Module, String>) -> BTreeMap<Module, BTreeSet<Module>> {
    let children = |module: &Module| {
        files
            .keys()
            .filter(|file| file.split_last().is_some_and(|(_, folder)| folder == module))
            .filter_map(|file| file.last())
            .collect()
    };
    let imports: BTreeMap<&Module, Vec<Import>> =
        files.iter().map(|(module, source)| (module, imports(module, &children(module), source))).collect();
    let reach = |module: &Module| -> BTreeSet<Module> {
        let reached = imports[module].iter().filter_map(|import| owner(&import.path, &imports, 0));
        reached.filter(|file| !module.starts_with(file)).collect()
    };
    files.keys().map(|module| (module.clone(), reach(module))).collect()
}

/// The file that has what `path` names, behind all re-exports.
fn owner(path: &[String], imports: &BTreeMap<&Module, Vec<Import>>, depth: usize) -> Option<Module> {
    let place = (0..=path.len()).rev().find(|&length| imports.contains_key(&path[..length].to_vec()))?;
    let (file, rest) = (path[..place].to_vec(), &path[place..]);
    let leads_on = |import: &&Import| import.is_use && rest.first() == Some(&import.name) && depth < 8;
    let onward = imports[&file].iter().find(leads_on);
    onward.and_then(|import| owner(&[&import.path, &rest[1..]].concat(), imports, depth + 1)).or(Some(file))
}

/// A circle, if there is one: every file imports the next, the last the first.
fn circle(edges: &BTreeMap<Module, BTreeSet<Module>>) -> Option<Vec<String>> {
    fn visit<'a>(
        at: &'a Module,
        edges: &'a BTreeMap<Module, BTreeSet<Module>>,
        way: &mut Vec<&'a Module>,
        done: &mut BTreeSet<&'a Module>,
    ) -> Option<Vec<String>> {
        if let Some(start) = way.iter().position(|&module| module == at) {
            return Some(way[start..].iter().map(|module| module.join("/")).collect());
        }
        if !done.contains(at) {
            way.push(at);
            if let Some(found) = edges[at].iter().find_map(|next| visit(next, edges, way, done)) {
                return Some(found);
            }
            way.pop();
            done.insert(at);
        }
        None
    }
    let mut done = BTreeSet::new();
    edges.keys().find_map(|module| visit(module, edges, &mut Vec::new(), &mut done))
}

/// The circle in made-up files.
fn circle_of(files: &[(&str, &str)]) -> Option<Vec<String>> {
    circle(&edges(&files.iter().map(|(file, source)| (module(file), (*source).to_owned())).collect()))
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let source = root().join("src");
    let name = |path: &std::path::Path| path.strip_prefix(&source).unwrap().to_str().unwrap().to_owned();
    let paths = sources(&source).into_iter().filter(|path| !name(path).contains("tests"));
    let files = paths.map(|path| (module(&name(&path)), fs::read_to_string(&path).unwrap())).collect();
    let edges = edges(&files);
    assert!(edges.values().map(BTreeSet::len).sum::<usize>() > 2 * files.len(), "hardly an import is found");
    if let Some(circle) = circle(&edges) {
        panic!("import each other in a circle: {}", circle.join(" → "));
    }
}

#[test]
fn a_circle_of_imports_would_be_found() {
    let names = |names: &[&str]| Some(names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>());
    let one = ("a/one.rs", "use super::two::{self, Two};");
    assert_eq!(circle_of(&[("a/mod.rs", ""), one, ("a/two.rs", "")]), None);
    let back = ("a/two.rs", "fn f() { crate::a::one::g() }");
    assert_eq!(circle_of(&[("a/mod.rs", ""), one, back]), names(&["a/one", "a/two"]));
    // By way of what the folder re-exports, under another name too.
    let folder = ("a/mod.rs", "mod one;\nmod two;\npub use one::One as First;");
    assert_eq!(circle_of(&[folder, one, ("a/two.rs", "use super::First;")]), names(&["a/one", "a/two"]));
    // By way of another folder's own.
    let (there, back) = (("a/one.rs", "use crate::{b::Whole, c};"), ("b/three.rs", "use crate::a::one::One;"));
    let other = ("b/mod.rs", "pub struct Whole(three::Three);");
    assert_eq!(circle_of(&[("a/mod.rs", ""), there, other, back]), names(&["a/one", "b", "b/three"]));
}

#[test]
fn a_part_may_speak_of_its_whole_and_comments_and_tests_of_anything() {
    let whole = ("a/mod.rs", "mod one;\npub use one::One;\npub struct Whole(one::One);");
    assert_eq!(circle_of(&[whole, ("a/one.rs", "use super::Whole;")]), None);
    let two = ("a/two.rs", "use super::one::One;");
    let quiet = "// super::two::Two\n#[cfg(test)]\nmod tests {\n    use crate::a::two::Two;\n}\n";
    assert_eq!(circle_of(&[whole, ("a/one.rs", quiet), two]), None);
}
