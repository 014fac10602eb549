//! Dashes on a terminal: the value of what was swept, as in the figures.

/// Dots that are drawn and left out in turn, by point of the sweep; none of a solid line.
const DASHES: [&[f64]; 5] = [&[], &[6.0, 4.0], &[1.0, 2.5], &[6.0, 3.0, 1.0, 3.0], &[12.0, 4.0]];

/// The same as a single character.
const SIGNS: [&str; 5] = ["■", "╍", "┈", "┅", "╺"];

/// What stands for the line of a point of the sweep, counted from 0.
pub const fn sign(point: usize) -> &'static str {
    SIGNS[point % SIGNS.len()]
}

/// The dots of such a line through `points`, at `scale` dots per unit along both axes; `None` of a solid line.
pub fn dots(points: &[(f64, f64)], point: usize, scale: (f64, f64)) -> Option<Vec<(f64, f64)>> {
    let pattern = DASHES[point % DASHES.len()];
    let period: f64 = pattern.iter().sum();
    if period == 0.0 {
        return None;
    }
    let is_drawn = |along: f64| {
        let mut left = along % period;
        let part = pattern.iter().position(|length| {
            left -= length;
            left < 0.0
        });
        part.is_none_or(|part| part % 2 == 0)
    };
    let (mut dots, mut along) = (points.first().copied().into_iter().collect::<Vec<_>>(), 0.0);
    for pair in points.windows(2) {
        let &[(x, y), (next_x, next_y)] = pair else { continue };
        let (right, up) = (next_x - x, next_y - y);
        let length = (right * scale.0).hypot(up * scale.1);
        let count = length.ceil().clamp(1.0, MOST) as usize;
        let share = |i: usize| i as f64 / count as f64;
        let drawn = (1..=count).filter(|&i| is_drawn(along + share(i) * length));
        dots.extend(drawn.map(|i| (x + share(i) * right, y + share(i) * up)));
        along += length;
    }
    Some(dots)
}

/// More dots than a segment has on any terminal.
const MOST: f64 = 10_000.0;

#[cfg(test)]
mod tests {
    use super::{DASHES, SIGNS, dots};

    #[test]
    fn dashes_leave_out_their_share_and_solid_lines_nothing() {
        let line = [(0.0, 0.0), (1.0, 0.0), (2.0, 1.0)];
        assert_eq!(dots(&line, 0, (50.0, 50.0)), None);
        for (point, dashes) in DASHES.iter().enumerate().skip(1) {
            let drawn = dots(&line, point, (50.0, 50.0)).unwrap();
            let share = drawn.len() as f64 / 121.0;
            let wanted = dashes.iter().step_by(2).sum::<f64>() / dashes.iter().sum::<f64>();
            assert!((share - wanted).abs() < 0.15, "{point}: {share} of {wanted}");
            assert_eq!(drawn[0], line[0]);
        }
        assert_eq!(dots(&line[..1], 1, (50.0, 50.0)), Some(vec![(0.0, 0.0)]));
        assert_eq!(dots(&[], 1, (50.0, 50.0)), Some(Vec::new()));
        let mut signs = SIGNS.to_vec();
        signs.dedup();
        assert_eq!(signs.len(), DASHES.len());
    }
}
