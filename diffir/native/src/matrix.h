// Matrix products in registers: TILE rows by two vectors of columns at a time; a function receives the results.
//
// Included inside the namespace of an instruction set. The left operand lies row by row (LEFT_IS_TURNED false) or column by
// column (true: the product of a matrix turned over); the right one in blocks of LANES columns. Strides count words.

struct Left {
    const float* words;
    long stride;  // from row to row, or from column to column
};

struct Right {
    const float* words;
    long row;    // from row to row of a block
    long block;  // from block to block
};

template <bool LEFT_IS_TURNED, int ROWS, int BLOCKS>
inline void multiply_tile(Left left, Right right, long depth, vec (&sums)[ROWS][BLOCKS]) {
#pragma GCC unroll 16
    for (int row = 0; row < ROWS; ++row)
#pragma GCC unroll 2
        for (int block = 0; block < BLOCKS; ++block) sums[row][block] = vec{};
    for (long k = 0; k < depth; ++k) {
        vec columns[BLOCKS];
#pragma GCC unroll 2
        for (int block = 0; block < BLOCKS; ++block) columns[block] = load(right.words + k * right.row + block * right.block);
#pragma GCC unroll 16
        for (int row = 0; row < ROWS; ++row) {
            float word = LEFT_IS_TURNED ? left.words[k * left.stride + row] : left.words[row * left.stride + k];
#pragma GCC unroll 2
            for (int block = 0; block < BLOCKS; ++block)
                sums[row][block] = multiply_add(sums[row][block], word, columns[block]);
        }
    }
}

template <bool LEFT_IS_TURNED, int ROWS, int BLOCKS, class Keep>
inline long multiply_tiles(Left left, Right right, long depth, long row, long rows, long block, Keep keep) {
    for (; row + ROWS <= rows; row += ROWS) {
        Left here = {left.words + row * (LEFT_IS_TURNED ? 1 : left.stride), left.stride};
        vec sums[ROWS][BLOCKS];
        multiply_tile<LEFT_IS_TURNED, ROWS, BLOCKS>(here, right, depth, sums);
#pragma GCC unroll 16
        for (int r = 0; r < ROWS; ++r)
#pragma GCC unroll 2
            for (int b = 0; b < BLOCKS; ++b) keep(row + r, block + b, sums[r][b]);
    }
    return row;
}

template <bool LEFT_IS_TURNED, int BLOCKS, class Keep>
inline void multiply_blocks(Left left, Right right, long depth, long rows, long block, Keep keep) {
    long row = multiply_tiles<LEFT_IS_TURNED, TILE, BLOCKS>(left, right, depth, 0, rows, block, keep);
    if (TILE > 8) row = multiply_tiles<LEFT_IS_TURNED, 8, BLOCKS>(left, right, depth, row, rows, block, keep);
    row = multiply_tiles<LEFT_IS_TURNED, 4, BLOCKS>(left, right, depth, row, rows, block, keep);
    row = multiply_tiles<LEFT_IS_TURNED, 2, BLOCKS>(left, right, depth, row, rows, block, keep);
    multiply_tiles<LEFT_IS_TURNED, 1, BLOCKS>(left, right, depth, row, rows, block, keep);
}

// keep(row, block, vec) is called once for each vector of the product (rows x blocks * LANES).
template <bool LEFT_IS_TURNED, class Keep>
void multiply(Left left, Right right, long depth, long rows, long blocks, Keep keep) {
    long block = 0;
    for (; block + 2 <= blocks; block += 2) {
        Right here = {right.words + block * right.block, right.row, right.block};
        multiply_blocks<LEFT_IS_TURNED, 2>(left, here, depth, rows, block, keep);
    }
    if (block < blocks) {
        Right here = {right.words + block * right.block, right.row, right.block};
        multiply_blocks<LEFT_IS_TURNED, 1>(left, here, depth, rows, block, keep);
    }
}

// Weights in the order of Kernels.pack in Python: (blocks, depth, LANES) words.
inline Right packed(const void* weights, long depth) {
    return {static_cast<const float*>(weights), LANES, depth * LANES};
}
