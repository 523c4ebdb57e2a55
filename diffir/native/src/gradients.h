// The passes back through the two halves of a block, in float. They recompute the forward pass row by row, so that only the
// map that a half received must be kept, and expanded rows and their gradients never leave the cache.
//
// Included inside the namespace of an instruction set. "Expanded" are the channels behind the 1x1 convolution, "spread"
// those behind the depthwise convolution after it; "upstream" is the gradient of the result. Sums over pixels are kept for
// each piece, a band of rows of an image, and added up in order, so they do not depend on the number of threads.

// What the backward passes of both halves of a block share. Maps and vectors are those of a batch of images.
struct SharedGradients {
    Expansion expansion;        // of the forward pass
    const float* upstream;      // gradient of the result, (images, H, W, C)
    const float* reduce;        // the weights of the 1x1 turned over, packed: from padded to C
    const float* flipped_taps;  // the taps in reverse order
    float* out;                 // gradient of the map
    float* weight_sums;         // (pieces, C, padded): gradient of the 1x1, turned over
    float* tap_sums;            // (pieces, padded / LANES, 9, LANES)
    float* gain_sums;           // (bands of all images, padded C)
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
    const float* products;   // gradient of q k^T and its transpose, (images, 2, heads, padded c / LANES, c, LANES)
    const float* squares;    // twice the gradients of |q|^2 and |k|^2, (images, 2, key_offset)
    const float* mixing;     // the mixing matrix turned over, packed, for each image
};

// A band of rows of an image, its number among those of all images, and the piece to whose sums it adds. Several low images
// are one piece.
struct Band {
    long image, top, bottom, number, piece;
};

// The expansion of one image of a batch.
inline Expansion of_image(Expansion job, long image) {
    job.map += image * job.height * job.width * job.channels;
    job.gain += image * rounded_up(job.channels), job.shift += image * rounded_up(job.channels);
    return job;
}

constexpr long PENDING = 64;  // pixels from which gradients of matrices are summed at once: both factors fit the caches

// GELU and its derivative.
inline void gelu_and_slope(vec x, vec& value, vec& slope) {
    const vec below = 0.5f + 0.5f * erf_of_halved(x);  // the normal distribution function
    value = x * below;
    slope = below + x * 0.39894228f * exponential(higher(x * x * -0.5f, -80.0f));
}

// Rows of pixels, of which the gradients of matrices are sums.
struct Rows {
    float* pixels;
    long stride;

    // Numbers of PENDING pixels and more: the row that completes them, and another one that is begun.
    static long room(long width, long stride) { return (PENDING + 2 * width + COLUMNS_AT_ONCE) * stride; }
    float* at(long pixel) const { return pixels + pixel * stride; }
};

// Adds left^T right, summed over pixels, to a matrix (channels of left, width); width counts whole vectors of right.
inline void add_product(Left left, long channels, const Rows& right, long width, long count, float* sums) {
    for (long first = 0; first < count; first += PENDING) {
        const Left turned = {left.words + first * left.stride, left.stride};
        const Right columns = {right.at(first), right.stride, LANES};
        const long pixels = smaller(PENDING, count - first);
        multiply<true>(turned, columns, pixels, channels, width / LANES, [=](long row, long block, vec value) {
            float* place = sums + row * width + block * LANES;
            store(place, load(place) + value);
        });
    }
}

// Runs backward through norm, 1x1 and depthwise convolution. Half says what follows them: its `spread` computes a row of the
// gradient behind the depthwise convolution, and its `flush` adds sums of its own.
template <class Task, class Half>
class Backward {
   public:
    static long floats_of(const Task& task) {
        const Expansion& job = task.shared.expansion;
        const long width = job.width, channels = rounded_up(job.channels);
        return 2 * Shares::room(Ring::numbers(job, width)) + Shares::room(RING_ROWS * width * channels) +
               2 * Shares::room(Rows::room(width, channels)) + Shares::room(Rows::room(width, stride_of(job.padded))) +
               Half::floats_of(task);
    }

    static void run(const Task& task, Band band, float* memory) {
        Backward(task.shared, Half(task, band.image, band.piece), band, memory).run(band.top, band.bottom);
    }

