// Pooling over N×H×W×C: a thread a number of what is written, so that sums have an order.
#include "device.h"

// The largest number of each window and the pixel of its image that holds it; the first of equals, padding never. NaN wins.
KERNEL(max_pool, unsigned count, unsigned height, unsigned width, unsigned channels, unsigned rows, unsigned columns, unsigned kernel,
       unsigned stride, unsigned padding, const real *x, real *largest, unsigned *winners) {
  unsigned i = own_element();
  if (i >= count) return;
  unsigned channel = i % channels, pixel = i / channels;
  unsigned column = pixel % columns, row = pixel / columns % rows, image = pixel / (columns * rows);
  real best = real(-INFINITY);
  unsigned winner = 0;
  for (unsigned dy = 0; dy < kernel; ++dy)
    for (unsigned dz = 0; dz < kernel; ++dz) {
      // Below zero a number wraps, and is larger than any edge.
      unsigned y = row * stride + dy - padding, z = column * stride + dz - padding;
      if (y >= height || z >= width) continue;
      real value = x[(((size_t)image * height + y) * width + z) * channels + channel];
      if (value > best || value != value) best = value, winner = y * width + z;
    }
  largest[i] = best;
  winners[i] = winner;
}

// Each gradient to its winner: the sum over the windows that a pixel has won.
KERNEL(max_pool_gradient, unsigned count, unsigned height, unsigned width, unsigned channels, unsigned rows, unsigned columns,
       unsigned kernel, unsigned stride, unsigned padding, const real *dy, const unsigned *winners, real *dx) {
  unsigned i = own_element();
  if (i >= count) return;
  unsigned channel = i % channels, pixel = i / channels, own = pixel % (width * height);
  unsigned z = own % width + padding, y = own / width + padding, image = pixel / (width * height);
  real sum = 0;
  // The windows that reach a pixel, the first of them first.
  for (unsigned row = y < kernel ? 0 : (y - kernel) / stride + 1; row < rows && row * stride <= y; ++row)
    for (unsigned column = z < kernel ? 0 : (z - kernel) / stride + 1; column < columns && column * stride <= z; ++column) {
      size_t at = (((size_t)image * rows + row) * columns + column) * channels + channel;
      if (winners[at] == own) sum += dy[at];
    }
  dx[i] = sum;
}

// The mean of each window, zeros of the padding counted.
KERNEL(average_pool, unsigned count, unsigned height, unsigned width, unsigned channels, unsigned rows, unsigned columns, unsigned kernel,
       unsigned stride, unsigned padding, const real *x, real *means) {
  unsigned i = own_element();
  if (i >= count) return;
  unsigned channel = i % channels, pixel = i / channels;
  unsigned column = pixel % columns, row = pixel / columns % rows, image = pixel / (columns * rows);
  real sum = 0;
  for (unsigned dy = 0; dy < kernel; ++dy)
    for (unsigned dz = 0; dz < kernel; ++dz) {
      unsigned y = row * stride + dy - padding, z = column * stride + dz - padding;
      if (y < height && z < width) sum += x[(((size_t)image * height + y) * width + z) * channels + channel];
    }
  means[i] = sum / (kernel * kernel);
}

KERNEL(average_pool_gradient, unsigned count, unsigned height, unsigned width, unsigned channels, unsigned rows, unsigned columns,
       unsigned kernel, unsigned stride, unsigned padding, const real *dy, real *dx) {
  unsigned i = own_element();
  if (i >= count) return;
  unsigned channel = i % channels, pixel = i / channels;
  unsigned z = pixel % width + padding, y = pixel / width % height + padding, image = pixel / (width * height);
  real sum = 0;
  for (unsigned row = y < kernel ? 0 : (y - kernel) / stride + 1; row < rows && row * stride <= y; ++row)
    for (unsigned column = z < kernel ? 0 : (z - kernel) / stride + 1; column < columns && column * stride <= z; ++column)
      sum += dy[(((size_t)image * rows + row) * columns + column) * channels + channel];
  dx[i] = sum / (kernel * kernel);
}

// Means over the pixels of an image, N×C.
KERNEL(global_average, unsigned count, unsigned pixels, unsigned channels, const real *x, real *means) {
  unsigned i = own_element();
  if (i >= count) return;
  const real *at = x + (size_t)(i / channels) * pixels * channels + i % channels;
  real sum = 0;
  for (unsigned pixel = 0; pixel < pixels; ++pixel) sum += at[(size_t)pixel * channels];
  means[i] = sum / pixels;
}

KERNEL(global_average_gradient, unsigned count, unsigned pixels, unsigned channels, const real *dy, real *dx) {
  unsigned i = own_element();
  if (i < count) dx[i] = dy[(size_t)(i / channels / pixels) * channels + i % channels] / pixels;
}
