// As much of cuSOLVER as is called: of the triangle below the diagonal, columns first, and of nothing else.
#include <cusolverDn.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <vector>

namespace {

template <class T> cusolverStatus_t factorise(cublasFillMode_t triangle, int n, T *a, int lda, int *info) {
  if (triangle != CUBLAS_FILL_MODE_LOWER) return CUSOLVER_STATUS_NOT_SUPPORTED;
  auto at = [=](int row, int column) -> T & { return a[size_t(column) * lda + row]; };
  *info = 0;
  for (int j = 0; j < n; ++j) {
    T pivot = at(j, j);
    for (int k = 0; k < j; ++k) pivot -= at(j, k) * at(j, k);
    if (!(pivot > 0)) {
      *info = j + 1;
      return CUSOLVER_STATUS_SUCCESS;
    }
    at(j, j) = std::sqrt(pivot);
    for (int i = j + 1; i < n; ++i) {
      T sum = at(i, j);
      for (int k = 0; k < j; ++k) sum -= at(i, k) * at(j, k);
      at(i, j) = sum / at(j, j);
    }
  }
  return CUSOLVER_STATUS_SUCCESS;
}

template <class T> cusolverStatus_t invert(cublasFillMode_t triangle, int n, T *a, int lda, int *info) {
  if (triangle != CUBLAS_FILL_MODE_LOWER) return CUSOLVER_STATUS_NOT_SUPPORTED;
  auto at = [=](int row, int column) -> T & { return a[size_t(column) * lda + row]; };
  // The factor's inverse, in rows, and its products with itself.
  std::vector<T> inverse(size_t(n) * n);
  for (int j = 0; j < n; ++j)
    for (int i = j; i < n; ++i) {
      T sum = i == j;
      for (int k = j; k < i; ++k) sum -= at(i, k) * inverse[size_t(k) * n + j];
      inverse[size_t(i) * n + j] = sum / at(i, i);
    }
  for (int j = 0; j < n; ++j)
    for (int i = j; i < n; ++i) {
      T sum = 0;
      for (int k = i; k < n; ++k) sum += inverse[size_t(k) * n + i] * inverse[size_t(k) * n + j];
      at(i, j) = sum;
    }
  *info = 0;
  return CUSOLVER_STATUS_SUCCESS;
}

// Jacobi's rotations, until nothing is left beside the diagonal.
template <class T>
cusolverStatus_t decompose(cusolverEigMode_t mode, cublasFillMode_t triangle, int n, T *a, int lda, T *values, int *info) {
  if (triangle != CUBLAS_FILL_MODE_LOWER || mode != CUSOLVER_EIG_MODE_VECTOR) return CUSOLVER_STATUS_NOT_SUPPORTED;
  std::vector<double> s(size_t(n) * n), v(size_t(n) * n);
  for (int i = 0; i < n; ++i)
    for (int j = 0; j < n; ++j) s[size_t(i) * n + j] = a[size_t(std::min(i, j)) * lda + std::max(i, j)], v[size_t(i) * n + j] = i == j;
  for (int sweep = 0; sweep < 60; ++sweep) {
    double beside = 0, all = 0;
    for (int i = 0; i < n; ++i)
      for (int j = 0; j < n; ++j) (i == j ? all : beside) += s[size_t(i) * n + j] * s[size_t(i) * n + j];
    if (beside <= 1e-32 * all) break;
    for (int p = 0; p < n; ++p)
      for (int q = p + 1; q < n; ++q) {
        double off = s[size_t(p) * n + q];
        if (off == 0) continue;
        double theta = (s[size_t(q) * n + q] - s[size_t(p) * n + p]) / (2 * off);
        double t = (theta < 0 ? -1 : 1) / (std::abs(theta) + std::sqrt(theta * theta + 1)), cosine = 1 / std::sqrt(t * t + 1), sine = t * cosine;
        auto rotate = [=](double &x, double &y) {
          double turned = cosine * x - sine * y;
          y = sine * x + cosine * y, x = turned;
        };
        for (int k = 0; k < n; ++k) rotate(s[size_t(k) * n + p], s[size_t(k) * n + q]);
        for (int k = 0; k < n; ++k) rotate(s[size_t(p) * n + k], s[size_t(q) * n + k]);
        for (int k = 0; k < n; ++k) rotate(v[size_t(k) * n + p], v[size_t(k) * n + q]);
      }
  }
  std::vector<int> order(n);
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](int i, int j) { return s[size_t(i) * n + i] < s[size_t(j) * n + j]; });
  for (int j = 0; j < n; ++j) {
    values[j] = T(s[size_t(order[j]) * n + order[j]]);
    for (int i = 0; i < n; ++i) a[size_t(j) * lda + i] = T(v[size_t(i) * n + order[j]]);
  }
  *info = 0;
  return CUSOLVER_STATUS_SUCCESS;
}

cusolverStatus_t space(int n, int *numbers) {
  *numbers = n;
  return CUSOLVER_STATUS_SUCCESS;
}

}  // namespace

extern "C" {

cusolverStatus_t cusolverDnCreate(cusolverDnHandle_t *handle) {
  static char thing;
  *handle = reinterpret_cast<cusolverDnHandle_t>(&thing);
  return CUSOLVER_STATUS_SUCCESS;
}
cusolverStatus_t cusolverDnDestroy(cusolverDnHandle_t) { return CUSOLVER_STATUS_SUCCESS; }
cusolverStatus_t cusolverDnSetStream(cusolverDnHandle_t, cudaStream_t) { return CUSOLVER_STATUS_SUCCESS; }

#define FUNCTIONS(T, letter)                                                                                                                \
  cusolverStatus_t cusolverDn##letter##potrf_bufferSize(cusolverDnHandle_t, cublasFillMode_t, int n, T *, int, int *numbers) {              \
    return space(n, numbers);                                                                                                               \
  }                                                                                                                                         \
  cusolverStatus_t cusolverDn##letter##potri_bufferSize(cusolverDnHandle_t, cublasFillMode_t, int n, T *, int, int *numbers) {              \
    return space(n, numbers);                                                                                                               \
  }                                                                                                                                         \
  cusolverStatus_t cusolverDn##letter##syevd_bufferSize(cusolverDnHandle_t, cusolverEigMode_t, cublasFillMode_t, int n, const T *, int,     \
                                                        const T *, int *numbers) {                                                          \
    return space(n, numbers);                                                                                                               \
  }                                                                                                                                         \
  cusolverStatus_t cusolverDn##letter##potrf(cusolverDnHandle_t, cublasFillMode_t triangle, int n, T *a, int lda, T *, int, int *info) {    \
    return factorise(triangle, n, a, lda, info);                                                                                            \
  }                                                                                                                                         \
  cusolverStatus_t cusolverDn##letter##potri(cusolverDnHandle_t, cublasFillMode_t triangle, int n, T *a, int lda, T *, int, int *info) {    \
    return invert(triangle, n, a, lda, info);                                                                                               \
  }                                                                                                                                         \
  cusolverStatus_t cusolverDn##letter##syevd(cusolverDnHandle_t, cusolverEigMode_t mode, cublasFillMode_t triangle, int n, T *a, int lda,   \
                                             T *values, T *, int, int *info) {                                                              \
    return decompose(mode, triangle, n, a, lda, values, info);                                                                              \
  }
FUNCTIONS(float, S)
FUNCTIONS(double, D)

}  // extern "C"
