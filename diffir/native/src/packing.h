// Weights on their way to the kernels, and gradients on their way back: between the layout of torch and that of the kernels
// (see tasks.h). Training does this in every step.
//
// Included inside the namespace of an instruction set.

// Channels that consist of equal parts, such as gate and value, each of which the kernels want padded to whole vectors.
struct Parts {
    long count, size;

    long whole() const { return count * size; }
    long padded() const { return count * rounded_up(size); }
    // Where a channel lies among the padded ones.
    long place(long channel) const { return channel / size * rounded_up(size) + channel % size; }
};

// Packs a matrix (outputs, inputs) to (padded outputs / LANES, depth, LANES). The inputs are padded if they have several parts.
inline void pack(const float* matrix, Parts outputs, Parts inputs, float* packed) {
    const long depth = inputs.count > 1 ? inputs.padded() : inputs.size;
    __builtin_memset(packed, 0, outputs.padded() * depth * sizeof(float));
    for (long output = 0; output < outputs.whole(); ++output) {
        const long place = outputs.place(output);
        float* column = packed + place / LANES * depth * LANES + place % LANES;
        for (long part = 0; part < inputs.count; ++part, column += rounded_up(inputs.size) * LANES)
            for (long k = 0; k < inputs.size; ++k) column[k * LANES] = *matrix++;
    }
}

// The same for a matrix (inputs, outputs).
inline void pack_turned(const float* matrix, Parts outputs, Parts inputs, float* packed) {
    const long depth = inputs.count > 1 ? inputs.padded() : inputs.size;
    __builtin_memset(packed, 0, outputs.padded() * depth * sizeof(float));
    for (long input = 0; input < inputs.whole(); ++input) {
        float* row = packed + (inputs.count > 1 ? inputs.place(input) : input) * LANES;
        for (long part = 0; part < outputs.count; ++part)
            for (long first = 0; first < outputs.size; first += LANES, row += depth * LANES) {
                const long count = smaller(LANES, outputs.size - first);
                for (long lane = 0; lane < count; ++lane) row[lane] = *matrix++;
            }
    }
}

// Packs depthwise taps (channels, 9) to (padded / LANES, 9, LANES), and in reverse order for the way back.
inline void pack_taps(const float* taps, Parts parts, float* packed, float* flipped) {
    __builtin_memset(packed, 0, parts.padded() * 9 * sizeof(float));
    __builtin_memset(flipped, 0, parts.padded() * 9 * sizeof(float));
    for (long channel = 0; channel < parts.whole(); ++channel) {
        const long place = parts.place(channel), first = place / LANES * 9 * LANES + place % LANES;
        for (long tap = 0; tap < 9; ++tap) packed[first + tap * LANES] = flipped[first + (8 - tap) * LANES] = *taps++;
    }
}

// Adds the sums of all pieces, (pieces, count), to those of the first one.
inline void add_up(float* sums, long pieces, long count) {
    for (long piece = 1; piece < pieces; ++piece)
        for (long i = 0; i < count; ++i) sums[i] += sums[piece * count + i];
}

// Unpacks sums (rows, padded) to (rows, channels).
inline void unpack(const float* sums, long rows, Parts parts, float* out) {
    for (long row = 0; row < rows; ++row, sums += parts.padded())
        for (long channel = 0; channel < parts.whole(); ++channel) *out++ = sums[parts.place(channel)];
}

// Unpacks sums (rows, padded) to (channels, rows).
inline void unpack_turned(const float* sums, long rows, Parts parts, float* out) {
    for (long channel = 0; channel < parts.whole(); ++channel)
        for (long row = 0; row < rows; ++row) *out++ = sums[row * parts.padded() + parts.place(channel)];
}

// Unpacks sums of taps, (padded / LANES, 9, LANES), to (channels, 9).
inline void unpack_taps(const float* sums, Parts parts, float* out) {
    for (long channel = 0; channel < parts.whole(); ++channel) {
        const long place = parts.place(channel), first = place / LANES * 9 * LANES + place % LANES;
        for (long tap = 0; tap < 9; ++tap) *out++ = sums[first + tap * LANES];
    }
}
