// The first layers of every pass, row by row: norm, modulation and the 1x1 convolution fill a ring of rows, from which the
// depthwise 3x3 convolution reads. So the expanded rows, several times as large as the map, never leave the cache.
//
// Included inside the namespace of an instruction set. Outside the map the expanded rows and columns are zero.

constexpr long RING_ROWS = 3;        // rows that a 3x3 convolution reads
constexpr long COLUMNS_AT_ONCE = 8;  // columns of a depthwise convolution whose sums fit into registers
constexpr float NORM_EPS = 1e-5f;    // the same as in the layers in Python

inline void normalise(const Expansion& job, const float* pixel, Number* out) {
    const long blocks = rounded_up(job.channels) / LANES, rest = job.channels % LANES;
    vec values[blocks], total = {};
    for (long b = 0; b < blocks; ++b) {
        values[b] = b == blocks - 1 && rest ? load_part(pixel + b * LANES, rest) : load(pixel + b * LANES);
        total += values[b];
    }
    const vec mean = sum_of(total) / (float)job.channels;
    vec spread = {};
    for (long b = 0; b < blocks; ++b) {
        vec distance = values[b] - mean;
        if (b == blocks - 1 && rest) distance = load_part(reinterpret_cast<float*>(&distance), rest);
        spread += distance * distance;
    }
    const float scale = 1 / __builtin_sqrtf(sum_of(spread)[0] / job.channels + NORM_EPS);
    const vec from = job.centred ? mean : vec{};
    for (long b = 0; b < blocks; ++b)
        store(out + b * LANES, (values[b] - from) * scale * load(job.gain + b * LANES) + load(job.shift + b * LANES));
}

// The expanded rows of a panel of columns, as (block, ring row, column, lane).
class Ring {
   public:
    Ring(const Expansion& job, Number* memory, Number* normed = nullptr) : job(job), memory(memory), normed(normed) {}

    static long numbers(const Expansion& job, long width) { return job.padded * RING_ROWS * columns(width); }

    void begin_panel(long first, long count) {
        left = first, width = count;
        begin = larger(left - 1, 0), end = smaller(left + width + 1, job.width);
    }

    // Lets the next row leave its normalised pixels, (columns, rounded channels), at another place.
    void write_normed_to(Number* place) { normed = place; }

    // The columns of a block in a row: one left of the panel, those of the panel, and further ones.
    Number* line(long block, long row) const {
        return memory + (block * RING_ROWS + slot(row)) * columns(width) * LANES;
    }

    // Fills a row with zeros, or only what lies beside the panel.
    void clear_row(long row, bool is_inside) {
        for (long block = 0; block < job.padded / LANES; ++block) {
            Number* start = line(block, row);
            const long kept = is_inside ? width + 1 : 0;
            __builtin_memset(start, 0, LANES * sizeof(Number));
            __builtin_memset(start + kept * LANES, 0, (columns(width) - kept) * LANES * sizeof(Number));
        }
    }

    void expand_row(long row) {
        const bool is_outside = row < 0 || row >= job.height;
        const long stride = columns(width) * LANES * RING_ROWS;
        Number* target = memory + slot(row) * columns(width) * LANES;
        for (long block = 0; block < job.padded / LANES; ++block) {
            Number* line = target + block * stride;
            if (is_outside) __builtin_memset(line, 0, columns(width) * LANES * sizeof(Number));
            if (begin == left) __builtin_memset(line, 0, LANES * sizeof(Number));
            if (end == left + width) __builtin_memset(line + (width + 1) * LANES, 0, LANES * sizeof(Number));
        }
        if (is_outside) return;
        const long padded = rounded_up(job.channels);
        for (long column = begin; column < end; ++column)
            normalise(job, job.map + (row * job.width + column) * job.channels, normed + (column - begin) * padded);
        const Left pixels = {reinterpret_cast<const float*>(normed), padded / NUMBERS_IN_A_WORD};
        const long depth = words_of(job.channels);
        Number* first = target + (begin - left + 1) * LANES;
        multiply<false>(pixels, packed(job.weights, depth), depth, end - begin, job.padded / LANES,
                        [=](long pixel, long block, vec value) { store(first + block * stride + pixel * LANES, value); });
    }

