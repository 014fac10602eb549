//! Rectifiers, sums and the updates of optimizers, a thread an element.

use candle_core::{Result, Tensor};

use super::{Arg, Call, Launch, Output, each};
use crate::kernel::elementwise::Adam;

/// `max(x, 0)`.
pub fn relu(on: &impl Launch, x: &Tensor) -> Result<Output> {
    unary(on, "relu", x)
}

/// `x·Φ(x)`.
pub fn gelu(on: &impl Launch, x: &Tensor) -> Result<Output> {
    unary(on, "gelu", x)
}

/// Of a loss whose gradient by GELU's value is `grad`.
pub fn gelu_gradient(on: &impl Launch, x: &Tensor, grad: &Tensor) -> Result<Tensor> {
    Ok(binary(on, "gelu_gradient", x, grad)?.tensor())
}

/// `a + b`.
pub fn add(on: &impl Launch, a: &Tensor, b: &Tensor) -> Result<Tensor> {
    Ok(binary(on, "add", a, b)?.tensor())
}

/// `max(a + b, 0)`.
pub fn add_relu(on: &impl Launch, a: &Tensor, b: &Tensor) -> Result<Output> {
    binary(on, "add_relu", a, b)
}

/// `grad` where `output` is positive, else zero.
pub fn gate(on: &impl Launch, output: &Tensor, grad: &Tensor) -> Result<Tensor> {
    Ok(binary(on, "gate", output, grad)?.tensor())
}

/// `a·x`.
pub fn scale(on: &impl Launch, a: f64, x: &Tensor) -> Result<Tensor> {
    let count = x.elem_count();
    let args = [Arg::Count(count), Arg::Number(a), Arg::In(x), Arg::like(x)];
    let [y] = on.tensors(&call("scale", x, &args))?;
    Ok(y)
}

/// `a·x + b·y`.
pub fn combine(on: &impl Launch, a: f64, x: &Tensor, b: f64, y: &Tensor) -> Result<Tensor> {
    let count = x.elem_count();
    let args = [Arg::Count(count), Arg::Number(a), Arg::In(x), Arg::Number(b), Arg::In(y), Arg::like(x)];
    let [sum] = on.tensors(&call("combine", x, &args))?;
    Ok(sum)
}

/// `√(β·root² + (1−β)·u²)`.
pub fn root_of_average(on: &impl Launch, beta: f64, root: &Tensor, u: &Tensor) -> Result<Tensor> {
    let count = u.elem_count();
    let args = [Arg::Count(count), Arg::Number(beta), Arg::In(root), Arg::In(u), Arg::like(u)];
    let [next] = on.tensors(&call("root_of_average", u, &args))?;
    Ok(next)
}

/// `x / (root/c + ε)`.
pub fn over_root(on: &impl Launch, x: &Tensor, root: &Tensor, c: f64, epsilon: f64) -> Result<Tensor> {
    let count = x.elem_count();
    let args = [Arg::Count(count), Arg::Number(c), Arg::Number(epsilon), Arg::In(x), Arg::In(root), Arg::like(x)];
    let [ratio] = on.tensors(&call("over_root", x, &args))?;
    Ok(ratio)
}

/// As [`Adam::step`].
pub fn adam(on: &impl Launch, [first, root, update]: [&Tensor; 3], numbers: &Adam) -> Result<[Tensor; 3]> {
    let count = update.elem_count();
    let [beta1, beta2] = numbers.betas.map(Arg::Number);
    let [correction1, correction2] = numbers.corrections.map(Arg::Number);
    let (epsilon, belief) = (Arg::Number(numbers.eps), Arg::flag(numbers.belief));
    let tensors = [Arg::In(first), Arg::In(root), Arg::In(update)];
    let out = || Arg::like(update);
    let numbers = [Arg::Count(count), beta1, beta2, correction1, correction2, epsilon, belief];
    let args: Vec<Arg> = numbers.into_iter().chain(tensors).chain([out(), out(), out()]).collect();
    on.tensors(&call("adam", update, &args))
}

fn unary(on: &impl Launch, kernel: &'static str, x: &Tensor) -> Result<Output> {
    let [y] = on.outputs(&call(kernel, x, &[Arg::Count(x.elem_count()), Arg::In(x), Arg::like(x)]))?;
    Ok(y)
}

fn binary(on: &impl Launch, kernel: &'static str, a: &Tensor, b: &Tensor) -> Result<Output> {
    let args = [Arg::Count(a.elem_count()), Arg::In(a), Arg::In(b), Arg::like(a)];
    let [y] = on.outputs(&call(kernel, a, &args))?;
    Ok(y)
}

/// A thread an element of tensors like this one.
fn call<'a>(kernel: &'static str, like: &Tensor, args: &'a [Arg<'a>]) -> Call<'a> {
    let (grid, block) = each(like.elem_count());
    Call { family: "elementwise", kernel, real: like.dtype(), grid, block, args }
}
