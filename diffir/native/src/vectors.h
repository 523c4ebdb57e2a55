// Vectors of LANES floats, and the two types of factors in matrix products: float, and pairs of bf16.
//
// Included once for each instruction set, inside its namespace: LANES, TILE and HAS_BF16 are set there. GCC's vector types
// stand for registers; "a word" is 4 bytes of an operand: one float, or two bf16 that are summed together.

typedef float vec __attribute__((vector_size(4 * LANES)));
typedef float loose_vec __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

inline vec load(const float* from) { return *reinterpret_cast<const loose_vec*>(from); }
inline void store(float* to, vec value) { *reinterpret_cast<loose_vec*>(to) = value; }

inline vec load_part(const float* from, long count) {
    vec value = {};
    __builtin_memcpy(&value, from, 4 * count);
    return value;
}

inline void store_part(float* to, vec value, long count) { __builtin_memcpy(to, &value, 4 * count); }

// Returns the sum of all lanes in each lane.
inline vec sum_of(vec value) {
    typedef int places __attribute__((vector_size(4 * LANES)));
    places own;
    for (int i = 0; i < LANES; ++i) own[i] = i;
#pragma GCC unroll 4
    for (int half = LANES / 2; half; half /= 2) value += __builtin_shuffle(value, own ^ half);
    return value;
}

inline vec lower(vec a, float b) { return a < b ? a : vec{} + b; }
inline vec higher(vec a, float b) { return a > b ? a : vec{} + b; }

#if LANES == 16
// Stores past the caches, to an address that is a multiple of a vector's size.
inline void stream(float* to, vec value) { _mm512_stream_ps(to, (__m512)value); }
inline vec rough_inverse(vec value) { return (vec)_mm512_rcp14_ps((__m512)value); }
#else
inline void stream(float* to, vec value) { _mm256_stream_ps(to, (__m256)value); }
inline vec rough_inverse(vec value) { return (vec)_mm256_rcp_ps((__m256)value); }
#endif

// Completes all streamed stores before another thread reads them.
inline void settle() { _mm_sfence(); }

// e^x for x from -80 to 0: 2^n times a polynomial (Taylor) of the rest, which is below ln(2) / 2; error 2e-7 of the result.
inline vec exponential(vec x) {
    typedef int ints __attribute__((vector_size(4 * LANES)));
    constexpr float ROUNDS = 12582912.0f;  // 1.5 * 2^23: a float of this size has no places for fractions
    const vec moved = x * 1.44269504f + ROUNDS, n = moved - ROUNDS;
    const vec r = (x - n * 0.693359375f) - n * -2.12194440e-4f;
    vec sum = vec{} + 1.0f / 720;
    sum = sum * r + 1.0f / 120;
    sum = sum * r + 1.0f / 24;
    sum = sum * r + 1.0f / 6;
    sum = sum * r + 0.5f;
    sum = sum * r + 1.0f;
    sum = sum * r + 1.0f;
    const ints power = (reinterpret_cast<ints>(moved) - 0x4B400000 + 127) << 23;
    return sum * reinterpret_cast<vec>(power);
}

#if HAS_BF16
struct Bf16 {
    unsigned short bits;
};
typedef Bf16 Number;

inline vec load(const Bf16* from) {
    __m256i half = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
    return reinterpret_cast<vec>(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16));
}

inline void store(Bf16* to, vec value) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), (__m256i)_mm512_cvtneps_pbh((__m512)value));
}

// (first, second) of each lane as one word.
inline vec paired(vec first, vec second) {
    const __m512i order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6,
                                           21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    __m512i both = (__m512i)_mm512_cvtne2ps_pbh((__m512)second, (__m512)first);
    return reinterpret_cast<vec>(_mm512_permutexvar_epi16(order, both));
}

inline vec multiply_add(vec sum, float word, vec words) {
    return reinterpret_cast<vec>(_mm512_dpbf16_ps((__m512)sum, (__m512bh)_mm512_set1_ps(word), (__m512bh)words));
}
#else
typedef float Number;

inline vec multiply_add(vec sum, float word, vec words) { return sum + word * words; }
#endif

constexpr long NUMBERS_IN_A_WORD = 4 / sizeof(Number);

inline long words_of(long numbers) { return (numbers + NUMBERS_IN_A_WORD - 1) / NUMBERS_IN_A_WORD; }
inline long rounded_up(long count) { return (count + LANES - 1) / LANES * LANES; }
inline long smaller(long a, long b) { return a < b ? a : b; }
inline long larger(long a, long b) { return a > b ? a : b; }
