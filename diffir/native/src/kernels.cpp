// The functions that Python calls through ctypes: which kernels this processor can run, and the passes over a map with
// several threads.
#include "tasks.h"

namespace diffir {

#define DECLARE(ISA)                                    \
    namespace ISA {                                     \
    long sums_floats(const SumsTask&);                  \
    void sums(const SumsTask&, Piece, float*);          \
    long mix_floats(const MixTask&);                    \
    void mix(const MixTask&, Piece, float*);            \
    long feed_floats(const FeedTask&);                  \
    void feed(const FeedTask&, Piece, float*);          \
    long block_floats(const BlockTask&);                \
    int block_forward(const BlockTask&, int threads);   \
    int block_backward(const BlockTask&, const BlockTensors& gradients, const float* upstream, int threads); \
    }
DECLARE(avx2)
DECLARE(avx512)
#if __GNUC__ >= 10  // older compilers do not know these instructions
#define DIFFIR_HAS_BF16 1
DECLARE(avx512_bf16)
#else
#define DIFFIR_HAS_BF16 0
namespace avx512_bf16 = avx512;  // never chosen
#endif

enum Kernels { AVX2, AVX512, AVX512_BF16, KINDS };

template <class Task>
struct Pass {
    long (*floats)(const Task&);
    void (*run)(const Task&, Piece, float*);
};

const Pass<SumsTask> SUMS[KINDS] = {
    {avx2::sums_floats, avx2::sums}, {avx512::sums_floats, avx512::sums}, {avx512_bf16::sums_floats, avx512_bf16::sums}};
const Pass<MixTask> MIX[KINDS] = {
    {avx2::mix_floats, avx2::mix}, {avx512::mix_floats, avx512::mix}, {avx512_bf16::mix_floats, avx512_bf16::mix}};
const Pass<FeedTask> FEED[KINDS] = {
    {avx2::feed_floats, avx2::feed}, {avx512::feed_floats, avx512::feed}, {avx512_bf16::feed_floats, avx512_bf16::feed}};

#include "threads.h"

// Divides the rows and columns of a map into pieces.
template <class Task>
int run_pieces(const Pass<Task>& pass, const Task& task, long piece_rows, long piece_columns, int threads) {
    const Expansion& job = task.expansion;
    const long down = (job.bottom - job.top + piece_rows - 1) / piece_rows;
    const long across = (job.width + piece_columns - 1) / piece_columns;
    return share_out(down * across, pass.floats(task), threads, [&](long number, float* memory) {
        Piece piece;
        piece.top = job.top + number / across * piece_rows;
        piece.bottom = piece.top + piece_rows < job.bottom ? piece.top + piece_rows : job.bottom;
        piece.left = number % across * piece_columns;
        piece.right = piece.left + piece_columns < job.width ? piece.left + piece_columns : job.width;
        pass.run(task, piece, memory);
    });
}

}  // namespace diffir

extern "C" {

// Bit k is set if this processor has the instructions of the kernels of kind k.
int diffir_kernels() {
    __builtin_cpu_init();
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
#if DIFFIR_HAS_BF16
    const bool bf16 = avx512 && __builtin_cpu_supports("avx512bf16");
#else
    const bool bf16 = false;
#endif
    return avx2 << diffir::AVX2 | avx512 << diffir::AVX512 | bf16 << diffir::AVX512_BF16;
}

// The sizes of the task structures in bytes; if Python's differ, the library was built from another version.
int diffir_layout() {
    return sizeof(diffir::SumsTask) << 20 | sizeof(diffir::MixTask) << 10 | sizeof(diffir::FeedTask);
}

// The same for the structure of training.
int diffir_block_layout() { return sizeof(diffir::BlockTask); }

int diffir_sums(int kind, const diffir::SumsTask* task, long piece_rows, long piece_columns, int threads) {
    return diffir::run_pieces(diffir::SUMS[kind], *task, piece_rows, piece_columns, threads);
}

int diffir_mix(int kind, const diffir::MixTask* task, long piece_rows, long piece_columns, int threads) {
    return diffir::run_pieces(diffir::MIX[kind], *task, piece_rows, piece_columns, threads);
}

int diffir_feed(int kind, const diffir::FeedTask* task, long piece_rows, long piece_columns, int threads) {
    return diffir::run_pieces(diffir::FEED[kind], *task, piece_rows, piece_columns, threads);
}

// Training computes in float.
long diffir_block_floats(int kind, const diffir::BlockTask* task) {
    return kind == diffir::AVX2 ? diffir::avx2::block_floats(*task) : diffir::avx512::block_floats(*task);
}

int diffir_block_forward(int kind, const diffir::BlockTask* task, int threads) {
    return kind == diffir::AVX2 ? diffir::avx2::block_forward(*task, threads) : diffir::avx512::block_forward(*task, threads);
}

int diffir_block_backward(int kind, const diffir::BlockTask* task, const diffir::BlockTensors* gradients,
                          const float* upstream, int threads) {
    return kind == diffir::AVX2 ? diffir::avx2::block_backward(*task, *gradients, upstream, threads)
                                : diffir::avx512::block_backward(*task, *gradients, upstream, threads);
}
}
