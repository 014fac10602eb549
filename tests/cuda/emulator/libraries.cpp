// As much of cuBLAS and cuRAND as candle calls: products in loops, and no random numbers.
#include <cublas_v2.h>
#include <curand.h>

#include <cstddef>

namespace {

// C = αAB + βC, columns first, of each of a batch.
template <class T>
void multiply(cublasOperation_t op_a, cublasOperation_t op_b, int m, int n, int k, T alpha, const T *a, int lda, long long stride_a, const T *b, int ldb,
              long long stride_b, T beta, T *c, int ldc, long long stride_c, int batch) {
  bool turned_a = op_a != CUBLAS_OP_N, turned_b = op_b != CUBLAS_OP_N;
  for (int i = 0; i < batch; ++i, a += stride_a, b += stride_b, c += stride_c)
    for (int column = 0; column < n; ++column) {
      T *to = c + size_t(column) * ldc;
      // Without a β what is there is not read, not even where it is not a number.
      for (int row = 0; row < m; ++row) to[row] = beta == 0 ? T(0) : beta * to[row];
      for (int inner = 0; inner < k; ++inner) {
        T factor = alpha * (turned_b ? b[size_t(inner) * ldb + column] : b[size_t(column) * ldb + inner]);
        const T *from = turned_a ? a + inner : a + size_t(inner) * lda;
        size_t step = turned_a ? lda : 1;
        for (int row = 0; row < m; ++row) to[row] += factor * from[row * step];
      }
    }
}

}  // namespace

extern "C" {

cublasStatus_t cublasCreate_v2(cublasHandle_t *handle) {
  static char thing;
  *handle = reinterpret_cast<cublasHandle_t>(&thing);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasDestroy_v2(cublasHandle_t) { return CUBLAS_STATUS_SUCCESS; }
cublasStatus_t cublasSetStream_v2(cublasHandle_t, cudaStream_t) { return CUBLAS_STATUS_SUCCESS; }

cublasStatus_t cublasDgemmStridedBatched(cublasHandle_t, cublasOperation_t op_a, cublasOperation_t op_b, int m, int n, int k, const double *alpha,
                                         const double *a, int lda, long long stride_a, const double *b, int ldb, long long stride_b, const double *beta,
                                         double *c, int ldc, long long stride_c, int batch) {
  multiply(op_a, op_b, m, n, k, *alpha, a, lda, stride_a, b, ldb, stride_b, *beta, c, ldc, stride_c, batch);
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasGemmStridedBatchedEx(cublasHandle_t, cublasOperation_t op_a, cublasOperation_t op_b, int m, int n, int k, const void *alpha,
                                          const void *a, cudaDataType_t type, int lda, long long stride_a, const void *b, cudaDataType_t, int ldb,
                                          long long stride_b, const void *beta, void *c, cudaDataType_t, int ldc, long long stride_c, int batch,
                                          cublasComputeType_t compute, cublasGemmAlgo_t) {
  if (type != CUDA_R_32F || compute != CUBLAS_COMPUTE_32F) return CUBLAS_STATUS_NOT_SUPPORTED;
  auto f = [](const void *numbers) { return static_cast<const float *>(numbers); };
  multiply(op_a, op_b, m, n, k, *f(alpha), f(a), lda, stride_a, f(b), ldb, stride_b, *f(beta), static_cast<float *>(c), ldc, stride_c, batch);
  return CUBLAS_STATUS_SUCCESS;
}

curandStatus_t curandCreateGenerator(curandGenerator_t *generator, curandRngType_t) {
  static char thing;
  *generator = reinterpret_cast<curandGenerator_t>(&thing);
  return CURAND_STATUS_SUCCESS;
}
curandStatus_t curandDestroyGenerator(curandGenerator_t) { return CURAND_STATUS_SUCCESS; }
curandStatus_t curandSetStream(curandGenerator_t, cudaStream_t) { return CURAND_STATUS_SUCCESS; }
curandStatus_t curandSetPseudoRandomGeneratorSeed(curandGenerator_t, unsigned long long) { return CURAND_STATUS_SUCCESS; }

}  // extern "C"
