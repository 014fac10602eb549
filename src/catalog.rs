//! What can be chosen by name: data sets, models, presets, inverters, figures.
//!
//! Each kind keeps one catalog beside its code. `list`, the hint after a misspelt name and the shared tests read it, so a new
//! thing is listed, suggested and tested because it is there.

/// One thing that a user can name.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// The name in a TOML file or on the command line.
    pub name: &'static str,
    /// One line of help.
    pub help: &'static str,
    /// How it is written in an experiment file.
    pub example: &'static str,
}

/// The name among `known` that `wrong` was most likely meant to be, if any is near enough to be worth a hint.
pub fn nearest<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|name| (strsim::jaro_winkler(&wrong.to_lowercase(), &name.to_lowercase()), name))
        .filter(|&(similarity, _)| similarity > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_misspelt_name_is_recognised_and_an_unrelated_one_is_not() {
        let known = ["newton", "cholesky", "eigen"];
        assert_eq!(nearest("cholesy", known), Some("cholesky"));
        assert_eq!(nearest("Newton", known), Some("newton"));
        assert_eq!(nearest("EIGEN", known), Some("eigen"));
        assert_eq!(nearest("xyz", known), None);
    }
}
