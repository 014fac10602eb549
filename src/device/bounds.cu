// Tensors brought to a length or back below one, by numbers that never leave the device.
//
// Sums of products are taken in two launches: a block sums a span, then one block adds the spans' sums, in float64 and always in the same order.
#include "device.h"

enum { THREADS = 256 };

// The sum over the products of a span.
KERNEL(span_inner, unsigned count, unsigned span, const real *a, const real *b, double *sums) {
  unsigned begin = blockIdx.x * span, end = min(begin + span, count);
  double sum = 0;
  for (unsigned i = begin + threadIdx.x; i < end; i += THREADS) sum += (double)a[i] * b[i];
  double total = over_threads<THREADS>(sum);
  if (threadIdx.x == 0) sums[blockIdx.x] = total;
}

// before + the spans' sums.
KERNEL(add_spans, unsigned spans, const double *before, const double *sums, double *inner) {
  double sum = 0;
  for (unsigned i = threadIdx.x; i < spans; i += THREADS) sum += sums[i];
  double total = over_threads<THREADS>(sum);
  if (threadIdx.x == 0) *inner = *before + total;
}

// x·‖other‖/(‖x‖ + ε), by their squares.
KERNEL(to_norm, unsigned count, double epsilon, const real *x, const double *own, const double *other, real *y) {
  unsigned i = own_element();
  if (i < count) y[i] = real(x[i] * (sqrt(*other) / (sqrt(*own) + epsilon)));
}

// x·min(1, limit/(√inner + ε)), and x where the sum is not positive.
KERNEL(bounded, unsigned count, double limit, double epsilon, const real *x, const double *inner, real *y) {
  unsigned i = own_element();
  if (i >= count) return;
  double factor = *inner > 0 ? limit / (sqrt(*inner) + epsilon) : 1;
  y[i] = factor < 1 ? real(x[i] * factor) : x[i];
}
