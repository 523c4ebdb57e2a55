// The kernels of one instruction set: included by avx2.cpp, avx512.cpp and avx512_bf16.cpp, which set ISA (the name of a
// namespace), LANES, TILE, HAS_BF16 and RING_BYTES, and name the instruction set to the compiler.

namespace diffir {
namespace ISA {
// All functions that are not exported stay local to their file, since the linker must never merge functions of one name
// that use different instructions.
namespace {
#include "vectors.h"
#include "matrix.h"
#include "expand.h"
#include "passes.h"
#if !HAS_BF16
#include "gradients.h"
#endif
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

#if !HAS_BF16  // gradients are computed in float
long feed_back_floats(const FeedGradients& task) { return Backward<FeedGradients, FeedHalf>::floats_of(task); }
void feed_back(const FeedGradients& task, long image, long top, long bottom, long piece, float* memory) {
    Backward<FeedGradients, FeedHalf>::run(task, image, top, bottom, piece, memory);
}
long attend_back_floats(const AttendGradients& task) { return Backward<AttendGradients, AttendHalf>::floats_of(task); }
void attend_back(const AttendGradients& task, long image, long top, long bottom, long piece, float* memory) {
    Backward<AttendGradients, AttendHalf>::run(task, image, top, bottom, piece, memory);
}
#endif

}  // namespace ISA
}  // namespace diffir
