// Windows that slide over images, N×H×W×C: the patches that a convolution multiplies, and the way back.
#include "device.h"

// Rows of patches, (N·H'·W') × (k·k·C), zero outside the image; a thread a number of `patches`.
KERNEL(gather_patches, unsigned count, unsigned height, unsigned width, unsigned channels, unsigned rows, unsigned columns, unsigned kernel,
       unsigned stride, unsigned padding, const real *x, real *patches) {
  unsigned i = own_element();
  if (i >= count) return;
  unsigned channel = i % channels, tap = i / channels % (kernel * kernel), pixel = i / (channels * kernel * kernel);
  unsigned column = pixel % columns, row = pixel / columns % rows, image = pixel / (columns * rows);
  // Below zero a number wraps, and is larger than any edge.
  unsigned y = row * stride + tap / kernel - padding, z = column * stride + tap % kernel - padding;
  bool inside = y < height && z < width;
  patches[i] = inside ? x[(((size_t)image * height + y) * width + z) * channels + channel] : real(0);
}

// The transpose: the sum of all places of `patches` that a pixel was copied to; a thread a number of `x`.
KERNEL(add_patches, unsigned count, unsigned height, unsigned width, unsigned channels, unsigned rows, unsigned columns, unsigned kernel,
       unsigned stride, unsigned padding, const real *patches, real *x) {
  unsigned i = own_element();
  if (i >= count) return;
  unsigned channel = i % channels, pixel = i / channels;
  unsigned z = pixel % width + padding, y = pixel / width % height + padding, image = pixel / (width * height);
  real sum = 0;
  for (unsigned dy = 0; dy < kernel && dy <= y; ++dy) {
    if ((y - dy) % stride || (y - dy) / stride >= rows) continue;
    for (unsigned dz = 0; dz < kernel && dz <= z; ++dz) {
      if ((z - dz) % stride || (z - dz) / stride >= columns) continue;
      size_t row = ((size_t)image * rows + (y - dy) / stride) * columns + (z - dz) / stride;
      sum += patches[(row * kernel * kernel + dy * kernel + dz) * channels + channel];
    }
  }
  x[i] = sum;
}
