//! The main table for a paper.

use crate::figure::{Column, Table};
use crate::text::plain;

/// These columns, or all but the interval, as a `tabular` with the rules of `booktabs`: the best in bold, what cannot be told from it, paired by seed, underlined.
pub fn table(table: &Table, keys: &[String]) -> String {
    let columns: Vec<&Column> = match keys {
        [] => table.columns.iter().filter(|column| column.key != "interval").collect(),
        _ => keys.iter().filter_map(|key| table.columns.iter().find(|column| column.key == *key)).collect(),
    };
    let head: Vec<String> = columns.iter().map(|column| escape(&column.head)).collect();
    let rows = (0..table.height()).map(|row| {
        let cells: Vec<String> = columns.iter().map(|column| cell(column, row)).collect();
        format!("{} \\\\\n", cells.join(" & "))
    });
    let disturbed = table.disturbed.as_ref().map(|note| format!("% {}\n", escape(note))).unwrap_or_default();
    format!(
        "{disturbed}% Needs \\usepackage{{booktabs}}. Mean and standard deviation over seeds; bold: best; underlined: no significant difference from it, paired by seed (95 \\%).\n\
         \\begin{{tabular}}{{l{}}}\n\\toprule\n{} \\\\\n\\midrule\n{}\\bottomrule\n\\end{{tabular}}\n",
        "r".repeat(columns.len().saturating_sub(1)),
        head.join(" & "),
        rows.collect::<String>()
    )
}

fn cell(column: &Column, row: usize) -> String {
    let cell = &column.cells[row];
    if column.best.is_none() || cell.mean.is_nan() {
        return escape(&cell.text);
    }
    let number = cell.text.replace('±', "\\pm").replace('†', "^\\dagger");
    match column.best() {
        Some(best) if best == row => format!("$\\mathbf{{{number}}}$"),
        _ if column.is_near(row) => format!("\\underline{{${number}$}}"),
        _ => format!("${number}$"),
    }
}

/// Text in pure ASCII that every LaTeX sets: powers of ten and Greek letters as mathematics, accents as commands, and what LaTeX has no
/// name for by its code point.
fn escape(text: &str) -> String {
    let text: Vec<char> = plain(text).chars().collect();
    let (mut escaped, mut i) = (String::new(), 0);
    while i < text.len() {
        if let Some((power, length)) = power(&text[i..]) {
            escaped += &power;
            i += length;
            continue;
        }
        escaped += &character(text[i], i == 0);
        i += 1;
    }
    escaped
}

/// `1.5×10⁻⁴` or `10⁻⁴` at the start of the text, or a lone exponent, as mathematics, and how many characters it takes.
fn power(text: &[char]) -> Option<(String, usize)> {
    const TIMES: [char; 3] = ['×', '1', '0'];
    let number = text.iter().take_while(|c| c.is_ascii_digit() || **c == '.').count();
    let times = if number > 0 && text[number..].starts_with(&TIMES) { TIMES.len() } else { 0 };
    let base = number + times;
    let exponent: String = text[base..].iter().map_while(|&c| lowered(c)).collect();
    if exponent.is_empty() {
        return None;
    }
    let digits: String = text[..number].iter().collect();
    let times = if times > 0 { "\\times10" } else { "" };
    Some((format!("${digits}{times}^{{{exponent}}}$"), base + exponent.len()))
}

fn lowered(c: char) -> Option<char> {
    let place = "⁰¹²³⁴⁵⁶⁷⁸⁹⁻".chars().position(|superscript| superscript == c)?;
    "0123456789-".chars().nth(place)
}

fn character(c: char, is_first: bool) -> String {
    match c {
        '&' | '%' | '$' | '#' | '_' | '{' | '}' => format!("\\{c}"),
        '\\' => "\\textbackslash{}".into(),
        '~' => "\\textasciitilde{}".into(),
        '^' => "\\textasciicircum{}".into(),
        '<' => "\\textless{}".into(),
        '>' => "\\textgreater{}".into(),
        '|' => "\\textbar{}".into(),
        // Behind the end of a row they would be its option.
        '[' | '*' if is_first => format!("{{{c}}}"),
        _ if c.is_ascii() => c.into(),
        _ => named(TEXT, c).or_else(|| named(MATHS, c).map(|name| format!("${name}$"))).unwrap_or_else(|| accented(c)),
    }
}