   private:
    Backward(const SharedGradients& shared, Half half, Band band, float* memory)
        : shared(shared), job(of_image(shared.expansion, band.image)), flipped(turned(job, shared.flipped_taps)),
          width(job.width), channels(rounded_up(job.channels)), shares(memory),
          expanded(job, shares.take(Ring::numbers(job, width))), spread(flipped, shares.take(Ring::numbers(job, width))),
          normed_ring(shares.take(RING_ROWS * width * channels)), normed{shares.take(Rows::room(width, channels)), channels},
          to_norm{shares.take(Rows::room(width, channels)), channels},
          folded{shares.take(Rows::room(width, stride_of(job.padded))), stride_of(job.padded)}, half(half) {
        const long numbers = band.image * job.height * job.width * job.channels;
        upstream = shared.upstream + numbers;
        out = shared.out + numbers;
        weight_sums = shared.weight_sums + band.piece * job.channels * job.padded;
        tap_sums = shared.tap_sums + band.piece * job.padded * 9;
        gain_sums = shared.gain_sums + band.number * channels;
        shift_sums = shared.shift_sums + band.number * channels;
        expanded.begin_panel(0, width);
        spread.begin_panel(0, width);
        this->half.take_memory(shares);
    }

    static Expansion turned(Expansion job, const float* taps) {
        job.taps = taps;
        return job;
    }

    // A row of gradients needs the rows of the map around it twice: to recompute, and to go back through the convolution.
    void run(long top, long bottom) {
        expand(top - 2);
        expand(top - 1);
        first = top;
        for (long row = top - 1; row <= bottom; ++row) {
            expand(row + 1);
            const bool is_inside = row >= 0 && row < job.height, is_own = row >= top && row < bottom;
            spread.clear_row(row, is_inside);
            if (is_inside)
                half.spread_row(expanded, spread, row, upstream_of(row), is_own ? (row - first) * width : -1);
            if (is_own) add_taps(row);
            if (row > top) fold_row(row - 1);
            if (row > top && ((row - first) * width >= PENDING || row == bottom)) flush(row);
        }
    }

    Left upstream_of(long row) const { return {upstream + row * width * job.channels, job.channels}; }

    void expand(long row) {
        expanded.write_normed_to(normed_ring + (row + RING_ROWS) % RING_ROWS * width * channels);
        expanded.expand_row(row);
    }

    // Gradients of the taps: the sums over a row of gradient times shifted input.
    void add_taps(long row) {
        for (long block = 0; block < job.padded / LANES; ++block) {
            const Number* gradient = spread.line(block, row) + LANES;
            const Number* above = expanded.line(block, row - 1);
            const Number* same = expanded.line(block, row);
            const Number* below = expanded.line(block, row + 1);
            vec sums[9] = {};
            for (long column = 0; column < width; ++column) {
                const vec here = load(gradient + column * LANES);
#pragma GCC unroll 3
                for (int dx = 0; dx < 3; ++dx) {
                    sums[dx] += here * load(above + (column + dx) * LANES);
                    sums[3 + dx] += here * load(same + (column + dx) * LANES);
                    sums[6 + dx] += here * load(below + (column + dx) * LANES);
                }
            }
            for (int tap = 0; tap < 9; ++tap) {
                float* place = tap_sums + (block * 9 + tap) * LANES;
                store(place, load(place) + sums[tap]);
            }
        }
    }

    // Runs a row back through the depthwise convolution, and keeps the pixels that the 1x1 convolution had received.
    void fold_row(long row) {
        const long place = (row - first) * width;
        spread.convolve_row(row, folded.at(place), folded.stride);
        __builtin_memcpy(normed.at(place), normed_ring + row % RING_ROWS * width * channels, width * channels * sizeof(float));
    }

    // Runs the rows from `first` to `end`, which are complete, back through the 1x1 convolution and the norm.
    void flush(long end) {
        const long count = (end - first) * width;
        const Rows target = to_norm;
        multiply<false>({folded.pixels, folded.stride}, packed(shared.reduce, job.padded), job.padded, count, channels / LANES,
                        [=](long pixel, long block, vec value) { store(target.at(pixel) + block * LANES, value); });
        for (long pixel = 0; pixel < count; ++pixel) through_norm(first * width + pixel, to_norm.at(pixel));
        add_product({normed.pixels, normed.stride}, job.channels, folded, job.padded, count, weight_sums);
        half.flush(upstream_of(first), count);
        first = end;
    }

