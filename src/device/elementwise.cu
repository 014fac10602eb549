// Rectifiers, sums and the updates of optimizers, a thread an element. Coefficients and what is between are in float64, where squares of every
// float32 have room; what is written is rounded once, as by the loops for the CPU.
#include "device.h"

// NaN stays.
static __device__ inline real rectified(real x) { return x < 0 ? real(0) : x; }

KERNEL(relu, unsigned count, const real *x, real *y) {
  unsigned i = own_element();
  if (i < count) y[i] = rectified(x[i]);
}

KERNEL(add, unsigned count, const real *a, const real *b, real *sum) {
  unsigned i = own_element();
  if (i < count) sum[i] = a[i] + b[i];
}

KERNEL(add_relu, unsigned count, const real *a, const real *b, real *y) {
  unsigned i = own_element();
  if (i < count) y[i] = rectified(a[i] + b[i]);
}

// `grad` where `output` is positive, else zero.
KERNEL(gate, unsigned count, const real *output, const real *grad, real *gated) {
  unsigned i = own_element();
  if (i < count) gated[i] = output[i] > 0 ? grad[i] : real(0);
}

// x·Φ(x).
KERNEL(gelu, unsigned count, const real *x, real *y) {
  unsigned i = own_element();
  if (i < count) y[i] = real(0.5) * x[i] * (real(1) + erf(x[i] * real(0.70710678118654752440)));
}

KERNEL(gelu_gradient, unsigned count, const real *x, const real *grad, real *dx) {
  unsigned i = own_element();
  if (i >= count) return;
  real distribution = real(0.5) * (real(1) + erf(x[i] * real(0.70710678118654752440)));
  real density = real(0.39894228040143267794) * exp(real(-0.5) * x[i] * x[i]);
  dx[i] = grad[i] * (distribution + x[i] * density);
}

KERNEL(scale, unsigned count, double a, const real *x, real *y) {
  unsigned i = own_element();
  if (i < count) y[i] = real(a * x[i]);
}

// a·x + b·y.
KERNEL(combine, unsigned count, double a, const real *x, double b, const real *y, real *sum) {
  unsigned i = own_element();
  if (i < count) sum[i] = real(a * x[i] + b * y[i]);
}

// √(β·root² + (1−β)·u²).
KERNEL(root_of_average, unsigned count, double beta, const real *root, const real *u, real *next) {
  unsigned i = own_element();
  if (i >= count) return;
  double kept = root[i], fresh = u[i];
  next[i] = real(sqrt(beta * (kept * kept) + (1 - beta) * (fresh * fresh)));
}

// x / (root/c + ε).
KERNEL(over_root, unsigned count, double c, double epsilon, const real *x, const real *root, real *ratio) {
  unsigned i = own_element();
  if (i < count) ratio[i] = real(x[i] / (root[i] / c + epsilon));
}

// One of Adam's steps, as kernel::elementwise::Adam::step.
KERNEL(adam, unsigned count, double beta1, double beta2, double correction1, double correction2, double epsilon, unsigned belief,
       const real *first, const real *root, const real *update, real *next_first, real *next_root, real *step) {
  unsigned i = own_element();
  if (i >= count) return;
  double u = update[i], m = first[i], v = root[i];
  double off = belief ? beta1 * (u - m) : u, added = belief ? epsilon : 0;
  real new_first = real(beta1 * m + (1 - beta1) * u);
  real new_root = real(sqrt(beta2 * (v * v) + (1 - beta2) * (off * off) + added));
  next_first[i] = new_first;
  next_root[i] = new_root;
  step[i] = real(new_first / (new_root / correction2 + epsilon) / correction1);
}
