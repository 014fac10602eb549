//! Configuration at its boundary: text in, a Rust type or one exact message out.

use nkfac_bench::config::{Error, Node, Value, from_value, to_json};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};

/// A small configuration with every form that a real one has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Toy {
    steps: usize,
    rate: f64,
    offset: i64,
    name: String,
    on: bool,
    limit: Option<usize>,
    betas: [f64; 2],
    sizes: Vec<usize>,
    colour: Colour,
    shapes: Vec<Shape>,
    wrapped: Option<Wrapper>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Colour {
    Red,
    DarkBlue,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
enum Shape {
    Dot,
    Empty {},
    Circle {
        radius: f64,
        #[serde(default)]
        filled: bool,
    },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
enum Wrapper {
    Inner(Inner),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Inner {
    shape: Shape,
    depth: u32,
}

const GOOD: &str = r#"
steps = 3
rate = 1
offset = -2
name = "toy"
on = true
betas = [0.9, 1]
sizes = [1, 2]
colour = "dark-blue"
shapes = ["dot", { kind = "dot" }, "empty", { kind = "circle", radius = 2 }]
[wrapped]
kind = "inner"
depth = 4
shape = { kind = "empty" }
"#;

fn read(text: &str) -> Result<Toy, Error> {
    from_value(&Value::parse("toy.toml", text)?)
}

/// What is said of the good text with one piece replaced.
fn fault(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "{from}");
    read(&GOOD.replacen(from, to, 1)).unwrap_err().to_string()
}

fn parse(text: &str) -> Value {
    Value::parse("t", text).unwrap()
}

#[test]
fn every_form_is_read() {
    let toy = read(GOOD).unwrap();
    assert_eq!(toy.rate, 1.0);
    assert_eq!(toy.limit, None);
    assert_eq!(toy.colour, Colour::DarkBlue);
    let circle = Shape::Circle { radius: 2.0, filled: false };
    assert_eq!(toy.shapes, [Shape::Dot, Shape::Dot, Shape::Empty {}, circle]);
    assert_eq!(toy.wrapped, Some(Wrapper::Inner(Inner { shape: Shape::Empty {}, depth: 4 })));
}

#[test]
fn every_fault_names_line_key_and_remedy() {
    let cases = [
        ("steps = 3", "stepz = 3", "toy.toml:2: unknown key `stepz`\nhint: did you mean `steps`?"),
        ("steps = 3\n", "", "toy.toml: missing key `steps`"),
        ("steps = 3", "steps = -3", "toy.toml:2: `steps` is `-3`, expected a whole number that is not negative"),
        ("steps = 3", "steps = 3.5", "toy.toml:2: `steps` is `3.5`, expected a whole number that is not negative"),
        ("rate = 1", "rate = \"1\"", "toy.toml:3: `rate` is `\"1\"`, expected a number"),
        ("offset = -2", "offset = 1e3", "toy.toml:4: `offset` is `1000.0`, expected a whole number"),
        ("name = \"toy\"", "name = [1]", "toy.toml:5: `name` is an array, expected a string"),
        ("on = true", "on = 1", "toy.toml:6: `on` is `1`, expected `true` or `false`"),
        ("[0.9, 1]", "[0.9]", "toy.toml:7: `betas` is an array of length 1, expected an array of length 2"),
        ("[0.9, 1]", "[0.9, 1, 2]", "toy.toml:7: `betas` is an array of length 3, expected an array of length 2"),
        ("[0.9, 1]", "[0.9,\n true]", "toy.toml:8: `betas[1]` is `true`, expected a number"),
        ("[1, 2]", "{ a = 1 }", "toy.toml:8: `sizes` is a table, expected an array"),
        ("dark-blue", "drk-blue", "toy.toml:9: unknown name `drk-blue` in `colour`\nhint: did you mean `dark-blue`?"),
        ("dark-blue", "xyz", "toy.toml:9: unknown name `xyz` in `colour`\nhint: known names are `red`, `dark-blue`"),
        ("\"dark-blue\"", "3", "toy.toml:9: `colour` is `3`, expected a name or a table with a `kind`"),
        (
            "{ kind = \"dot\" }",
            "{ kind = \"dot\", x = 1 }",
            "toy.toml:10: unknown key `x` in `shapes[1]`\nhint: this table takes no keys",
        ),
        (
            "\"empty\"",
            "{ kind = \"empty\", x = 1 }",
            "toy.toml:10: unknown key `x` in `shapes[2]`\nhint: this table takes no keys",
        ),
        (
            "{ kind = \"dot\" }",
            "{ x = 1 }",
            "toy.toml:10: missing key `kind` in `shapes[1]`\nhint: known kinds are `dot`, `empty`, `circle`",
        ),
        ("{ kind = \"dot\" }", "{ kind = 1 }", "toy.toml:10: `shapes[1].kind` is `1`, expected a name"),
        ("\"empty\"", "\"circle\"", "toy.toml:10: missing key `radius` in `shapes[2]`"),
        (
            "radius = 2",
            "radius = 2, fild = 1",
            "toy.toml:10: unknown key `fild` in `shapes[3]`\nhint: did you mean `filled`?",
        ),
        ("depth = 4\n", "", "toy.toml:11: missing key `depth` in `wrapped`"),
        ("depth = 4", "dpth = 4", "toy.toml:13: unknown key `dpth` in `wrapped`\nhint: did you mean `depth`?"),
        (
            "depth = 4",
            "depth = 4294967296",
            "toy.toml:13: `wrapped.depth` is `4294967296`, expected a whole number that is not negative",
        ),
        (
            "kind = \"empty\"",
            "kind = \"emty\"",
            "toy.toml:14: unknown name `emty` in `wrapped.shape`\nhint: did you mean `empty`?",
        ),
    ];
    let wrong: Vec<String> = cases
        .iter()
        .filter_map(|(from, to, message)| {
            let said = fault(from, to);
            (said != *message).then(|| format!("{to}\n  said {said}\n  want {message}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_is_not_toml_is_refused_at_its_line() {
    for (text, message) in [
        ("a = 1\nb = = 2\n", "t:2: "),
        ("a = 1\na = 2\n", "t:2: duplicate key"),
        ("\n\na = 1979-05-27\n", "t:3: `1979-05-27` is a date, and nothing here is one\nhint: quote a string"),
        ("a = 99999999999999999999", "t:1: the integer `99999999999999999999` does not fit 64 bits"),
        ("a = [1,\n99999999999999999999]", "t:2: the integer `99999999999999999999` does not fit 64 bits"),
    ] {
        let said = Value::parse("t", text).unwrap_err().to_string();
        assert!(said.starts_with(message), "{text:?}: {said}");
    }
}

#[test]
fn origins_are_the_lines_of_keys_and_of_the_innermost_table_where_a_default_stands() {
    let value = parse("x.a = 1\nx.b = 2\n\n[y]\nz = 1\n[[w]]\nq = 1\n[[w]]\nq = 2\n[y.late]\nk = 1\n");
    let lines =
        ["x", "x.b", "x.none", "y.z", "y.late.k", "y.late.none.more", "none"].map(|path| value.locate(path).line);
    assert_eq!(lines, [Some(1), Some(2), Some(1), Some(5), Some(11), Some(10), None]);
    let lines_of_items = match &value.get("w").unwrap().node {
        Node::Array(tables) => tables.iter().map(|table| table.origin.line).collect(),
        _ => Vec::new(),
    };
    assert_eq!(lines_of_items, [Some(6), Some(8)]);
}

#[test]
fn tables_merge_unless_another_kind_or_preset_is_chosen() {
    for (base, over, expected) in [
        ("a = 1\nb = 2", "b = 3", "a = 1\nb = 3"),
        ("a = [1, 2]", "a = [3]", "a = [3]"),
        ("t = { x = 1, u = { y = 2 } }", "t.u.z = 3", "t = { x = 1, u = { y = 2, z = 3 } }"),
        ("t = { kind = 'p', x = 1 }", "t.y = 2", "t = { kind = 'p', x = 1, y = 2 }"),
        ("t = { kind = 'p', x = 1 }", "t = { kind = 'p', y = 2 }", "t = { kind = 'p', x = 1, y = 2 }"),
        ("t = { kind = 'p', x = 1 }", "t = { kind = 'q', y = 2 }", "t = { kind = 'q', y = 2 }"),
        ("t = { kind = 'p', x = 1 }", "t = 'q'", "t = 'q'"),
        ("t = 'q'", "t = { kind = 'p' }", "t = { kind = 'p' }"),
        ("t = { x = 1 }", "t.kind = 'p'", "t = { x = 1, kind = 'p' }"),
        ("t = { preset = 'p', x = 1 }", "t.preset = 'q'", "t = { preset = 'q' }"),
        ("t = { preset = 'p', x = 1 }", "t.preset = 'p'", "t = { preset = 'p', x = 1 }"),
        ("t = { x = 1 }", "t.preset = 'q'", "t = { preset = 'q' }"),
    ] {
        let changed = parse(base).overlay(parse(over));
        assert_eq!(changed.to_json(), parse(expected).to_json(), "{base} ⊕ {over}");
    }
}

#[test]
fn a_value_set_at_a_path_is_there_and_keeps_its_origin() {
    let seven = Value::parse_argument("--set", "7").unwrap();
    let value = parse("a.b = 1\na.c = 2").set("a.b", seven.clone()).set("d.e.f", seven);
    assert_eq!(value.to_json(), parse("a = { b = 7, c = 2 }\nd.e.f = 7").to_json());
    assert_eq!(value.locate("a.b").to_string(), "--set");
    assert_eq!(value.locate("a.c").to_string(), "t:2");
}

#[test]
fn an_argument_is_a_toml_value_or_a_bare_word() {
    let json = |text: &str| Value::parse_argument("--set", text).map(|value| value.to_json().to_string());
    for (text, expected) in [
        ("3", "3"),
        ("1e-3", "0.001"),
        ("true", "true"),
        ("fashion-mnist", "\"fashion-mnist\""),
        ("[1, 2]", "[1,2]"),
        ("{ kind = \"newton\", steps = 2 }", r#"{"kind":"newton","steps":2}"#),
    ] {
        assert_eq!(json(text).as_deref(), Ok(expected), "{text}");
    }
    for text in ["", "a b", "[1", "1 2", "x = 1"] {
        assert!(json(text).is_err(), "{text:?} is {:?}", json(text));
    }
}

#[test]
fn numbers_that_json_lacks_are_not_written() {
    for rate in [f64::NAN, f64::INFINITY] {
        assert!(to_json(&rate).is_err());
    }
    assert_eq!(to_json(&0.1).unwrap(), 0.1);
}

#[test]
fn an_error_remembers_which_key_is_missing() {
    let error = read(&GOOD.replacen("depth = 4\n", "", 1)).unwrap_err();
    assert_eq!(error.missing().as_deref(), Some("wrapped.depth"));
    let error = read(&GOOD.replacen("steps = 3", "stepz = 3", 1)).unwrap_err();
    assert_eq!(error.missing(), None);
}

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![Just(0.0), Just(-0.0), Just(1.0), Just(f64::MIN_POSITIVE), Just(f64::MAX), -1e6..1e6f64]
}

fn shape() -> impl Strategy<Value = Shape> {
    let circle = (number(), any::<bool>()).prop_map(|(radius, filled)| Shape::Circle { radius, filled });
    prop_oneof![Just(Shape::Dot), Just(Shape::Empty {}), circle]
}

prop_compose! {
    fn toy()(
        (steps, rate, offset, name, on) in (0..1usize << 40, number(), any::<i64>(), ".{0,8}", any::<bool>()),
        limit in proptest::option::of(0..9usize),
        betas in [number(), number()],
        sizes in proptest::collection::vec(0..100usize, 0..4),
        colour in prop_oneof![Just(Colour::Red), Just(Colour::DarkBlue)],
        shapes in proptest::collection::vec(shape(), 0..4),
        wrapped in proptest::option::of((shape(), any::<u32>())),
    ) -> Toy {
        let wrapped = wrapped.map(|(shape, depth)| Wrapper::Inner(Inner { shape, depth }));
        Toy { steps, rate, offset, name, on, limit, betas, sizes, colour, shapes, wrapped }
    }
}

/// TOML has no null: what is nothing is left out.
fn to_toml(json: serde_json::Value) -> toml::Value {
    match json {
        serde_json::Value::Object(fields) => fields
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(key, value)| (key, to_toml(value)))
            .collect::<toml::Table>()
            .into(),
        serde_json::Value::Array(items) => items.into_iter().map(to_toml).collect::<Vec<_>>().into(),
        other => toml::Value::try_from(other).unwrap(),
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(toy in toy()) {
        let json = to_json(&toy).unwrap();
        let text = to_toml(json.clone()).to_string();
        let document = format!("toy = {text}");
        let value = Value::parse("t", &document).unwrap();
        let again: Toy = from_value(value.get("toy").unwrap()).unwrap();
        prop_assert_eq!(&again, &toy);
        prop_assert_eq!(to_json(&again).unwrap(), json);
        // Control: another value is written otherwise.
        let other = Toy { steps: toy.steps + 1, ..toy };
        prop_assert_ne!(to_json(&other).unwrap(), to_json(&again).unwrap());
    }

    #[test]
    fn no_text_makes_it_panic(text in "[ -~\n]{0,60}", pieces in proptest::collection::vec(piece(), 0..12)) {
        for text in [text, pieces.concat()] {
            let _ = Value::parse_argument("t", &text);
            if let Ok(value) = Value::parse("t", &text) {
                let _ = from_value::<Toy>(&value).map_err(|error| error.to_string());
                let _ = value.clone().overlay(value.clone()).set("a.b", value).to_json();
            }
        }
    }

    #[test]
    fn a_mutated_file_is_read_or_refused(at in 0..GOOD.len(), with in "[ -~\n]{0,3}") {
        let mut text = GOOD.to_owned();
        text.replace_range(at..=at, &with);
        let _ = read(&text).map_err(|error| error.to_string());
    }

    #[test]
    fn overlaying_twice_is_overlaying_once(base in table(), over in table()) {
        let once = parse(&base).overlay(parse(&over));
        prop_assert_eq!(once.clone().overlay(parse(&over)), once);
    }
}

fn piece() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(vec![
        "a",
        "b",
        ".",
        " = ",
        "1",
        "-1",
        "0x1f",
        "1.5",
        "nan",
        "inf",
        "\"s\"",
        "'",
        "[",
        "]",
        "[[",
        "]]",
        "{",
        "}",
        ",",
        "\n",
        "kind",
        "preset",
        "true",
        "1979-05-27",
        "99999999999999999999",
        "#",
        "\"\"\"",
        "\\u00e9",
        "é",
    ])
}

fn table() -> impl Strategy<Value = String> {
    let entry = (
        proptest::sample::select(vec!["a", "t.x", "t.kind", "t.preset", "t.u.kind", "t.u.y", "s"]),
        proptest::sample::select(vec!["1", "'p'", "'q'", "[1]"]),
    );
    proptest::collection::btree_map(entry.0, entry.1, 0..7)
        .prop_map(|entries| entries.iter().map(|(key, value)| format!("{key} = {value}\n")).collect())
}