    void through_norm(long pixel, const float* gradient) {
        const long blocks = channels / LANES, rest = job.channels % LANES, place = pixel * job.channels;
        vec values[blocks], total = {};
        for (long b = 0; b < blocks; ++b) {
            const float* from = job.map + place + b * LANES;
            values[b] = b == blocks - 1 && rest ? load_part(from, rest) : load(from);
            total += values[b];
        }
        const vec mean = sum_of(total) / (float)job.channels;
        vec squares = {};
        for (long b = 0; b < blocks; ++b) {
            vec distance = values[b] - mean;
            if (b == blocks - 1 && rest) distance = load_part(reinterpret_cast<float*>(&distance), rest);
            squares += distance * distance;
        }
        const float scale = 1 / __builtin_sqrtf(sum_of(squares)[0] / job.channels + NORM_EPS);
        const vec from = job.centred ? mean : vec{};
        vec slopes = {}, products = {};
        for (long b = 0; b < blocks; ++b) {
            const vec arrived = load(gradient + b * LANES), value = (values[b] - from) * scale;
            const vec slope = arrived * load(job.gain + b * LANES);
            slopes += slope, products += slope * value;
            float *gains = gain_sums + b * LANES, *shifts = shift_sums + b * LANES;
            store(gains, load(gains) + arrived * value);
            store(shifts, load(shifts) + arrived);
        }
        const vec average = job.centred ? sum_of(slopes) / (float)job.channels : vec{};
        const vec share = sum_of(products) * scale / (float)job.channels;
        for (long b = 0; b < blocks; ++b) {
            const vec slope = load(gradient + b * LANES) * load(job.gain + b * LANES);
            const vec change = (slope - average - (values[b] - mean) * share) * scale;
            const float* passed = upstream + place + b * LANES;
            float* target = out + place + b * LANES;
            if (b == blocks - 1 && rest)
                store_part(target, load_part(passed, rest) + change, rest);
            else
                store(target, load(passed) + change);
        }
    }

    const SharedGradients& shared;
    const Expansion job, flipped;
    const long width, channels;  // the latter rounded up
    Shares shares;
    Ring expanded, spread;
    float* normed_ring;
    const Rows normed, to_norm, folded;
    Half half;
    const float* upstream;
    float *out, *weight_sums, *tap_sums, *gain_sums, *shift_sums;
    long first = 0;  // row of the map whose pixels come first in `normed`, `to_norm` and `folded`
};

// Behind the depthwise convolution of the gated network: the product of GELU(gate) and value, and a 1x1 convolution.
class FeedHalf {
   public:
    static long floats_of(const FeedGradients& task) {
        const long width = task.shared.expansion.width, padded = task.value_offset;
        return Shares::room(Rows::room(width, stride_of(padded))) + Shares::room(width * padded);
    }

    FeedHalf(const FeedGradients& task, long, long piece)
        : task(task), width(task.shared.expansion.width), channels(task.shared.expansion.channels), padded(task.value_offset),
          project_sums(task.project_sums + piece * channels * padded) {}

    void take_memory(Shares& shares) {
        gated = {shares.take(Rows::room(width, stride_of(padded))), stride_of(padded)};
        gradients = shares.take(width * padded);
    }

    // Writes the gradients of gate and value of a row. The gated product is kept from pixel `place` on; -1 does not keep it.
    void spread_row(const Ring& expanded, Ring& spread, long row, Left upstream, long place) {
        float* target = gradients;
        const long stride = width;
        multiply<false>(upstream, packed(task.expand, channels), channels, width, padded / LANES,
                        [=](long pixel, long block, vec value) { store(target + (block * stride + pixel) * LANES, value); });
        for (long block = 0; block < padded / LANES; ++block) {
            float* to_gate = spread.line(block, row) + LANES;
            float* to_value = spread.line(block + padded / LANES, row) + LANES;
            for (long column = 0; column < width; column += COLUMNS_AT_ONCE) {
                vec gate[COLUMNS_AT_ONCE], value[COLUMNS_AT_ONCE];
                expanded.convolve(row, block, column, gate);
                expanded.convolve(row, block + padded / LANES, column, value);
                for (long i = 0; i < smaller(COLUMNS_AT_ONCE, width - column); ++i) {
                    vec activated, slope;
                    gelu_and_slope(gate[i], activated, slope);
                    const vec arrived = load(gradients + (block * width + column + i) * LANES);
                    store(to_gate + (column + i) * LANES, arrived * value[i] * slope);
                    store(to_value + (column + i) * LANES, arrived * activated);
                    if (place >= 0) store(gated.at(place + column + i) + block * LANES, activated * value[i]);
                }
            }
        }
    }

