//! From numbers to places along an axis, and the ticks that a reader would have chosen.

use crate::stats::quantile;

/// The most ticks that look well along an axis.
const TICKS: f64 = 6.0;

/// The same for the powers of ten along a logarithmic axis.
const DECADES: usize = 10;

/// How much longer an axis is than its data, so that the last mark is inside.
const AIR: f64 = 1.02;

/// An axis' range and its ticks.
#[derive(Debug, Clone, PartialEq)]
pub struct Scale {
    low: f64,
    high: f64,
    logarithmic: bool,
    pub ticks: Vec<Tick>,
}

/// A value with a grid line and a label.
#[derive(Debug, Clone, PartialEq)]
pub struct Tick {
    pub value: f64,
    pub label: String,
}

impl Scale {
    /// From zero to the largest of `values`, with a little air.
    #[must_use]
    pub fn from_zero(values: &[f64]) -> Self {
        let (_, largest) = range(values);
        let high = if largest > 0.0 { AIR * largest } else { 1.0 };
        Self::linear(0.0, high, nice_step(high / AIR))
    }

    /// From zero to `largest` and a little air, with ticks at whole numbers only.
    #[must_use]
    pub fn counts(largest: f64) -> Self {
        let high = AIR * largest.max(1.0);
        Self::linear(0.0, high, nice_step(high / AIR).max(1.0))
    }

    /// `count` rows from top to bottom, without ticks.
    #[must_use]
    pub const fn rows(count: usize) -> Self {
        Self { low: 0.0, high: count as f64, logarithmic: false, ticks: Vec::new() }
    }

    /// Around `values`, with a little air.
    #[must_use]
    pub fn around(values: &[f64]) -> Self {
        let (low, high) = range(values);
        let air = if high > low { 2.0 * (AIR - 1.0) * (high - low) } else { (0.05 * high.abs()).max(1e-3) };
        Self::linear(low - air, high + air, nice_step(high - low + 2.0 * air))
    }

    /// Around most of `values`: what lies three times the middle half's range beyond it, and so would crush everything else, is left outside.
    #[must_use]
    pub fn most(values: &[f64]) -> Self {
        let finite: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
        let [low, high] = [0.25, 0.75].map(|share| quantile(&finite, share));
        let reach = 3.0 * (high - low);
        let inside: Vec<f64> =
            finite.iter().copied().filter(|value| (low - reach..=high + reach).contains(value)).collect();
        Self::around(if reach > 0.0 { &inside } else { &finite })
    }

    /// Around `values`; logarithmic if all are positive and span more than a factor of ten.
    #[must_use]
    pub fn fitting(values: &[f64]) -> Self {
        if is_wide(values) { Self::logarithmic(values) } else { Self::around(values) }
    }

