// The ten AVX-512 instructions that the kernels name, in plain C++, so that the AVX-512 kernels run on processors with AVX2.
// The compiler includes this file before each source (-include), and divides vectors of 16 floats into two of 8. Results
// are those of Intel's manual for numbers that are neither NaN nor denormal, except that the estimate rcp14 is exact here.
#pragma once
#include <immintrin.h>

#include <cstring>

namespace emulated {
typedef float floats __attribute__((vector_size(64)));
typedef int ints __attribute__((vector_size(64)));
typedef unsigned short halves __attribute__((vector_size(64)));
typedef unsigned short half_of_halves __attribute__((vector_size(32)));

template <class To, class From>
inline To bits_of(From from) {
    static_assert(sizeof(To) == sizeof(From), "a register stays as long as it is");
    To to;
    std::memcpy(&to, &from, sizeof(to));
    return to;
}

// Rounds to the nearest bf16, halfway cases to an even one.
inline unsigned short rounded(float value) {
    const unsigned int bits = bits_of<unsigned int>(value);
    return (bits + 0x7FFF + (bits >> 16 & 1)) >> 16;
}
inline float widened(unsigned short half) { return bits_of<float>((unsigned int)half << 16); }

inline floats one_in_all(float value) { return floats{} + value; }
inline void stream(float* to, floats value) { *reinterpret_cast<floats*>(to) = value; }
inline floats inverse(floats value) { return 1.0f / value; }
inline ints words_of_halves(half_of_halves value) { return __builtin_convertvector(value, ints); }
inline ints shifted(ints value, int places) { return value << places; }

inline half_of_halves narrowed(floats value) {
    half_of_halves result;
    for (int i = 0; i < 16; ++i) result[i] = rounded(value[i]);
    return result;
}

// The numbers of `low` come first, as in the manual, whose first argument is the upper half.
inline halves narrowed_both(floats high, floats low) {
    halves result;
    for (int i = 0; i < 16; ++i) result[i] = rounded(low[i]), result[16 + i] = rounded(high[i]);
    return result;
}

inline halves permuted(halves order, halves value) { return __builtin_shuffle(value, order); }

template <class... Halves>
inline halves reversed(Halves... from_last_to_first) {
    const int given[] = {from_last_to_first...};
    halves result;
    for (int i = 0; i < 32; ++i) result[i] = given[31 - i];
    return result;
}

inline floats products_of_pairs(floats sum, halves first, halves second) {
    for (int i = 0; i < 16; ++i) {
        sum[i] += widened(first[2 * i + 1]) * widened(second[2 * i + 1]);
        sum[i] += widened(first[2 * i]) * widened(second[2 * i]);
    }
    return sum;
}
}  // namespace emulated

#define __builtin_cpu_supports(name) 1

#define EMULATED(TO, WHAT) emulated::bits_of<TO>(WHAT)
#define REGISTER(TO, VALUE) emulated::bits_of<emulated::TO>(VALUE)
#define _mm512_stream_ps(to, value) emulated::stream(to, REGISTER(floats, value))
#define _mm512_rcp14_ps(value) EMULATED(__m512, emulated::inverse(REGISTER(floats, value)))
#define _mm512_set1_ps(value) EMULATED(__m512, emulated::one_in_all(value))
#define _mm512_cvtepu16_epi32(value) EMULATED(__m512i, emulated::words_of_halves(REGISTER(half_of_halves, value)))
#define _mm512_slli_epi32(value, places) EMULATED(__m512i, emulated::shifted(REGISTER(ints, value), places))
#define _mm512_cvtneps_pbh(value) EMULATED(__m256i, emulated::narrowed(REGISTER(floats, value)))
#define _mm512_cvtne2ps_pbh(high, low) \
    EMULATED(__m512i, emulated::narrowed_both(REGISTER(floats, high), REGISTER(floats, low)))
#define _mm512_permutexvar_epi16(order, value) \
    EMULATED(__m512i, emulated::permuted(REGISTER(halves, order), REGISTER(halves, value)))
#define _mm512_set_epi16(...) EMULATED(__m512i, emulated::reversed(__VA_ARGS__))
#define _mm512_dpbf16_ps(sum, first, second) \
    EMULATED(__m512, emulated::products_of_pairs(REGISTER(floats, sum), REGISTER(halves, first), REGISTER(halves, second)))
