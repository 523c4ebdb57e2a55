// The three passes of a block: the sums for attention, attention itself, and the gated feed-forward network.
//
// Included inside the namespace of an instruction set. Each has `floats_of` (memory that a thread needs) and `run` (one
// piece of the map).

// Size from which a map is written past the caches, measured with a shared third-level cache of 32 MB; two maps are in use
// at once.
constexpr long STREAMED_BYTES = 16 << 20, CACHE_LINE = 64;

// erf(u) as u times a rational function of u^2, fitted by least squares on |u| <= ERF_END; beyond, erf is 1 within the same
// error. Coefficients go from the highest power down.
#if HAS_BF16  // largest error 5e-6
constexpr float ERF_END = 3.5f;
constexpr float ERF_TOP[] = {7.08098165e-04f, 4.25705018e-02f, 1.58622431e-01f, 1.12834990e+00f};
constexpr float ERF_BOTTOM[] = {8.96672e-03f, 9.581149e-02f, 4.7377574e-01f, 1.0f};
#else  // largest error 2e-8, and 5e-7 with the rounding of float32
constexpr float ERF_END = 4.0f;
constexpr float ERF_TOP[] = {1.974827897e-06f, 2.880419642e-04f, 4.003664730e-03f,
                             5.346753516e-02f, 1.962494015e-01f, 1.128378976e+00f};
constexpr float ERF_BOTTOM[] = {3.748086923e-05f, 1.216364744e-03f, 1.544445892e-02f,
                                1.164766028e-01f, 5.072526624e-01f, 1.0f};
#endif

template <int TERMS>
inline vec polynomial(const float (&coefficients)[TERMS], vec x) {
    vec sum = vec{} + coefficients[0];
#pragma GCC unroll 8
    for (int i = 1; i < TERMS; ++i) sum = sum * x + coefficients[i];
    return sum;
}

// erf(x / sqrt(2)), through which GELU is computed.
inline vec erf_of_halved(vec x) {
    const vec u = higher(lower(x * 0.70710678f, ERF_END), -ERF_END), s = u * u;
    const vec bottom = polynomial(ERF_BOTTOM, s);
    vec inverse = rough_inverse(bottom);
    inverse *= 2.0f - bottom * inverse;  // a step of Newton's method: exact but for the last digit of float
    return u * polynomial(ERF_TOP, s) * inverse;
}

// GELU: x times the normal distribution function, which torch calls approximate="none".
inline vec gelu(vec x) {
    const vec half = x * 0.5f;
    return half + half * erf_of_halved(x);
}

// The stride between pixels in a row of channels. It has one vector more than the channels, because the last head may
// overhang, and because strides that are multiples of large powers of two would map all pixels to few sets of the
// first-level cache.
inline long stride_of(long padded) { return padded + LANES; }

// Adds a product (rows, channels) to consecutive pixels of a map.
inline auto onto_map(const Expansion& job, float* out, long first_pixel) {
    const long channels = job.channels, offset = first_pixel * channels;
    const float* before = job.map + offset;
    const long pixel_bytes = channels * sizeof(float);
    const bool has_whole_lines = (reinterpret_cast<long>(out) | pixel_bytes) % CACHE_LINE == 0;
    const bool streams = has_whole_lines && job.height * job.width * pixel_bytes > STREAMED_BYTES;
    return [=](long pixel, long block, vec value) {
        const long place = pixel * channels + block * LANES, count = channels - block * LANES;
        if (streams)
            stream(out + offset + place, load(before + place) + value);
        else if (count >= LANES)
            store(out + offset + place, load(before + place) + value);
        else
            store_part(out + offset + place, load_part(before + place, count) + value, count);
    };
}

// Calls use(cell, column, columns) for the part of a panel's row in each cell; columns count from the panel's left.
template <class Use>
inline void for_cells(const Expansion& job, const Grid& grid, long row, long left, long width, Use use) {
    const long cells_across = (job.width + grid.cell_width - 1) / grid.cell_width;
    const long cells_above = (row - job.top) / grid.cell_height * cells_across;
    for (long column = 0; column < width;) {
        const long cell = (left + column) / grid.cell_width;
        const long columns = smaller((cell + 1) * grid.cell_width - left, width) - column;
        use(cells_above + cell, column, columns);
        column += columns;
    }
}

