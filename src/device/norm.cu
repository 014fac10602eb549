// Batch normalisation over rows of channels, and layer normalisation of each row.
//
// Sums over rows are taken in two launches: a block sums 32 columns of `span` rows, then a block puts 32 columns of those sums together, in
// their order and in float64. No sum depends on how blocks are scheduled.
#include "device.h"

enum { COLUMNS = 32, LANES = 8, ROW_THREADS = 128 };

static __device__ inline unsigned own_column() { return blockIdx.x * COLUMNS + threadIdx.x; }

// The sum over the lanes of a column, for each of them.
static __device__ double over_lanes(double value) {
  __shared__ double lanes[LANES][COLUMNS];
  __syncthreads();
  lanes[threadIdx.y][threadIdx.x] = value;
  __syncthreads();
  double sum = 0;
  for (unsigned lane = 0; lane < LANES; ++lane) sum += lanes[lane][threadIdx.x];
  return sum;
}

static __device__ inline double inverse_deviation(double variance, double epsilon) { return 1 / sqrt(variance + epsilon); }

// Means of the rows of a span, and sums of square distances from them. Summed are differences from the first row, so that the mean of equal
// numbers is that number.
KERNEL(span_moments, unsigned rows, unsigned channels, unsigned span, const real *x, double *means, double *squares) {
  unsigned column = own_column(), begin = blockIdx.y * span, end = min(begin + span, rows);
  bool inside = column < channels;
  const real *at = x + column;
  real first = inside ? at[(size_t)begin * channels] : real(0), sum = 0;
  if (inside)
    for (unsigned row = begin + threadIdx.y; row < end; row += LANES) sum += at[(size_t)row * channels] - first;
  real mean = first + real(over_lanes(sum) / (end - begin));
  real square = 0;
  if (inside)
    for (unsigned row = begin + threadIdx.y; row < end; row += LANES) {
      real off = at[(size_t)row * channels] - mean;
      square += off * off;
    }
  double total = over_lanes(square);
  if (!inside || threadIdx.y > 0) return;
  means[(size_t)blockIdx.y * channels + column] = mean;
  squares[(size_t)blockIdx.y * channels + column] = total;
}

// Mean and biased variance of all rows from those of the spans (Chan, Golub & LeVeque 1983), and γ/√(variance + ε).
KERNEL(batch_moments, unsigned spans, unsigned rows, unsigned channels, unsigned span, double epsilon, const real *gamma,
       const double *means, const double *squares, real *mean, real *variance, real *factor) {
  unsigned column = own_column();
  bool inside = column < channels;
  double first = inside ? means[column] : 0, sum = 0;
  if (inside)
    for (unsigned i = threadIdx.y; i < spans; i += LANES)
      sum += (means[(size_t)i * channels + column] - first) * (min((i + 1) * span, rows) - i * span);
  double whole = first + over_lanes(sum) / rows;
  double square = 0;
  if (inside)
    for (unsigned i = threadIdx.y; i < spans; i += LANES) {
      double off = means[(size_t)i * channels + column] - whole;
      square += squares[(size_t)i * channels + column] + off * off * (min((i + 1) * span, rows) - i * span);
    }
  double spread = over_lanes(square) / rows;
  if (!inside || threadIdx.y > 0) return;
  mean[column] = real(whole);
  variance[column] = real(spread);
  factor[column] = real(inverse_deviation(real(spread), epsilon)) * gamma[column];
}

// (x − mean)·factor + shift, no less than zero if `rectified`. The difference comes first: shift − mean·factor loses all digits of a channel
// whose mean is many times its deviation.
KERNEL(channel_affine, unsigned count, unsigned channels, unsigned rectified, const real *x, const real *mean, const real *factor,
       const real *shift, real *y) {
  unsigned i = own_element();
  if (i >= count) return;
  unsigned channel = i % channels;
  real value = (x[i] - mean[channel]) * factor[channel] + shift[channel];
  y[i] = rectified && value < 0 ? real(0) : value;
}

// Of the rows of a span, sums of dy·(x − mean) and of dy; dy counts only where the output is positive, if that was rectified.
KERNEL(span_gradients, unsigned rows, unsigned channels, unsigned span, unsigned rectified, const real *x, const real *mean, const real *dy,
       const real *output, double *products, double *sums) {
  unsigned column = own_column(), begin = blockIdx.y * span, end = min(begin + span, rows);
  bool inside = column < channels;
  real centre = inside ? mean[column] : real(0), product = 0, sum = 0;
  if (inside)
    for (unsigned row = begin + threadIdx.y; row < end; row += LANES) {
      size_t i = (size_t)row * channels + column;
      if (rectified && !(output[i] > 0)) continue;
      product += dy[i] * (x[i] - centre);
      sum += dy[i];
    }
  double all_products = over_lanes(product), all = over_lanes(sum);
  if (!inside || threadIdx.y > 0) return;
  products[(size_t)blockIdx.y * channels + column] = all_products;
  sums[(size_t)blockIdx.y * channels + column] = all;
}

