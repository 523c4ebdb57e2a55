// Kernels for processors with AVX-512 and its bf16 products: matrices in bf16, sums in float.
#if __GNUC__ >= 10  // older compilers do not know these instructions
#include <immintrin.h>

#include "tasks.h"

#pragma GCC target("avx512bf16,avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")
#define ISA avx512_bf16
#define LANES 16
#define TILE 11
#define HAS_BF16 1
#define RING_BYTES (400 << 10)
#include "instruction_set.h"
#endif