struct Sums {
    static long floats_of(const SumsTask& task) {
        const long pixels = panel_width(task.expansion) + COLUMNS_AT_ONCE;
        return ISA::floats_of(task.expansion) + 2 * Shares::room(pixels * stride_of(task.expansion.padded));
    }

    static void run(const SumsTask& task, Piece piece, float* memory) {
        const Expansion& job = task.expansion;
        const long panel = panel_width(job), stride = stride_of(job.padded);
        Shares shares(memory);
        float* pixels = shares.take((panel + COLUMNS_AT_ONCE) * stride);
        float* words = shares.take((panel + COLUMNS_AT_ONCE) * stride);
        sweep(job, piece, shares, [&](const Ring& ring, long row) {
            ring.convolve_row(row, pixels, stride);
            for_cells(job, task.grid, row, ring.left, ring.width, [&](long cell, long column, long columns) {
                add_squares(task, cell, pixels + column * stride, columns);
                add_products(task, cell, as_words(pixels + column * stride, columns, stride, words), columns);
            });
        });
    }

   private:
    static void add_squares(const SumsTask& task, long cell, const float* pixels, long count) {
        const long padded = task.expansion.padded, stride = stride_of(padded);
        for (long lane = 0; lane < padded; lane += LANES) {
            float* place = task.squares + cell * padded + lane;
            vec sum = {};  // for this row only: one running sum over a large cell would lose digits
            for (long i = 0; i < count; ++i) {
                const vec value = load(pixels + i * stride + lane);
                sum += value * value;
            }
            store(place, load(place) + sum);
        }
    }

    // Factors that are summed over pixels must lie in words: unchanged for float, neighbours joined for bf16.
    static const float* as_words(const float* pixels, long count, long stride, float* words) {
#if HAS_BF16
        for (long i = 0; i < count; i += 2)
            for (long lane = 0; lane < stride; lane += LANES) {
                const vec second = i + 1 < count ? load(pixels + (i + 1) * stride + lane) : vec{};
                store(words + i / 2 * stride + lane, paired(load(pixels + i * stride + lane), second));
            }
        return words;
#else
        (void)count, (void)stride, (void)words;
        return pixels;
#endif
    }

    static void add_products(const SumsTask& task, long cell, const float* words, long count) {
        const long stride = stride_of(task.expansion.padded), channels = task.grid.head_channels, row = task.grid.head_padded;
        for (long head = 0; head < task.grid.heads; ++head) {
            float* place = task.products + (cell * task.grid.heads + head) * channels * row;
            const Left queries = {words + head * channels, stride};
            const Right keys = {words + task.key_offset + head * channels, stride, LANES};
            multiply<true>(queries, keys, words_of(count), channels, row / LANES, [=](long query, long block, vec value) {
                float* sum = place + query * row + block * LANES;
                store(sum, load(sum) + value);
            });
        }
    }
};

struct Mix {
    static long floats_of(const MixTask& task) {
        const long pixels = panel_width(task.expansion) + COLUMNS_AT_ONCE;
        return ISA::floats_of(task.expansion) + 2 * Shares::room<Number>(pixels * stride_of(task.expansion.padded));
    }

