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
#include "threads.h"
#include "gradients.h"
#include "small_matrices.h"
#include "packing.h"
#include "block.h"
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

#if !HAS_BF16  // training computes in float
long block_floats(const BlockTask& task) { return Block(task, 1).kept_floats; }
int block_forward(const BlockTask& task, int threads) { return Block(task, threads).forward(); }
int block_backward(const BlockTask& task, const BlockTensors& gradients, const float* upstream, int threads) {
    return Block(task, threads).backward(gradients, upstream);
}
#endif

}  // namespace ISA
}  // namespace diffir
