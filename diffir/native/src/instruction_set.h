// The kernels of one instruction set: included by avx2.cpp, avx512.cpp and avx512_bf16.cpp, which set ISA (the name of a
// namespace), LANES, TILE, HAS_BF16 and RING_BYTES, and tell the compiler what the processor has.

namespace diffir {
namespace ISA {
// Everything but what is exported stays in its file: functions of one name and different instructions must never meet.
namespace {
#include "vectors.h"
#include "matrix.h"
#include "expand.h"
#include "passes.h"
}  // namespace

long sums_floats(const SumsTask& task) { return Sums::floats_of(task); }
void sums(const SumsTask& task, Piece piece, float* memory) { Sums::run(task, piece, memory); }
long mix_floats(const MixTask& task) { return Mix::floats_of(task); }
void mix(const MixTask& task, Piece piece, float* memory) {
    Mix::run(task, piece, memory);
    settle();
}
long feed_floats(const FeedTask& task) { return Feed::floats_of(task); }
void feed(const FeedTask& task, Piece piece, float* memory) {
    Feed::run(task, piece, memory);
    settle();
}

}  // namespace ISA
}  // namespace diffir