    // In training the values are kept, as (H, W, padded).
    static void run(const MixTask& task, Piece piece, float* memory, float* kept_values = nullptr) {
        const Expansion& job = task.expansion;
        const long panel = panel_width(job), stride = stride_of(job.padded);
        Shares shares(memory);
        Number* values = shares.take<Number>((panel + COLUMNS_AT_ONCE) * stride);
        Number* mixed = shares.take<Number>((panel + COLUMNS_AT_ONCE) * stride);
        sweep(job, piece, shares, [&](const Ring& ring, long row) {
            ring.convolve_row(row, values, stride);
            // If the last head has an odd number of channels, bf16 reads one more; it is multiplied by zero, but must not
            // be NaN.
            for (long column = 0; column < ring.width; ++column) store(values + column * stride + job.padded, vec{});
            const long first_pixel = row * job.width + ring.left;
            if (kept_values) keep_values(task, values, ring.width, kept_values + first_pixel * job.padded);
            for_cells(job, task.grid, row, ring.left, ring.width, [&](long cell, long column, long columns) {
                const Number* from = values + column * stride;
                if (task.project)
                    mix(task, cell, from, columns, [=](long head) {
                        Number* target = mixed + column * stride + head * task.grid.head_channels;
                        return [=](long pixel, long block, vec value) {
                            store(target + pixel * stride + block * LANES, value);
                        };
                    });
                else
                    mix(task, cell, from, columns, [&](long) { return onto_map(job, task.out, first_pixel + column); });
            });
            if (!task.project) return;
            const Left pixels = {reinterpret_cast<const float*>(mixed), stride / NUMBERS_IN_A_WORD};
            const long depth = words_of(job.channels);
            multiply<false>(pixels, packed(task.project, depth), depth, ring.width, rounded_up(job.channels) / LANES,
                            onto_map(job, task.out, first_pixel));
        });
    }

   private:
    static void keep_values(const MixTask& task, const Number* values, long count, float* kept) {
        const long padded = task.expansion.padded, stride = stride_of(padded);
        for (long column = 0; column < count; ++column)
            for (long lane = 0; lane < padded; lane += LANES)
                store(kept + column * padded + lane, load(values + column * stride + lane));
    }

    template <class KeepOfHead>
    static void mix(const MixTask& task, long cell, const Number* values, long count, KeepOfHead keep_of_head) {
        const Grid& grid = task.grid;
        const long depth = words_of(grid.head_channels), words = depth * grid.head_padded;
        for (long head = 0; head < grid.heads; ++head) {
            const Left pixels = {reinterpret_cast<const float*>(values + head * grid.head_channels),
                                 stride_of(task.expansion.padded) / NUMBERS_IN_A_WORD};
            const float* mixing = static_cast<const float*>(task.mixing) + (cell * grid.heads + head) * words;
            multiply<false>(pixels, packed(mixing, depth), depth, count, grid.head_padded / LANES, keep_of_head(head));
        }
    }
};

struct Feed {
    static long floats_of(const FeedTask& task) {
        const long pixels = panel_width(task.expansion) + COLUMNS_AT_ONCE;
        return ISA::floats_of(task.expansion) + Shares::room<Number>(pixels * stride_of(task.value_offset));
    }

    static void run(const FeedTask& task, Piece piece, float* memory) {
        const Expansion& job = task.expansion;
        const long panel = panel_width(job), padded = task.value_offset, stride = stride_of(padded);
        Shares shares(memory);
        Number* gated = shares.take<Number>((panel + COLUMNS_AT_ONCE) * stride);
        sweep(job, piece, shares, [&](const Ring& ring, long row) {
            for (long block = 0; block < padded / LANES; ++block)
                for (long column = 0; column < ring.width; column += COLUMNS_AT_ONCE) {
                    vec gate[COLUMNS_AT_ONCE], value[COLUMNS_AT_ONCE];
                    ring.convolve(row, block, column, gate);
                    for (int i = 0; i < COLUMNS_AT_ONCE; ++i) gate[i] = gelu(gate[i]);
                    ring.convolve(row, block + padded / LANES, column, value);
                    for (int i = 0; i < COLUMNS_AT_ONCE; ++i)
                        store(gated + (column + i) * stride + block * LANES, gate[i] * value[i]);
                }
            const Left pixels = {reinterpret_cast<const float*>(gated), stride / NUMBERS_IN_A_WORD};
            const long depth = words_of(task.hidden);
            multiply<false>(pixels, packed(task.project, depth), depth, ring.width, rounded_up(job.channels) / LANES,
                            onto_map(job, task.out, row * job.width + ring.left));
        });
    }
};
