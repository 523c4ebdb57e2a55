// Kernels for processors with AVX2 and FMA: 16 registers of 8 floats.
#include <immintrin.h>

#include "tasks.h"

#pragma GCC target("avx2,fma")
#define ISA avx2
#define LANES 8
#define TILE 6
#define HAS_BF16 0
#define RING_BYTES (160 << 10)
#include "instruction_set.h"
