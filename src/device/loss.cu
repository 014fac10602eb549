// Softmax cross-entropy with label smoothing, a block a row of logits.
#include "device.h"

enum { THREADS = 128 };

static __device__ double larger(double a, double b) { return a > b ? a : b; }
static __device__ double sum_of(double a, double b) { return a + b; }

// All numbers of the threads put together, for each of them.
static __device__ double over_threads(double value, double (*of)(double, double)) {
  __shared__ double threads[THREADS];
  __syncthreads();
  threads[threadIdx.x] = value;
  for (unsigned half = THREADS / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.x < half) threads[threadIdx.x] = of(threads[threadIdx.x], threads[threadIdx.x + half]);
  }
  __syncthreads();
  return threads[0];
}

// The logarithm of the sum of exponentials of a row.
static __device__ double log_sum_exp(const real *row, unsigned classes) {
  double most = -INFINITY, sum = 0;
  for (unsigned i = threadIdx.x; i < classes; i += THREADS) most = larger(row[i], most);
  most = over_threads(most, larger);
  for (unsigned i = threadIdx.x; i < classes; i += THREADS) sum += exp(row[i] - most);
  return most + log(over_threads(sum, sum_of));
}

// −Σ t·log p of each row, where t puts 1 − ε + ε/K on the label and ε/K on every other class.
KERNEL(row_losses, unsigned classes, double smoothing, const real *logits, const unsigned *labels, double *losses) {
  const real *row = logits + (size_t)blockIdx.x * classes;
  double total = log_sum_exp(row, classes), all = 0;
  for (unsigned i = threadIdx.x; i < classes; i += THREADS) all += row[i];
  all = over_threads(all, sum_of);
  if (threadIdx.x > 0) return;
  unsigned label = labels[blockIdx.x];
  // A label that is no class has no loss, rather than that of other memory.
  double own = label < classes ? row[label] : NAN;
  losses[blockIdx.x] = total - (1 - smoothing) * own - smoothing / classes * all;
}

// Their mean, by one block.
KERNEL(mean_loss, unsigned rows, const double *losses, real *mean) {
  double sum = 0;
  for (unsigned row = threadIdx.x; row < rows; row += THREADS) sum += losses[row];
  sum = over_threads(sum, sum_of);
  if (threadIdx.x == 0) *mean = real(sum / rows);
}

// (p − t)/rows times the gradient by the mean loss.
KERNEL(loss_gradient, unsigned rows, unsigned classes, double smoothing, const real *logits, const unsigned *labels, const real *grad,
       real *dlogits) {
  size_t start = (size_t)blockIdx.x * classes;
  double total = log_sum_exp(logits + start, classes), share = *grad / double(rows);
  for (unsigned i = threadIdx.x; i < classes; i += THREADS) {
    double target = smoothing / classes + (i == labels[blockIdx.x] ? 1 - smoothing : 0);
    dlogits[start + i] = real((exp(logits[start + i] - total) - target) * share);
  }
}
