//! Grouped convolution: the channels fall into `groups` of equal size, each convolved by itself.
//!
//! `x` is `N×H×W×C_in`, the weight the matrix `(k·k·C_in/groups) × C_out`; input channels, columns of the weight and output channels belong to
//! the groups in turn, and the geometry counts the channels of all. A group is gathered and goes the way of any convolution; where each
//! channel is a group of its own, [`depthwise`] has nothing to gather.

use rayon::prelude::*;

use super::concat::{concat, narrow};
use super::conv::{self, Engine};
use super::{Geometry, Real, depthwise};

/// `y`, `N×H'×W'×C_out`.
#[must_use]
pub fn forward<T: Real>(engine: Engine, g: &Geometry, groups: usize, x: &[T], weight: &[T]) -> Vec<T> {
    if is_depthwise(g, groups) {
        return depthwise::forward(g, x, weight);
    }
    let each = of_one(g, groups);
    join(groups, each.outputs, |group| {
        let (x, weight) = (nth(x, g.inputs, groups, group), nth(weight, g.outputs, groups, group));
        conv::forward(engine, &each, &x, &weight, None)
    })
}

/// The gradient by `x` of a loss whose gradient by `y` is `dy`.
#[must_use]
pub fn grad_input<T: Real>(engine: Engine, g: &Geometry, groups: usize, dy: &[T], weight: &[T]) -> Vec<T> {
    if is_depthwise(g, groups) {
        return depthwise::grad_input(g, dy, weight);
    }
    let each = of_one(g, groups);
    join(groups, each.inputs, |group| {
        let (dy, weight) = (nth(dy, g.outputs, groups, group), nth(weight, g.outputs, groups, group));
        conv::grad_input(engine, &each, &dy, &weight)
    })
}

/// The gradient by the weight, `(k·k·C_in/groups) × C_out`.
#[must_use]
pub fn grad_weight<T: Real>(engine: Engine, g: &Geometry, groups: usize, x: &[T], dy: &[T]) -> Vec<T> {
    if is_depthwise(g, groups) {
        return depthwise::grad_weight(g, x, dy);
    }
    let each = of_one(g, groups);
    join(groups, each.outputs, |group| {
        let (x, dy) = (nth(x, g.inputs, groups, group), nth(dy, g.outputs, groups, group));
        conv::grad_weight(engine, &each, &x, &dy)
    })
}

const fn is_depthwise(g: &Geometry, groups: usize) -> bool {
    groups == g.inputs && groups == g.outputs
}

/// The geometry of one group's convolution.
const fn of_one(g: &Geometry, groups: usize) -> Geometry {
    Geometry { inputs: g.inputs / groups, outputs: g.outputs / groups, ..*g }
}

/// The part of each row of `channels` that belongs to a group.
fn nth<T: Real>(rows: &[T], channels: usize, groups: usize, group: usize) -> Vec<T> {
    let count = channels / groups;
    narrow(rows, channels, group * count, count)
}

/// Rows of all groups from those of each, `channels` long.
fn join<T: Real>(groups: usize, channels: usize, of_group: impl Fn(usize) -> Vec<T> + Sync + Send) -> Vec<T> {
    let parts: Vec<Vec<T>> = (0..groups).into_par_iter().map(of_group).collect();
    let parts: Vec<&[T]> = parts.iter().map(Vec::as_slice).collect();
    concat(&parts, &vec![channels; groups])
}

#[cfg(test)]
mod tests {
    use super::{Engine, Geometry, conv, forward, grad_input, grad_weight};
    use crate::random::Random;
    use proptest::prelude::*;

    fn random(count: usize, purpose: &str) -> Vec<f64> {
        let mut random = Random::new(1, purpose);
        (0..count).map(|_| random.normal()).collect()
    }

    /// For each number of a grouped weight its place in the weight of a convolution of one group, whose other numbers are zero.
    fn places(g: &Geometry, groups: usize) -> Vec<usize> {
        let (inputs, outputs) = (g.inputs / groups, g.outputs / groups);
        let rows = g.kernel * g.kernel * inputs;
        let place = |at: usize| {
            let (row, output) = (at / g.outputs, at % g.outputs);
            let input = output / outputs * inputs + row % inputs;
            (row / inputs * g.inputs + input) * g.outputs + output
        };
        (0..rows * g.outputs).map(place).collect()
    }