    // The depthwise convolution of one block of channels, for COLUMNS_AT_ONCE columns from ``column`` on.
    void convolve(long row, long block, long column, vec (&sums)[COLUMNS_AT_ONCE]) const {
        const float* taps = job.taps + block * 9 * LANES;
#pragma GCC unroll 8
        for (int i = 0; i < COLUMNS_AT_ONCE; ++i) sums[i] = vec{};
#pragma GCC unroll 3
        for (int dy = 0; dy < 3; ++dy) {
            const Number* line = this->line(block, row + dy - 1) + column * LANES;
            const vec first = load(taps + (3 * dy) * LANES), second = load(taps + (3 * dy + 1) * LANES),
                      third = load(taps + (3 * dy + 2) * LANES);
#pragma GCC unroll 10
            for (int i = 0; i < COLUMNS_AT_ONCE + 2; ++i) {
                const vec value = load(line + i * LANES);
                if (i < COLUMNS_AT_ONCE) sums[i] += first * value;
                if (i >= 1 && i - 1 < COLUMNS_AT_ONCE) sums[i - 1] += second * value;
                if (i >= 2) sums[i - 2] += third * value;
            }
        }
    }

    // The depthwise convolution of a row: (width, padded) numbers, including columns beyond the width.
    template <class T>
    void convolve_row(long row, T* out, long stride) const {
        for (long block = 0; block < job.padded / LANES; ++block)
            for (long column = 0; column < width; column += COLUMNS_AT_ONCE) {
                vec sums[COLUMNS_AT_ONCE];
                convolve(row, block, column, sums);
                for (int i = 0; i < COLUMNS_AT_ONCE; ++i) store(out + (column + i) * stride + block * LANES, sums[i]);
            }
    }

    long left = 0, width = 0;

   private:
    static long slot(long row) { return (row + RING_ROWS) % RING_ROWS; }
    // The last columns are read if the width is no multiple of COLUMNS_AT_ONCE; their results are not used.
    static long columns(long width) { return (width + COLUMNS_AT_ONCE - 1) / COLUMNS_AT_ONCE * COLUMNS_AT_ONCE + 2; }

    const Expansion& job;
    Number* memory;
    Number* normed;
    long begin = 0, end = 0;  // columns of the map that a panel reads
};

// Columns of a panel: as many as fit with the ring into the second-level cache.
inline long panel_width(const Expansion& job) {
    const long fitting = RING_BYTES / (job.padded * RING_ROWS * (long)sizeof(Number));
    return smaller(larger(fitting / COLUMNS_AT_ONCE * COLUMNS_AT_ONCE, 16), 64);
}

// Memory in the order of use, rounded to whole cache lines; one line is added because vectors may overhang. Without memory,
// it counts what would be needed.
class Shares {
   public:
    explicit Shares(float* memory) : memory(memory) {}

    template <class T = float>
    T* take(long count) {
        T* share = reinterpret_cast<T*>(memory ? memory + floats : nullptr);
        floats += room<T>(count);
        return share;
    }

    template <class T = float>
    static long room(long count) {
        return (count * (long)sizeof(T) / 64 + 2) * 16;
    }

    long floats = 0;  // taken so far

   private:
    float* memory;
};

// The part of that memory which ``sweep`` uses.
inline long floats_of(const Expansion& job) {
    const long panel = panel_width(job);
    return Shares::room<Number>(Ring::numbers(job, panel)) +
           Shares::room<Number>((panel + 2) * rounded_up(job.channels));
}

// Expands a piece panel by panel, and calls a function for each row that is ready for the depthwise convolution.
template <class Row>
void sweep(const Expansion& job, Piece piece, Shares& shares, Row use_row) {
    const long panel = panel_width(job);
    Number* expanded = shares.take<Number>(Ring::numbers(job, panel));
    Ring ring(job, expanded, shares.take<Number>((panel + 2) * rounded_up(job.channels)));
    for (long left = piece.left; left < piece.right; left += panel) {
        ring.begin_panel(left, smaller(panel, piece.right - left));
        ring.expand_row(piece.top - 1);
        ring.expand_row(piece.top);
        for (long row = piece.top; row < piece.bottom; ++row) {
            ring.expand_row(row + 1);
            use_row(ring, row);
        }
    }
}
