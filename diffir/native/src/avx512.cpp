// Kernels for processors with AVX-512: 32 registers of 16 floats. The 64 + 2 columns of a panel are six tiles of 11.
#include <immintrin.h>

#include "tasks.h"

#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")
#define ISA avx512
#define LANES 16
#define TILE 11
#define HAS_BF16 0
#define RING_BYTES (700 << 10)
#include "instruction_set.h"