    // Adds to the gradient of the last convolution. The row that is begun moves to the beginning.
    void flush(Left upstream, long count) {
        add_product(upstream, channels, gated, padded, count, project_sums);
        __builtin_memcpy(gated.pixels, gated.at(count), width * gated.stride * sizeof(float));
    }

   private:
    const FeedGradients& task;
    const long width, channels, padded;
    Rows gated;
    float *gradients, *project_sums;
};

// Behind the depthwise convolution of attention: the sums q k^T, |q|^2 and |k|^2, and the mixing of the values. Gradients of
// the sums and of the mixing matrix are known, since they follow from sums over the whole map.
class AttendHalf {
   public:
    static long floats_of(const AttendGradients& task) {
        return 4 * Shares::room(task.shared.expansion.width * stride_of(task.key_offset));
    }

    AttendHalf(const AttendGradients& task, long image, long)
        : task(task), image(image), width(task.shared.expansion.width), channels(task.shared.expansion.channels),
          padded(task.key_offset), stride(stride_of(padded)) {}

    void take_memory(Shares& shares) {
        for (float*& part : pixels) part = shares.take(width * stride);
        for (float*& part : products) {
            part = shares.take(width * stride);
            __builtin_memset(part, 0, width * stride * sizeof(float));  // no head reaches the channels beyond the last
        }
    }

    // Writes the gradients of queries, keys and values of a row.
    void spread_row(const Ring& expanded, Ring& spread, long row, Left upstream, long) {
        for (int part = 0; part < 2; ++part) recompute(expanded, row, part);
        for (int part = 0; part < 2; ++part) {
            multiply_heads(part);
            const float* squares = task.squares + (image * 2 + part) * padded;
            for (long block = 0; block < padded / LANES; ++block) {
                float* target = spread.line(part * padded / LANES + block, row) + LANES;
                const float *product = products[part] + block * LANES, *own = pixels[part] + block * LANES;
                const vec square = load(squares + block * LANES);
                for (long column = 0; column < width; ++column)
                    store(target + column * LANES, load(product + column * stride) + square * load(own + column * stride));
            }
        }
        const float* mixing = task.mixing + image * padded * channels;
        float* target = spread.line(2 * padded / LANES, row) + LANES;
        const long step = spread.line(1, row) - spread.line(0, row);
        multiply<false>(upstream, packed(mixing, channels), channels, width, padded / LANES,
                        [=](long pixel, long block, vec value) { store(target + block * step + pixel * LANES, value); });
    }

    void flush(Left, long) {}

   private:
    // Queries (part 0) or keys (part 1) of a row, pixel by pixel.
    void recompute(const Ring& expanded, long row, int part) {
        for (long block = 0; block < padded / LANES; ++block)
            for (long column = 0; column < width; column += COLUMNS_AT_ONCE) {
                vec values[COLUMNS_AT_ONCE];
                expanded.convolve(row, part * padded / LANES + block, column, values);
                for (long i = 0; i < smaller(COLUMNS_AT_ONCE, width - column); ++i)
                    store(pixels[part] + (column + i) * stride + block * LANES, values[i]);
            }
    }

    // The gradient of q is a product with k, and that of k one with q.
    void multiply_heads(int part) {
        const long heads = task.heads, size = task.head_channels, words = size * task.head_padded;
        const long stride = this->stride;
        for (long head = 0; head < heads; ++head) {
            const Left other = {pixels[1 - part] + head * size, stride};
            const float* matrix = task.products + ((image * 2 + part) * heads + head) * words;
            float* target = products[part] + head * size;
            multiply<false>(other, packed(matrix, size), size, width, task.head_padded / LANES,
                            [=](long pixel, long block, vec value) { store(target + pixel * stride + block * LANES, value); });
        }
    }

    const AttendGradients& task;
    const long image, width, channels, padded, stride;
    float *pixels[2], *products[2];  // queries and keys; their gradients through q k^T
};
