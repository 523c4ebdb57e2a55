// Kernels for processors with AVX-512: 32 registers of 16 floats.
#include <immintrin.h>

#include "tasks.h"

#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")
#define ISA avx512
#define LANES 16
#define TILE 12
#define HAS_BF16 0
#define RING_BYTES (400 << 10)
#include "instruction_set.h"
