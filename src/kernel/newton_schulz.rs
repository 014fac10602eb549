//! The Newton–Schulz iteration in bfloat16, sum by sum as torch.optim's Muon takes it on a processor that multiplies pairs of bfloat16.
//!
//! Each result is rounded to bfloat16, where one more rounding of a sum may fall on the other side and move the result by a 256th. So the order
//! of the sums is part of the definition: that of oneDNN's products, and of PyTorch's own loops where a product is too small for these.

use rayon::prelude::*;

use super::bf16::nearest;

/// Numbers that bfloat16 has, in rows.
struct Matrix {
    values: Vec<f32>,
    columns: usize,
    /// Whether PyTorch has the transpose in memory, and sees it from the side.
    turned: bool,
}

/// In which order the products of a sum are added, in float32.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    /// By pairs, of each the second first: one instruction of the processor.
    Pairs,
    /// Four sums by turns, which are then added up one by one.
    Fours,
    /// Sixteen sums by turns, added up by halves; then what is left, one by one.
    Lanes,
    /// One by one.
    Single,
}

/// Products of up to so many multiplications are PyTorch's own.
const SMALL: usize = 16 * 16 * 16;

/// With `X = M/max(‖M‖_F, 1e-7)`, as often as asked: `X ← aX + (bXXᵀ + c(XXᵀ)²)X`. M has `rows` rows and no more rows than columns;
/// `turned` says that PyTorch keeps its transpose.
#[must_use]
pub fn iterate(matrix: &[f32], rows: usize, rounds: usize, turned: bool, [a, b, c]: [f64; 3]) -> Vec<f32> {
    let columns = matrix.len() / rows.max(1);
    let values: Vec<f32> = matrix.iter().map(|&value| nearest(value)).collect();
    let norm = values.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt();
    let norm = nearest(nearest(norm as f32).max(nearest(1e-7)));
    let mut x = Matrix { values: values.iter().map(|value| nearest(value / norm)).collect(), columns, turned };
    for _ in 0..rounds {
        let gram = rounded(product(&x, &x.transposed()), rows);
        let square = product(&gram, &gram);
        let polynomial = rounded(sum(b as f32, &gram.values, c as f32, square), rows);
        let moved = product(&polynomial, &x);
        x = rounded(sum(a as f32, &x.values, 1.0, moved), columns);
    }
    x.values
}

fn rounded(values: Vec<f32>, columns: usize) -> Matrix {
    Matrix { values: values.into_iter().map(nearest).collect(), columns, turned: false }
}

/// `a·x + b·y`, in two roundings.
fn sum(a: f32, x: &[f32], b: f32, y: Vec<f32>) -> Vec<f32> {
    y.into_iter().zip(x).map(|(y, &x)| a.mul_add(x, b * y)).collect()
}

impl Matrix {
    fn transposed(&self) -> Self {
        let rows = self.values.len() / self.columns;
        let column = |j: usize| (0..rows).map(move |i| self.values[i * self.columns + j]);
        Self { values: (0..self.columns).flat_map(column).collect(), columns: rows, turned: !self.turned }
    }
}

fn product(a: &Matrix, b: &Matrix) -> Vec<f32> {
    let order = match (a.turned, b.turned) {
        _ if a.values.len() * b.columns > SMALL => Order::Pairs,
        (false, false) | (true, true) => Order::Fours,
        (false, true) => Order::Lanes,
        (true, false) => Order::Single,
    };
    let mut out = vec![0.0; a.values.len() / a.columns * b.columns];
    let rows = out.par_chunks_mut(b.columns).zip(a.values.par_chunks(a.columns));
    rows.for_each(|(out, row)| multiply(row, b, order, out));
    out
}

/// One row's products with all columns.
fn multiply(row: &[f32], b: &Matrix, order: Order, out: &mut [f32]) {
    let add = |out: &mut [f32], k: usize| {
        for (out, value) in out.iter_mut().zip(&b.values[k * b.columns..]) {
            *out += row[k] * value;
        }
    };
    let lanes = match order {
        Order::Single => return (0..row.len()).for_each(|k| add(out, k)),
        Order::Pairs => {
            let places = (0..row.len()).step_by(2).flat_map(|k| [k + 1, k]);
            return places.filter(|&k| k < row.len()).for_each(|k| add(out, k));
        }
        Order::Fours => 4,
        Order::Lanes => 16,
    };
    let whole = row.len() / lanes * lanes;
    let mut sums = vec![vec![0.0; out.len()]; lanes];
    (0..whole).for_each(|k| add(&mut sums[k % lanes], k));
    if order == Order::Fours {
        (whole..row.len()).for_each(|k| add(&mut sums[0], k));
        sums.iter().for_each(|sum| add_to(out, sum));
        return;
    }
    let mut half = lanes / 2;
    while half > 0 {
        let (first, second) = sums.split_at_mut(half);
        first.iter_mut().zip(second).for_each(|(first, second)| add_to(first, second));
        half /= 2;
    }
    add_to(out, &sums[0]);
    (whole..row.len()).for_each(|k| add(out, k));
}

fn add_to(sum: &mut [f32], more: &[f32]) {
    sum.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
}

#[cfg(test)]
mod tests {
    use super::{Matrix, Order, multiply};

    fn sum(products: &[f32], order: Order) -> f32 {
        let b = Matrix { values: products.to_vec(), columns: 1, turned: false };
        let mut out = [0.0];
        multiply(&vec![1.0; products.len()], &b, order, &mut out);
        out[0]
    }

    /// A one that is added to 2²⁴ is lost; it is left where that has gone before it comes.
    #[test]
    fn each_order_keeps_what_the_others_lose() {
        const HUGE: f32 = 16_777_216.0;
        let of = |places: [usize; 3], count: usize| {
            let mut products = vec![0.0; count];
            places.into_iter().zip([HUGE, 1.0, -HUGE]).for_each(|(place, value)| products[place] = value);
            [Order::Single, Order::Pairs, Order::Fours, Order::Lanes].map(|order| sum(&products, order))
        };
        assert_eq!(of([0, 2, 1], 4), [1.0; 4]);
        assert_eq!(of([0, 2, 3], 4), [0.0, 1.0, 0.0, 0.0]);
        assert_eq!(of([0, 1, 4], 8), [0.0, 0.0, 1.0, 0.0]);
        assert_eq!(of([0, 4, 16], 32), [0.0, 0.0, 0.0, 1.0]);
    }
}
