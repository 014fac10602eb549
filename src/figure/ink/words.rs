//! How wide texts are, and texts cut or broken to fit.

use super::font::{SIZE_PER_EM, font};
use super::style::TEXT;

/// The width of a text in the usual size.
#[must_use]
pub fn text_width(text: &str) -> f64 {
    // Layouts are in whole pixels: measured large, they are exact enough.
    const LARGE: f64 = 1000.0;
    let ems = match font(LARGE * SIZE_PER_EM).layout_box(text) {
        Ok(((left, _), (right, _))) => f64::from(right - left) / LARGE,
        Err(_) => 0.6 * text.chars().count() as f64,
    };
    ems * TEXT
}

/// A text cut to at most this width, where need be with an ellipsis in place of the middle. Of a label such as `nkfac, damping.factor = 0.1` names of
/// arm and keys are cut, never a value, as long as there is room for all values.
#[must_use]
pub fn fit(text: &str, width: f64) -> String {
    if text_width(text) <= width {
        return text.to_owned();
    }
    let parts: Vec<(&str, &str)> = text.split(", ").map(name_and_value).collect();
    let cut = |kept: usize| {
        let part = |(name, value): &(&str, &str)| middle(name, kept) + value;
        parts.iter().map(part).collect::<Vec<_>>().join(", ")
    };
    let longest_name = parts.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
    let kept = longest(longest_name, |kept| text_width(&cut(kept)) <= width);
    if kept > 1 {
        return cut(kept);
    }
    middle(text, longest(text.chars().count(), |kept| text_width(&middle(text, kept)) <= width))
}

/// `lr = 0.1` apart, at its last sign of equality; a text without a value is all name.
fn name_and_value(part: &str) -> (&str, &str) {
    part.rfind(" = ").map_or((part, ""), |place| part.split_at(place))
}

/// A text of at most so many characters, the ellipsis in place of its middle not counted.
fn middle(text: &str, kept: usize) -> String {
    let all: Vec<char> = text.chars().collect();
    if all.len() <= kept + 1 {
        return text.to_owned();
    }
    let (start, end) = (kept.div_ceil(2), all.len() - kept / 2);
    all[..start].iter().chain(&['…']).chain(&all[end..]).collect()
}

/// The largest number up to `most` that fits, given that less fits better; 0 if none does.
fn longest(most: usize, fits: impl Fn(usize) -> bool) -> usize {
    let (mut kept, mut over) = (0, most + 1);
    while kept + 1 < over {
        let middle = usize::midpoint(kept, over);
        if fits(middle) { kept = middle } else { over = middle }
    }
    kept
}

/// Texts cut to at most this width that are still told apart, where need be by a number.
#[must_use]
pub fn fit_apart(texts: &[String], width: f64) -> Vec<String> {
    let fitted: Vec<String> = texts.iter().map(|text| fit(text, width)).collect();
    let number = |(i, text): (usize, &String)| {
        let is_alike = |(other, cut): (&String, &String)| other != text && *cut == fitted[i];
        if !texts.iter().zip(&fitted).any(is_alike) {
            return fitted[i].clone();
        }
        let first = texts.iter().position(|other| other == text).unwrap_or(i);
        let number = format!(" [{}]", first + 1);
        fit(text, width - text_width(&number)) + &number
    };
    texts.iter().enumerate().map(number).collect()
}

/// A text in lines of at most this width, broken between words, or within those that are longer.
#[must_use]
pub fn wrap(text: &str, width: f64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace().flat_map(|word| pieces(word, width)) {
        let longer = lines.last().map(|line| format!("{line} {word}")).filter(|line| text_width(line) <= width);
        match (lines.last_mut(), longer) {
            (Some(last), Some(longer)) => *last = longer,
            _ => lines.push(word),
        }
    }
    lines
}

/// A word in pieces of at most this width.
fn pieces(word: &str, width: f64) -> Vec<String> {
    let mut pieces = vec![String::new()];
    for c in word.chars() {
        match pieces.last_mut() {
            Some(last) if last.is_empty() || text_width(&format!("{last}{c}")) <= width => last.push(c),
            _ => pieces.push(c.into()),
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::{fit, fit_apart, text_width};

    #[test]
    fn names_are_cut_in_the_middle_and_values_never() {
        let label =
            "AdamW with decoupled decay, schedule.learning_rate = 0.00123, optimizer.precondition.inverter = newton";
        for width in [150.0, 200.0, 250.0] {
            let cut = fit(label, width);
            assert!(text_width(&cut) <= width && cut.starts_with('A'), "{cut}");
            assert!(cut.contains(" = 0.00123, ") && cut.ends_with(" = newton"), "{cut}");
        }
        assert_eq!(fit("sgd, lr = 0.1", 200.0), "sgd, lr = 0.1");
        assert!(text_width(&fit(label, 30.0)) <= 30.0, "control: without room for values something is left");
        let same = ["x".repeat(99), "x".repeat(98), "y".into()];
        let apart = fit_apart(&same, 60.0);
        assert!(apart[0] != apart[1] && apart[2] == "y", "{apart:?}");
    }
}