// dγ and dβ, and what the gradient by x is made of: dx = a·dy − b·(x − mean) − c.
KERNEL(batch_gradients, unsigned spans, unsigned rows, unsigned channels, double epsilon, const real *variance, const real *gamma,
       const double *products, const double *sums, real *dgamma, real *dbeta, real *a, real *b, real *c) {
  unsigned column = own_column();
  bool inside = column < channels;
  double product = 0, sum = 0;
  if (inside)
    for (unsigned i = threadIdx.y; i < spans; i += LANES) {
      product += products[(size_t)i * channels + column];
      sum += sums[(size_t)i * channels + column];
    }
  product = over_lanes(product);
  sum = over_lanes(sum);
  if (!inside || threadIdx.y > 0) return;
  double inverse = inverse_deviation(variance[column], epsilon), factor = gamma[column] * inverse;
  dgamma[column] = real(product * inverse);
  dbeta[column] = real(sum);
  a[column] = real(factor);
  b[column] = real(factor * inverse * inverse * product / rows);
  c[column] = real(factor * sum / rows);
}

KERNEL(batch_gradient, unsigned count, unsigned channels, unsigned rectified, const real *x, const real *mean, const real *dy,
       const real *output, const real *a, const real *b, const real *c, real *dx) {
  unsigned i = own_element();
  if (i >= count) return;
  unsigned channel = i % channels;
  real gated = rectified && !(output[i] > 0) ? real(0) : dy[i];
  dx[i] = a[channel] * gated - b[channel] * (x[i] - mean[channel]) - c[channel];
}

// A block a row: γ·(x − mean)/√(variance + ε) + β by the row's own moments, which are kept.
KERNEL(layer_norm, unsigned columns, double epsilon, const real *x, const real *gamma, const real *beta, real *y, real *mean,
       real *inverse) {
  const real *row = x + (size_t)blockIdx.x * columns;
  real sum = 0, square = 0;
  for (unsigned i = threadIdx.x; i < columns; i += ROW_THREADS) sum += row[i];
  real centre = real(over_threads<ROW_THREADS>(sum) / columns);
  for (unsigned i = threadIdx.x; i < columns; i += ROW_THREADS) square += (row[i] - centre) * (row[i] - centre);
  real factor = real(inverse_deviation(over_threads<ROW_THREADS>(square) / columns, epsilon));
  for (unsigned i = threadIdx.x; i < columns; i += ROW_THREADS)
    y[(size_t)blockIdx.x * columns + i] = gamma[i] * ((row[i] - centre) * factor) + beta[i];
  if (threadIdx.x > 0) return;
  mean[blockIdx.x] = centre;
  inverse[blockIdx.x] = factor;
}

// A block a row: with g = γ·dy, dx = (g − mean(g) − x̂·mean(g·x̂))/√(variance + ε).
KERNEL(layer_gradient, unsigned columns, const real *x, const real *mean, const real *inverse, const real *gamma, const real *dy,
       real *dx) {
  size_t start = (size_t)blockIdx.x * columns;
  real centre = mean[blockIdx.x], factor = inverse[blockIdx.x], sum = 0, product = 0;
  for (unsigned i = threadIdx.x; i < columns; i += ROW_THREADS) {
    real scaled = gamma[i] * dy[start + i];
    sum += scaled;
    product += scaled * ((x[start + i] - centre) * factor);
  }
  real pull = real(over_threads<ROW_THREADS>(sum) / columns), lean = real(over_threads<ROW_THREADS>(product) / columns);
  for (unsigned i = threadIdx.x; i < columns; i += ROW_THREADS) {
    real normed = (x[start + i] - centre) * factor;
    dx[start + i] = (gamma[i] * dy[start + i] - pull - normed * lean) * factor;
  }
}

// Of the rows of a span, sums of dy·x̂ and of dy.
KERNEL(span_layer_gradients, unsigned rows, unsigned columns, unsigned span, const real *x, const real *mean, const real *inverse,
       const real *dy, double *products, double *sums) {
  unsigned column = own_column(), begin = blockIdx.y * span, end = min(begin + span, rows);
  bool inside = column < columns;
  real product = 0, sum = 0;
  if (inside)
    for (unsigned row = begin + threadIdx.y; row < end; row += LANES) {
      size_t i = (size_t)row * columns + column;
      product += dy[i] * ((x[i] - mean[row]) * inverse[row]);
      sum += dy[i];
    }
  double all_products = over_lanes(product), all = over_lanes(sum);
  if (!inside || threadIdx.y > 0) return;
  products[(size_t)blockIdx.y * columns + column] = all_products;
  sums[(size_t)blockIdx.y * columns + column] = all;
}

// dγ and dβ from the sums of the spans.
KERNEL(layer_gradients, unsigned spans, unsigned columns, const double *products, const double *sums, real *dgamma,
       real *dbeta) {
  unsigned column = own_column();
  bool inside = column < columns;
  double product = 0, sum = 0;
  if (inside)
    for (unsigned i = threadIdx.y; i < spans; i += LANES) {
      product += products[(size_t)i * columns + column];
      sum += sums[(size_t)i * columns + column];
    }
  product = over_lanes(product);
  sum = over_lanes(sum);
  if (!inside || threadIdx.y > 0) return;
  dgamma[column] = real(product);
  dbeta[column] = real(sum);
}
