// What a factorisation on a device needs before and after it: square matrices in row order, a thread an entry.
#include "device.h"

// A + δI.
KERNEL(damped, unsigned count, unsigned order, double damping, const real *matrix, real *sum) {
  unsigned i = own_element();
  if (i < count) sum[i] = i / order == i % order ? real(matrix[i] + damping) : matrix[i];
}

// The symmetric matrix of which only the part on and above the diagonal is right.
KERNEL(mirrored, unsigned count, unsigned order, const real *upper, real *whole) {
  unsigned i = own_element();
  if (i >= count) return;
  unsigned row = i / order, column = i % order;
  whole[i] = row <= column ? upper[i] : upper[(size_t)column * order + row];
}