    /// Around those of `values` that are above zero, logarithmic.
    #[must_use]
    pub fn logarithmic(values: &[f64]) -> Self {
        let positive: Vec<f64> = values.iter().copied().filter(|value| *value > 0.0).collect();
        let (low, high) = range(&positive);
        if !(low > 0.0 && high > 1.01 * low) {
            return Self::around(values);
        }
        let air = (high / low).powf(2.0 * (AIR - 1.0));
        let (low, high) = (low / air, high * air);
        let mantissas: &[f64] = if high / low < 1e3 { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let decades = low.log10().floor() as i32..=high.log10().floor() as i32;
        let every = decades.clone().count().div_ceil(DECADES);
        let all = decades
            .step_by(every)
            .flat_map(|decade| mantissas.iter().map(move |mantissa| mantissa * 10f64.powi(decade)));
        let mut ticks: Vec<Tick> = all.filter(|value| (low..=high).contains(value)).map(Tick::plain).collect();
        if ticks.len() < 3 {
            ticks = Self::linear(low, high, nice_step(high - low)).ticks;
        }
        Self { low, high, logarithmic: true, ticks }
    }

    /// The same with ticks at the `values` themselves, which were chosen by somebody.
    #[must_use]
    pub fn at(values: &[f64]) -> Self {
        let mut ticks = values.to_vec();
        ticks.sort_by(f64::total_cmp);
        ticks.dedup();
        Self { ticks: ticks.into_iter().map(Tick::plain).collect(), ..Self::fitting(values) }
    }

    fn linear(low: f64, high: f64, step: f64) -> Self {
        let decimals = (-step.log10().floor()).max(0.0) as usize;
        let first = (low / step).ceil() as i64;
        let last = (high / step * (1.0 + 1e-12)).floor() as i64;
        let tick = |i: i64| {
            let value = i as f64 * step;
            Tick { value, label: format!("{value:.decimals$}") }
        };
        Self { low, high, logarithmic: false, ticks: (first..=last).map(tick).collect() }
    }

    /// The upper end.
    #[must_use]
    pub const fn high(&self) -> f64 {
        self.high
    }

    /// Whether `value` is beyond the lower end (less than 0), beyond the upper one (more than 0), or between them.
    #[must_use]
    pub fn beyond(&self, value: f64) -> i8 {
        i8::from(value > self.high) - i8::from(value < self.low)
    }

    /// Where `value` is between the ends: 0 at the lower, 1 at the upper, and at an end for what is beyond.
    #[must_use]
    pub fn place(&self, value: f64) -> f64 {
        self.place_of(value.clamp(self.low, self.high))
    }

    /// The same without an end; nowhere for what a logarithmic axis cannot show.
    #[must_use]
    pub fn place_of(&self, value: f64) -> f64 {
        let map = |value: f64| if self.logarithmic { value.ln() } else { value };
        (map(value) - map(self.low)) / (map(self.high) - map(self.low))
    }
}

impl Tick {
    fn plain(value: f64) -> Self {
        Self { value, label: number(value) }
    }
}

/// A number as short as it is exact; with a power of ten where that is easier to read.
#[must_use]
pub fn number(value: f64) -> String {
    // Powers of ten made by multiplication end in rounding.
    exact(format!("{value:.9e}").parse().unwrap_or(value))
}

/// The same with all digits, for values that somebody chose: no two of them look alike.
#[must_use]
pub fn exact(value: f64) -> String {
    if value == 0.0 || (1e-3..1e5).contains(&value.abs()) {
        return value.to_string();
    }
    let scientific = format!("{value:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: String = exponent.chars().filter_map(superscript).collect();
    if mantissa == "1" { format!("10{exponent}") } else { format!("{mantissa}×10{exponent}") }
}

/// A number as [`exact`] writes it or as one types it: `1.5×10⁻⁴`, `10⁻⁷`, `1e-7`, `0.5`.
#[must_use]
pub fn parse(text: &str) -> Option<f64> {
    let start = text.find(|c| lowered(c).is_some()).unwrap_or(text.len());
    let exponent: String = text[start..].chars().map(lowered).collect::<Option<_>>()?;
    let digits = match text[..start].strip_suffix("10") {
        Some(mantissa) if !exponent.is_empty() => {
            let mantissa = if mantissa.is_empty() { "1" } else { mantissa.strip_suffix('×')? };
            format!("{mantissa}e{exponent}")
        }
        _ => text.to_owned(),
    };
    digits.parse().ok()
}

fn lowered(c: char) -> Option<char> {
    "0123456789-".chars().find(|&digit| superscript(digit) == Some(c))
}

fn superscript(digit: char) -> Option<char> {
    match digit {
        '-' => Some('⁻'),
        _ => "⁰¹²³⁴⁵⁶⁷⁸⁹".chars().nth(digit.to_digit(10)? as usize),
    }
}

/// 1, 2 or 5 times a power of ten, such that about [`TICKS`] fit into `span`.
fn nice_step(span: f64) -> f64 {
    let least = span / TICKS;
    let decade = 10f64.powf(least.log10().floor());
    let step = [1.0, 2.0, 5.0].into_iter().map(|mantissa| mantissa * decade).find(|&step| step >= least);
    step.unwrap_or(10.0 * decade)
}

fn range(values: &[f64]) -> (f64, f64) {
    let finite = || values.iter().copied().filter(|value| value.is_finite());
    match finite().next() {
        None => (0.0, 1.0),
        Some(_) => (finite().fold(f64::INFINITY, f64::min), finite().fold(f64::NEG_INFINITY, f64::max)),
    }
}

fn is_wide(values: &[f64]) -> bool {
    let (low, high) = range(values);
    low > 0.0 && high > 10.0 * low
}

#[cfg(test)]
mod tests {
    use super::{Scale, exact, number, parse};
    use proptest::prelude::*;

    fn labels(scale: &Scale) -> String {
        scale.ticks.iter().map(|tick| tick.label.as_str()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn ticks_are_the_ones_a_reader_would_choose() {
        assert_eq!(labels(&Scale::from_zero(&[0.6])), "0.0 0.1 0.2 0.3 0.4 0.5 0.6");
        assert_eq!(labels(&Scale::from_zero(&[20.0, 200.0])), "0 50 100 150 200");
        assert_eq!(labels(&Scale::counts(3.0)), "0 1 2 3");
        assert_eq!(labels(&Scale::around(&[0.713, 0.934])), "0.75 0.80 0.85 0.90");
        assert_eq!(labels(&Scale::around(&[5.0, 5.0])), "4.8 4.9 5.0 5.1 5.2");
        assert_eq!(labels(&Scale::fitting(&[0.02, 2.3])), "0.02 0.05 0.1 0.2 0.5 1 2");
        assert_eq!(labels(&Scale::fitting(&[1e-6, 1.0])), "10⁻⁶ 10⁻⁵ 10⁻⁴ 0.001 0.01 0.1 1");
        assert_eq!(labels(&Scale::at(&[200.0, 20.0, 200.0, 1000.0])), "20 200 1000");
        assert_eq!(labels(&Scale::logarithmic(&[2.1, 2.9, 0.0])), "2.2 2.4 2.6 2.8");
    }

    #[test]
    fn one_outlier_does_not_crush_the_others() {
        let values = [87.3, 87.4, 87.5, 88.0, 90.1, 90.2, 27.0];
        let scale = Scale::most(&values);
        assert_eq!((scale.beyond(27.0), scale.beyond(87.3), scale.beyond(99.0)), (-1, 0, 1));
        assert_eq!(Scale::around(&values).beyond(27.0), 0, "control: it is on an axis around all of them");
        assert_eq!(
            Scale::most(&[5.0, 5.0, 5.0, 9.0]).beyond(9.0),
            0,
            "where the others agree there is nothing to crush"
        );
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!(
            [0.1 + 0.2, 3e-5, 1e-7, 123_456.0, -0.5].map(number),
            ["0.3", "3×10⁻⁵", "10⁻⁷", "1.23456×10⁵", "-0.5"]
        );
    }

    proptest! {
        #[test]
        fn chosen_values_look_alike_only_if_they_are_the_same(a in any::<f64>(), steps in 1..4u64) {
            prop_assume!(a.is_normal());
            let next = f64::from_bits(a.to_bits() + steps);
            prop_assert_ne!(exact(a), exact(next));
            prop_assert_eq!(parse(&exact(a)), Some(a));
        }

        #[test]
        fn every_range_has_a_few_ticks_in_ascending_order(a in -1e6..1e6f64, span in 1e-3..1e6f64) {
            let scale = Scale::around(&[a, a + span]);
            prop_assert!((2..=10).contains(&scale.ticks.len()), "{}", labels(&scale));
            let places: Vec<f64> = scale.ticks.iter().map(|tick| scale.place(tick.value)).collect();
            prop_assert!(places.is_sorted() && places.iter().all(|place| (0.0..=1.0).contains(place)));
        }
    }
}
