// The tasks of the kernels: plain structures with the same fields in the same order as those in
// diffir/native/bindings.py and, for training, gradients.py.
//
// Every pass over a map begins with norm over the channels of each pixel, modulation by the prior, a 1x1 convolution and
// a depthwise 3x3 convolution. Maps are (H, W, C) float32, channels last. Widths with "padded" are rounded up to whole
// vectors; weights are packed as (padded / lanes, C, lanes), bf16 in pairs along C, taps as (padded / lanes, 9, lanes), zeros
// filling the rest.
#pragma once

namespace diffir {

struct Expansion {
    const float* map;
    long height, width, channels;
    long top, bottom;     // rows of the map to work on
    const float* gain;    // of norm and modulation together, (padded channels)
    const float* shift;
    long centred;         // 1 if the norm subtracts the mean, else 0
    const void* weights;  // 1x1, in the precision of the kernel
    const float* taps;    // 3x3
    long padded;          // channels after the 1x1
};

// The grid of cells in which attention is computed; each cell has its own sums or matrices.
struct Grid {
    long cell_height, cell_width;
    long heads, head_channels, head_padded;
};

struct SumsTask {
    Expansion expansion;  // computes q, then k
    Grid grid;
    long key_offset;      // where k begins among the expanded channels
    float* products;      // (cells, heads, c, padded c): q k^T
    float* squares;       // (cells, padded): sums of squares of q and k
};

struct MixTask {
    Expansion expansion;  // computes v
    Grid grid;
    const void* mixing;   // (cells of the rows at hand, heads, padded c / lanes, c, lanes)
    const void* project;  // packed 1x1, or null if the mixing includes it
    float* out;           // the map plus the result of attention
};

struct FeedTask {
    Expansion expansion;  // computes gate, then value
    long hidden, value_offset;
    const void* project;
    float* out;
};

// The tensors of one half of a block in training, in the layout of torch. `size` is C in attention, else `hidden`; there are
// three parts in attention (queries, keys, values), else two (gate, value).
struct HalfTensors {
    float* norm_weight;  // (C)
    float* norm_bias;    // (C), or null
    float* modulation;   // (2 C, P): gain, then shift
    float* expand;       // (parts * size, C)
    float* taps;         // (parts * size, 9)
    float* project;      // (C, size)
};

// What a block receives in training, or the gradients of it.
struct BlockTensors {
    float* map;          // (images, H, W, C)
    float* prior;        // (images, P)
    float* temperature;  // (heads)
    HalfTensors attention, feed;
};

struct BlockTask {
    long images, height, width, channels, prior_width, heads, hidden;
    BlockTensors tensors;
    float* out;   // the result, (images, H, W, C)
    float* kept;  // what the way forward keeps for the way back, block_floats numbers
};

// A piece of a map that one thread works on. Pieces of sums must not depend on the number of threads, since float sums
// depend on their order; in the other passes, the value of a pixel does not depend on the piece it lies in.
struct Piece {
    long top, bottom, left, right;
};

}  // namespace diffir