/// A letter with its accent; of what LaTeX does not know the code point.
fn accented(c: char) -> String {
    let letter = ACCENTS.iter().find_map(|(accent, letters)| Some(format!("\\{accent}{{{}}}", named(letters, c)?)));
    letter.unwrap_or_else(|| format!("[U+{:04X}]", u32::from(c)))
}

/// What stands behind a character in a list of words.
fn named(words: &str, c: char) -> Option<String> {
    words.split(' ').find_map(|word| word.strip_prefix(c)).map(str::to_owned)
}

const TEXT: &str = concat!(
    "–-- —--- …\\ldots{} ‘` ’' “`` ”'' \u{a0}~ \u{202f}\\, ß\\ss{} ø\\o{} Ø\\O{} å\\aa{} Å\\AA{} æ\\ae{} Æ\\AE{} ",
    "œ\\oe{} Œ\\OE{} ł\\l{} Ł\\L{}"
);

const MATHS: &str = concat!(
    "−- †\\dagger ±\\pm ×\\times ·\\cdot →\\to ∞\\infty ≤\\le ≥\\ge ≠\\ne ≈\\approx √\\surd °^\\circ α\\alpha β\\beta γ\\gamma δ\\delta ",
    "ε\\varepsilon ζ\\zeta η\\eta θ\\theta κ\\kappa λ\\lambda µ\\mu μ\\mu ν\\nu ξ\\xi π\\pi ρ\\rho σ\\sigma τ\\tau φ\\varphi ",
    "χ\\chi ψ\\psi ω\\omega Γ\\Gamma Δ\\Delta Θ\\Theta Λ\\Lambda Π\\Pi Σ\\Sigma Φ\\Phi Ψ\\Psi Ω\\Omega"
);

const ACCENTS: [(char, &str); 7] = [
    ('`', "àa èe ìi òo ùu ÀA ÈE ÌI ÒO ÙU"),
    ('\'', "áa ée íi óo úu ýy ÁA ÉE ÍI ÓO ÚU ÝY ńn śs ćc źz"),
    ('^', "âa êe îi ôo ûu ÂA ÊE ÎI ÔO ÛU"),
    ('"', "äa ëe ïi öo üu ÿy ÄA ËE ÏI ÖO ÜU"),
    ('~', "ãa ñn õo ÃA ÑN ÕO"),
    ('v', "čc šs žz řr ěe ČC ŠS ŽZ ŘR"),
    ('c', "çc ÇC şs ŞS"),
];

#[cfg(test)]
mod tests {
    use super::escape;
    use proptest::prelude::*;

    #[test]
    fn powers_of_ten_are_mathematics() {
        let cases = [
            ("sgd, lr = 10⁻⁴", "sgd, lr = $10^{-4}$"),
            ("lr = 1.5×10⁻⁴, eps = 10¹²", "lr = $1.5\\times10^{-4}$, eps = $10^{12}$"),
            ("x², 3×3, ä λ – 学", "x$^{2}$, 3$\\times$3, \\\"{a} $\\lambda$ -- [U+5B66]"),
            ("[a]_{b}", "{[}a]\\_\\{b\\}"),
        ];
        for (text, expected) in cases {
            assert_eq!(escape(text), expected);
        }
    }

    proptest! {
        #[test]
        fn every_name_is_ascii_in_one_line_with_braces_and_mathematics_closed(name in any::<String>()) {
            let escaped = escape(&name);
            prop_assert!(escaped.is_ascii() && !escaped.contains(|c: char| c.is_ascii_control()), "{}", escaped);
            let (mut depth, mut in_math, mut escape) = (0i64, false, false);
            for c in escaped.chars() {
                match c {
                    _ if escape => escape = false,
                    '\\' => escape = true,
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    '$' => in_math = !in_math,
                    '&' | '%' | '#' => prop_assert!(false, "{} has a bare {}", escaped, c),
                    _ => {}
                }
                prop_assert!(depth >= 0, "{}", escaped);
            }
            prop_assert!(depth == 0 && !in_math, "{}", escaped);
        }
    }
}
