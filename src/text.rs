//! Characters that are text: what every output can show, and what breaks a line, a document or a terminal.

use std::ffi::OsStr;
use std::fmt::Write as _;

use unicode_width::UnicodeWidthStr;

/// Whether every output shows this character as itself: it is no control, breaks no line, turns no direction, and XML 1.0 takes it.
#[must_use]
pub fn is_plain(c: char) -> bool {
    let turns = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    !(c.is_control() || turns || matches!(c, '\u{2028}' | '\u{2029}' | '\u{fffe}' | '\u{ffff}'))
}

/// `1 trial`, `2 trials`.
#[must_use]
pub fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// How many columns of a terminal a text takes: most characters one, Chinese ones and emoji two, accents that combine none.
#[must_use]
pub fn width(text: &str) -> usize {
    text.width()
}

/// The text, and blanks behind it up to so many columns.
#[must_use]
pub fn left(text: &str, columns: usize) -> String {
    format!("{text}{}", blanks(text, columns))
}

/// The text, and blanks before it up to so many columns.
#[must_use]
pub fn right(text: &str, columns: usize) -> String {
    format!("{}{text}", blanks(text, columns))
}

fn blanks(text: &str, columns: usize) -> String {
    " ".repeat(columns.saturating_sub(width(text)))
}

/// The text in lines of at most so many columns, broken at blanks; a longer word has a line of its own.
#[must_use]
pub fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if width(line) + 1 + width(word) <= columns => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// `48 s`, `12 min 05 s`, `3 h 20 min`, `2 d 4 h`.
#[must_use]
pub fn span(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    let (minutes, hours, days) = (whole / 60, whole / 3600, whole / 86400);
    match whole {
        ..60 => format!("{whole} s"),
        60..3600 => format!("{minutes} min {:02} s", whole % 60),
        3600..86400 => format!("{hours} h {:02} min", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}

/// The text with a replacement character for each that is not plain, for outputs.
#[must_use]
pub fn plain(text: &str) -> String {
    text.chars().map(|c| if is_plain(c) { c } else { char::REPLACEMENT_CHARACTER }).collect()
}

/// The text with each character that is not plain spelled out, for messages.
#[must_use]
pub fn spelled(text: &str) -> String {
    text.chars().fold(String::new(), |mut all, c| {
        // Writing to a string cannot fail.
        let _ = if is_plain(c) { all.write_char(c) } else { write!(all, "{}", c.escape_default()) };
        all
    })
}

/// A file's name, its bytes spelled out where they are no UTF-8: two names are two texts.
#[must_use]
pub fn name(name: &OsStr) -> String {
    name.to_str().map_or_else(|| name.as_encoded_bytes().escape_ascii().to_string(), str::to_owned)
}

/// Paths in messages.
pub trait Shown {
    /// The path as one line of plain text: what steers a terminal is spelled out, as are bytes that are no UTF-8.
    fn shown(&self) -> String;
}

impl<T: AsRef<OsStr> + ?Sized> Shown for T {
    fn shown(&self) -> String {
        spelled(&name(self.as_ref()))
    }
}

/// A word of the shell, in plain text even where the word is not: bash reads `$'\xff'` as that byte.
#[must_use]
pub fn shell(word: impl AsRef<OsStr>) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || "/._-=:,%+@".contains(c);
    match word.as_ref().to_str() {
        Some(text) if !text.is_empty() && text.chars().all(is_bare) => text.to_owned(),
        Some(text) if text.chars().all(is_plain) => format!("'{}'", text.replace('\'', r"'\''")),
        _ => format!("$'{}'", word.as_ref().as_encoded_bytes().escape_ascii()),
    }
}

/// The start of a text that takes at most so many bytes.
#[must_use]
pub fn cut(text: &str, bytes: usize) -> &str {
    let end = (0..=bytes.min(text.len())).rev().find(|&end| text.is_char_boundary(end));
    &text[..end.unwrap_or_default()]
}

#[cfg(test)]
mod tests {
    use super::{Shown, cut, is_plain, left, plain, right, shell, spelled, width, wrapped};
    use proptest::prelude::*;
    use std::ffi::OsStr;
    use std::path::Path;

    #[test]
    fn names_of_many_scripts_are_plain_and_what_steers_a_terminal_is_not() {
        assert!("µ-law λ=10⁻⁴ 学习率 عربي 🚀 e\u{301}".chars().all(is_plain));
        for c in ['\0', '\u{1b}', '\n', '\u{7f}', '\u{9b}', '\u{202e}', '\u{2028}', '\u{ffff}'] {
            assert!(!is_plain(c), "{c:?}");
        }
        assert_eq!(spelled("a\u{1b}[31mred\n"), "a\\u{1b}[31mred\\n");
        assert_eq!(plain("two\nlines"), "two\u{fffd}lines");
    }

    #[test]
    fn wide_characters_take_two_columns_and_accents_none() {
        for (text, columns) in [("nkfac", 5), ("学习率", 6), ("🙂", 2), ("e\u{301}", 1), ("10⁻⁴", 4), ("µ ± σ", 5)]
        {
            assert_eq!(width(text), columns, "{text}");
            assert_eq!((width(&left(text, 8)), width(&right(text, 8))), (8, 8), "{text}");
            assert_eq!(left(text, 1), text);
        }
    }

    proptest! {
        #[test]
        fn wrapped_lines_have_the_same_words_and_no_room_for_the_next(text in "[a-z漢]{1,9}( [a-z漢]{1,9}){0,12}", columns in 1..30usize) {
            let lines = wrapped(&text, columns);
            prop_assert_eq!(lines.join(" "), text);
            for pair in lines.windows(2) {
                let next = pair[1].split(' ').next().unwrap();
                prop_assert!(width(&pair[0]) + 1 + width(next) > columns);
            }
            prop_assert!(lines.iter().all(|line| width(line) <= columns || !line.contains(' ')));
        }

        #[test]
        fn a_path_is_shown_in_one_plain_line(path in any::<String>()) {
            let shown = Path::new(&path).shown();
            prop_assert!(shown.chars().all(is_plain));
            // Control: what is plain is shown as it is.
            prop_assert!(shown == path || !path.chars().all(is_plain));
        }

        #[test]
        fn bash_reads_a_word_back(word in prop::collection::vec(1u8.., 0..12)) {
            let bash = |word: &OsStr| {
                let script = format!("printf %s {}", shell(word));
                assert!(script.chars().all(is_plain), "{script}");
                std::process::Command::new("bash").args(["-c", &script]).output().unwrap().stdout
            };
            let text = String::from_utf8_lossy(&word).into_owned();
            prop_assert_eq!(bash(text.as_ref()), text.as_bytes());
            #[cfg(unix)]
            prop_assert_eq!(bash(std::os::unix::ffi::OsStrExt::from_bytes(word.as_slice())), word);
        }

        #[test]
        fn a_cut_text_starts_as_the_whole_and_is_as_long_as_it_may_be(text in any::<String>(), bytes in 0..40usize) {
            let start = cut(&text, bytes);
            prop_assert!(text.starts_with(start) && start.len() <= bytes);
            prop_assert!(start.len() == text.len() || start.len() + 4 > bytes);
        }
    }
}
