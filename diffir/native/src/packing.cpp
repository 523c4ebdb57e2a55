// Weights on their way to the backward passes, and gradients on their way back: between the layout of torch and that of the
// kernels (see tasks.h). Training does this in every step, and in Python it would take as long as the kernels on small maps.
//
// Channels consist of equal parts, such as gate and value, each of which the kernels want padded to whole vectors of `lanes`.

namespace {

long padded(long size, long lanes) { return (size + lanes - 1) / lanes * lanes; }

}  // namespace

extern "C" {

// Packs `count` matrices (outputs, inputs), or (inputs, outputs) if they are turned over, to (padded outputs / lanes, inputs,
// lanes). Inputs of several parts are padded, too.
void diffir_pack(const float* matrices, long count, long output_parts, long output_size, long input_parts, long input_size,
                 long is_turned, long lanes, float* packed) {
    const long outputs = output_parts * output_size, inputs = input_parts * input_size;
    const long wide = padded(output_size, lanes), deep = input_parts > 1 ? padded(input_size, lanes) : input_size;
    const long output_step = is_turned ? 1 : inputs, input_step = is_turned ? outputs : 1, depth = input_parts * deep;
    for (long matrix = 0; matrix < count; ++matrix, matrices += outputs * inputs)
        for (long block = 0; block < output_parts * wide / lanes; ++block) {
            const long part = block * lanes / wide, start = block * lanes % wide;
            const long rest = output_size - start < lanes ? output_size - start : lanes;
            const float* from = matrices + (part * output_size + start) * output_step;
            for (long k = 0; k < depth; ++k, packed += lanes) {
                const bool is_padding = k % deep >= input_size;
                const float* column = from + (k / deep * input_size + k % deep) * input_step;
                for (long lane = 0; lane < lanes; ++lane)
                    packed[lane] = lane < rest && !is_padding ? column[lane * output_step] : 0;
            }
        }
}

// Packs depthwise taps (parts * size, 9) to (padded / lanes, 9, lanes), in reverse order if they are flipped.
void diffir_pack_taps(const float* taps, long parts, long size, long is_flipped, long lanes, float* packed) {
    const long wide = padded(size, lanes);
    for (long channel = 0; channel < parts * wide; ++channel)
        for (long tap = 0; tap < 9; ++tap) {
            const long part = channel / wide, own = channel % wide;
            const float* from = taps + (part * size + own) * 9;
            packed[(channel / lanes * 9 + tap) * lanes + channel % lanes] = own < size ? from[is_flipped ? 8 - tap : tap] : 0;
        }
}

// Adds up the sums (rows, parts * padded size) of all pieces and leaves out the padding: (rows, parts * size), or turned over.
void diffir_unpack(const float* sums, long pieces, long rows, long parts, long size, long is_turned, long lanes, float* out) {
    const long wide = padded(size, lanes), columns = parts * wide;
    for (long row = 0; row < rows; ++row)
        for (long part = 0; part < parts; ++part)
            for (long own = 0; own < size; ++own) {
                float sum = 0;
                for (long piece = 0; piece < pieces; ++piece) sum += sums[(piece * rows + row) * columns + part * wide + own];
                const long column = part * size + own;
                out[is_turned ? column * rows + row : row * parts * size + column] = sum;
            }
}

// The same for the taps: from (pieces, padded / lanes, 9, lanes) to (parts * size, 9).
void diffir_unpack_taps(const float* sums, long pieces, long parts, long size, long lanes, float* out) {
    const long wide = padded(size, lanes);
    for (long part = 0; part < parts; ++part)
        for (long own = 0; own < size; ++own)
            for (long tap = 0; tap < 9; ++tap) {
                const long channel = part * wide + own;
                float sum = 0;
                for (long piece = 0; piece < pieces; ++piece)
                    sum += sums[piece * parts * wide * 9 + (channel / lanes * 9 + tap) * lanes + channel % lanes];
                *out++ = sum;
            }
}
}