    fn close(ours: &[f64], theirs: &[f64], tolerance: f64) -> bool {
        let scale = theirs.iter().fold(1.0, |scale: f64, x| scale.max(x.abs()));
        ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(a, b)| (a - b).abs() < tolerance * scale)
    }

    fn doubles(values: Vec<f32>) -> Vec<f64> {
        values.into_iter().map(f64::from).collect()
    }

    fn is_one_convolution_with_zeros(g: Geometry, groups: usize) -> Result<(), TestCaseError> {
        let places = places(&g, groups);
        let (x, weight) = (random(g.batch * g.image(), "x"), random(places.len(), "weight"));
        let dy = random(g.pixels() * g.outputs, "dy");
        let mut whole = vec![0.0; g.patch() * g.outputs];
        for (&place, &value) in places.iter().zip(&weight) {
            whole[place] = value;
        }
        let of_whole = conv::grad_weight(Engine::PORTABLE, &g, &x, &dy);
        let theirs = [
            conv::forward(Engine::PORTABLE, &g, &x, &whole, None),
            conv::grad_input(Engine::PORTABLE, &g, &dy, &whole),
            places.iter().map(|&place| of_whole[place]).collect(),
        ];
        let ours = [
            forward(Engine::PORTABLE, &g, groups, &x, &weight),
            grad_input(Engine::PORTABLE, &g, groups, &dy, &weight),
            grad_weight(Engine::PORTABLE, &g, groups, &x, &dy),
        ];
        for (ours, theirs) in ours.iter().zip(&theirs) {
            prop_assert!(close(ours, theirs, 1e-12), "{g:?} in {groups} groups");
        }

        engines_agree(&g, groups, [&x, &weight, &dy], &theirs)
    }

    /// In float32, with results in float64 of the same input, weight and output gradient.
    fn engines_agree(
        g: &Geometry,
        groups: usize,
        numbers: [&[f64]; 3],
        theirs: &[Vec<f64>; 3],
    ) -> Result<(), TestCaseError> {
        let [x, weight, dy] = numbers.map(|values| values.iter().map(|&value| value as f32).collect::<Vec<f32>>());
        for engine in Engine::all() {
            let all = || {
                [
                    forward(engine, g, groups, &x, &weight),
                    grad_input(engine, g, groups, &dy, &weight),
                    grad_weight(engine, g, groups, &x, &dy),
                ]
            };
            let ours = all();
            prop_assert_eq!(&ours, &all(), "the same bits twice");
            for (ours, theirs) in ours.into_iter().zip(theirs) {
                prop_assert!(close(&doubles(ours), theirs, 1e-4), "{engine:?} of {g:?} in {groups} groups");
            }
        }

        // Control: the groups in another order give another result.
        if groups > 1 {
            let turned: Vec<f32> = weight.chunks(g.outputs).flat_map(|row| row.iter().rev()).copied().collect();
            prop_assert!(!close(&doubles(forward(Engine::AUTO, g, groups, &x, &turned)), &theirs[0], 1e-4));
        }
        Ok(())
    }

    /// Groups and the channels of each; as often as not depthwise.
    fn channels() -> impl Strategy<Value = (usize, usize, usize)> {
        prop_oneof![(1usize..7, 1usize..6, 1usize..6), (2usize..40, Just(1), Just(1))]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn it_is_one_convolution_with_zeros_between_the_groups(
            batch in 1usize..4, height in 5usize..10, width in 5usize..10, (groups, inputs, outputs) in channels(),
            kernel in 1usize..5, stride in 1usize..4, padding in 0usize..3,
        ) {
            let (inputs, outputs) = (inputs * groups, outputs * groups);
            is_one_convolution_with_zeros(Geometry { batch, height, width, inputs, outputs, kernel, stride, padding }, groups)?;
        }

        #[test]
        fn so_it_is_where_winograd_fits_a_group(batch in 1usize..4, size in 4usize..10, groups in 1usize..4) {
            let (inputs, outputs) = (16 * groups, 32 * groups);
            let g = Geometry { batch, height: size, width: size, inputs, outputs, kernel: 3, stride: 1, padding: 1 };
            is_one_convolution_with_zeros(g, groups)?;
        }
    }
}
