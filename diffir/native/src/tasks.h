// The tasks of the kernels: plain structures with the same fields in the same order as those in diffir/native/bindings.py.
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
    float* values;        // where v is kept, (H, W, C), or null
};

struct FeedTask {
    Expansion expansion;  // computes gate, then value
    long hidden, value_offset;
    const void* project;
    float* out;
};

// What the backward passes of both halves of a block share. Maps and vectors are those of a batch of images; sums are kept
// for each piece, which is a band of rows of an image.
struct SharedGradients {
    Expansion expansion;        // of the forward pass
    long images;
    const float* upstream;      // gradient of the result, (images, H, W, C)
    const void* reduce;         // the weights of the 1x1 turned over, packed: from padded to C
    const float* flipped_taps;  // the taps in reverse order
    float* out;                 // gradient of the map
    float* weight_sums;         // (pieces, C, padded): gradient of the 1x1, turned over
    float* tap_sums;            // (pieces, padded / lanes, 9, lanes)
    float* gain_sums;           // (pieces, padded C)
    float* shift_sums;
};

struct FeedGradients {
    SharedGradients shared;
    long value_offset;
    const float* expand;  // the weights of the last 1x1 turned over, packed: from C to value_offset
    float* project_sums;  // (pieces, C, value_offset): its gradient
};

struct AttendGradients {
    SharedGradients shared;  // the expansion computes q, k and v
    long key_offset;
    long heads, head_channels, head_padded;
    const float* products;   // gradient of q k^T and its transpose, (images, 2, heads, padded c / lanes, c, lanes)
    const float* squares;    // twice the gradients of |q|^2 and |k|^2, (images, 2, key_offset)
    const float* mixing;     // the mixing matrix turned over, packed, for each image
};

// A piece of a map that one thread works on. Pieces of sums must not depend on the number of threads, since float sums
// depend on their order; in the other passes, the value of a pixel does not depend on the piece it lies in.
struct Piece {
    long top, bottom, left, right;
};

}  // namespace diffir
