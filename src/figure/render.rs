//! Figures and tables as files.

use std::fs;
use std::path::{Path, PathBuf};

use super::ink::style::PAGE;
use super::ink::{Theme, pdf, svg, write_png};
use super::{ALL, Data, Error, Figure, Tables, View, draw};
use crate::catalog;

/// How figures are drawn.
#[derive(Debug, Clone, Copy)]
pub struct Style {
    /// In points: [`PAGE`] or [`COLUMN`].
    pub width: f64,
    pub theme: Theme,
}

impl Default for Style {
    fn default() -> Self {
        Self { width: PAGE, theme: Theme::Light }
    }
}

/// The folder for what is drawn, within a folder of results. pandas and pyarrow skip names that begin like this when they read a folder as one
/// data set.
pub const FOLDER: &str = "_figures";

/// Draws the named figures, or all that have something to show if none is named, into `folder` as SVG, PDF and PNG, and the table beside them.
/// Returns what was written. Other widths, themes and views have other names, so that none overwrites another.
pub fn render(folder: &Path, data: &Data, names: &[String], style: Style) -> Result<Vec<PathBuf>, Error> {
    let figures = select(names)?;
    fs::create_dir_all(folder).map_err(|source| Error::Write { path: folder.to_owned(), source })?;
    let mut drawn = Vec::with_capacity(figures.len());
    for figure in figures {
        drawn.push((figure.entry().name, draw(figure, data, style.width)?));
    }
    if names.is_empty() {
        let first = drawn.iter().position(|(_, canvas)| canvas.notice.is_none()).unwrap_or_default();
        let first = drawn[first].0;
        drawn.retain(|(name, canvas)| *name == first || canvas.notice.is_none());
    }
    let mut written = Vec::new();
    for (name, canvas) in drawn {
        let file = |extension: &str| folder.join(format!("{name}{}.{extension}", suffix(style, data.view)));
        write(file("svg"), svg(&canvas, style.theme).as_bytes(), &mut written)?;
        let path = file("pdf");
        let document = pdf(&canvas, style.theme).map_err(|source| Error::Ink { path: path.clone(), source })?;
        write(path, &document, &mut written)?;
        let path = file("png");
        write_png(&canvas, style.theme, &path).map_err(|source| Error::Ink { path: path.clone(), source })?;
        written.push(path);
    }
    let failed = |source| Error::Query { figure: "table", source };
    let table = Tables::new(data).map_err(failed)?;
    write(folder.join("table.md"), table.markdown().as_bytes(), &mut written)?;
    write(folder.join("table.csv"), table.csv().map_err(failed)?.as_bytes(), &mut written)?;
    if names.is_empty() {
        remove_stale(folder, &suffix(style, data.view), &written)?;
    }
    Ok(written)
}

/// Removes figures of an earlier drawing that these results have no more: whoever opens the folder sees one state of it.
fn remove_stale(folder: &Path, suffix: &str, written: &[PathBuf]) -> Result<(), Error> {
    let files = |figure: &&dyn Figure| {
        let name = figure.entry().name;
        ["svg", "pdf", "png"].map(|end| folder.join(format!("{name}{suffix}.{end}")))
    };
    let all = ALL.iter().flat_map(files);
    for path in all.filter(|path| !written.contains(path)) {
        match fs::remove_file(&path) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => return Err(Error::Write { path, source }),
            _ => {}
        }
    }
    Ok(())
}

/// What tells the files of this style and view from those of the usual ones.
fn suffix(style: Style, view: View) -> String {
    let parts = [
        (style.width < PAGE, "-column"),
        (style.theme == Theme::Dark, "-dark"),
        (view.all, "-all"),
        (view.error, "-error"),
    ];
    parts.iter().filter(|(is_so, _)| *is_so).map(|(_, part)| *part).collect()
}

fn select(names: &[String]) -> Result<Vec<&'static dyn Figure>, Error> {
    if names.is_empty() {
        return Ok(ALL.to_vec());
    }
    let known: Vec<&'static str> = ALL.iter().map(|figure| figure.entry().name).collect();
    let find = |name: &String| {
        ALL.iter().copied().find(|figure| figure.entry().name == name).ok_or_else(|| {
            let hint = match catalog::nearest(name, known.iter().copied()) {
                Some(nearest) => format!("did you mean `{nearest}`?"),
                None => format!("there are `{}`", known.join("`, `")),
            };
            Error::Unknown { name: name.clone(), hint }
        })
    };
    names.iter().map(find).collect()
}

fn write(path: PathBuf, content: &[u8], written: &mut Vec<PathBuf>) -> Result<(), Error> {
    fs::write(&path, content).map_err(|source| Error::Write { path: path.clone(), source })?;
    written.push(path);
    Ok(())
}
