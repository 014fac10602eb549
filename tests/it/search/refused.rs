//! What cannot be a search, and what the message says.

use super::{SEARCH, plan};

#[test]
fn what_cannot_be_a_search_is_refused() {
    let message = |from: &str, to: &str| plan(&SEARCH.replace(from, to), None).unwrap_err();
    let ranges = [
        (
            "from = 1e-4, to = 1.0",
            "from = 1.0, to = 1.0",
            "is 1 to 1, but a range goes from a finite number to a larger one",
        ),
        ("from = 1e-4", "from = 0", "is 0 to 1, but a range goes from a number above 0 on a log scale"),
        ("from = 1e-4", "form = 1e-4", "unknown key `form` in `search.space.schedule.lr`\nhint: did you mean `from`?"),
        ("\"log\"", "\"logarithmic\"", "unknown name `logarithmic` in `search.space.schedule.lr.scale`"),
        (
            "update.momentum\" = [0.0, 0.5, 0.9]",
            "update.decay_from\" = { from = 8, to = 64 }",
            "expected a whole number that is not negative\nhint: a list of whole numbers is meant: \"optimizer.update.decay_from\" = [8, 16, 32]",
        ),
        (
            "{ from = 1e-4, to = 1.0, scale = \"log\" }",
            "0.1",
            "`search.space.schedule.lr` is `0.1`, expected a range or an array",
        ),
        (
            "from = 1e-4",
            "arms = [\"sgdd\"], from = 1e-4",
            "`search.space.schedule.lr` is for the arm `sgdd`, which there is not\nhint: did you mean `sgd`?",
        ),
        (
            "from = 1e-4",
            "arms = [\"other\"], from = 1e-4",
            "`search.space.schedule.lr` is for the arm `other`, which there is not\nhint: arms are `sgd`, `adamw`",
        ),
        ("from = 1e-4", "arms = 1, from = 1e-4", "`search.space.schedule.lr.arms`"),
        (
            "[0.0, 0.5, 0.9]",
            "{ values = [0.0], vaules = [1] }",
            "unknown key `values` in `search.space.optimizer.update",
        ),
        ("[0.0, 0.5, 0.9]", "[]", "`search.space.optimizer.update.momentum` has no values"),
        (
            "update.momentum",
            "update.momentm",
            "no arm has the searched key `optimizer.update.momentm`\nhint: did you mean",
        ),
    ];
    let rest = [
        (
            ", validation = 100",
            "",
            "arm `sgd` has no validation images, which a search chooses by\nhint: data.validation = ",
        ),
        ("trials = 3", "trials = 0", "x.toml:17: `search.trials` must be from 1 to 10000 (got 0)"),
        ("[11, 12]", "[]", "x.toml:18: `search.rerun` has no seeds"),
        ("[11, 12]", "[11, 1]", "must have fresh seeds only (got 1, which configurations are chosen with)"),
        ("[11, 12]", "[11, 11]", "`search.rerun` has 11 twice"),
        ("halton", "sobol", "unknown name `sobol` in `search.kind`"),
        ("trials", "trails", "unknown key `trails` in `search`\nhint: did you mean `trials`?"),
        ("[search]", "[sweep]\nseed = [1]\n[search]", "`seed` is given beside a search, which has seeds of its own"),
        ("epochs = 2", "epochs = 2\nseed = 3", "`seed` is given beside a search"),
        ("[search]", "[sweep]\n\"schedule.lr\" = [1]\n[search]", "`schedule.lr` is both swept and searched"),
    ];
    let bases = [
        ("trials = 3", "trials = 3\nbase = 3", "`search.base` is `3`, expected a table"),
        ("trials = 3", "trials = 3\nbase = { seed = 3 }", "x.toml:18: `search.base` sets `seed`, which is varied"),
        ("trials = 3", "trials = 3\nbase = { schedule.lr = 3 }", "`search.base` sets `schedule.lr`, which is varied"),
        ("trials = 3", "trials = 3\nbase = { epoch = 3 }", "unknown key `epoch`\nhint: did you mean `epochs`?"),
    ];
    for (from, to, expected) in ranges.into_iter().chain(rest).chain(bases) {
        assert!(message(from, to).contains(expected), "{}", message(from, to));
    }
    let other = SEARCH.replace("name = \"adamw\"", "name = \"adamw\"\nbatch = 32");
    let base = "trials = 3\nbase = { optimizer = { preset = \"sgd\" } }";
    let keys = plan(&other.replace("trials = 3", base), None).unwrap_err();
    assert!(keys.contains("x.toml:19: `search.base` gives arms other keys than they are run with"), "{keys}");
    let none = SEARCH.split("[search.space]").next().unwrap();
    assert!(plan(none, None).unwrap_err().contains("missing key `space` in `search`"));
    assert!(plan(SEARCH, Some(3)).unwrap_err().contains("`--seeds` asks for 3, but `search.rerun` has 2"));
    assert!(plan(SEARCH, Some(2)).is_ok());
}
