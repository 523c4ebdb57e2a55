// A block in training: norm, modulation and attention, then norm, modulation and the gated network, each with a residual
// connection. In and out are tensors in the layout of torch (BlockTensors); the way back needs those of the way forward, too.
//
// Included inside the namespace of an instruction set, in float. Sums over pixels are made in pieces whose number depends on
// the map alone and added up in order, so results do not depend on the number of threads.

constexpr long CELL_SIDE = 64;  // pixels; side of the squares whose sums one thread gathers at a time
constexpr long BAND_ROWS = 32;  // rows of an image that one thread goes back through; four more are expanded for each
constexpr long MIN_ROWS = 16;   // rows of a piece on the way forward, if there are several threads

inline long ratio_up(long a, long b) { return (a + b - 1) / b; }

// A half of a block as the kernels want it: gain and shift of each image, and packed weights.
struct PackedHalf {
    PackedHalf(const BlockTask& task, const HalfTensors& tensors, Parts parts, Shares& shares)
        : task(task), tensors(tensors), parts(parts), wide(rounded_up(task.channels)), gains(shares.take(task.images * wide)),
          shifts(shares.take(task.images * wide)), weights(shares.take(parts.padded() * task.channels)),
          taps(shares.take(parts.padded() * 9)), flipped_taps(shares.take(parts.padded() * 9)) {}

    void fill() {
        __builtin_memset(gains, 0, task.images * wide * sizeof(float));
        __builtin_memset(shifts, 0, task.images * wide * sizeof(float));
        for (long image = 0; image < task.images; ++image)
            modulate(tensors, task.tensors.prior + image * task.prior_width, task.prior_width, task.channels,
                     gains + image * wide, shifts + image * wide);
        pack(tensors.expand, parts, {1, task.channels}, weights);
        pack_taps(tensors.taps, parts, taps, flipped_taps);
    }

    // What expands a map, from part `first` up to `end`.
    Expansion expansion(const float* map, long first, long end) const {
        const long part = rounded_up(parts.size), skipped = first * part;
        return {map, task.height, task.width, task.channels, 0, task.height, gains, shifts, tensors.norm_bias != nullptr,
                weights + skipped * task.channels, taps + skipped * 9, (end - first) * part};
    }

    const BlockTask& task;
    const HalfTensors& tensors;
    const Parts parts;
    const long wide;
    float *gains, *shifts, *weights, *taps, *flipped_taps;
};

// What a half needs on the way back: its 1x1 convolution turned over, and the sums of each piece.
struct HalfSums {
    HalfSums(const PackedHalf& half, long pieces, long bands, Shares& shares)
        : half(half), task(half.task), pieces(pieces), bands(bands), reduce(shares.take(half.wide * half.parts.padded())),
          weights(shares.take(pieces * task.channels * half.parts.padded())),
          taps(shares.take(pieces * half.parts.padded() * 9)), gains(shares.take(task.images * bands * half.wide)),
          shifts(shares.take(task.images * bands * half.wide)) {}

    SharedGradients shared(const float* map, const float* upstream, float* out) const {
        pack_turned(half.tensors.expand, {1, task.channels}, half.parts, reduce);
        const Expansion expansion = half.expansion(map, 0, half.parts.count);
        return {expansion, upstream, reduce, half.flipped_taps, out, weights, taps, gains, shifts};
    }

    // Writes the gradients of a half, except that of its last convolution, and adds to that of the prior.
    void unpack(const HalfTensors& gradients, float* of_prior) const {
        const long channels = task.channels, width = task.prior_width, padded = half.parts.padded();
        add_up(weights, pieces, channels * padded);
        unpack_turned(weights, channels, half.parts, gradients.expand);
        add_up(taps, pieces, padded * 9);
        unpack_taps(taps, half.parts, gradients.taps);

        __builtin_memset(gradients.modulation, 0, 2 * channels * width * sizeof(float));
        __builtin_memset(gradients.norm_weight, 0, channels * sizeof(float));
        if (gradients.norm_bias) __builtin_memset(gradients.norm_bias, 0, channels * sizeof(float));
        for (long image = 0; image < task.images; ++image) {
            float *gain = gains + image * bands * half.wide, *shift = shifts + image * bands * half.wide;
            add_up(gain, bands, half.wide);
            add_up(shift, bands, half.wide);
            modulate_back(half.tensors, gradients, task.tensors.prior + image * width, of_prior + image * width, width,
                          channels, gain, shift);
        }
    }

    const PackedHalf& half;
    const BlockTask& task;
    const long pieces, bands;  // the latter of each image
    float *reduce, *weights, *taps, *gains, *shifts;
};

class Block {
   public:
    // Keeps what the way back needs in the memory task.kept; without it, the constructor only counts `kept_floats`.
    Block(const BlockTask& task, int threads) : Block(task, threads, Shares(task.kept)) {}

    // Both return 0, or 1 if memory ran out.
    int forward() {
        attention.fill();
        feed.fill();
        return gather() || mix() || run_feed();
    }

    int backward(const BlockTensors& gradients, const float* upstream) {
        __builtin_memset(gradients.prior, 0, task.images * task.prior_width * sizeof(float));
        const Memory of_middle(pixels * channels);
        if (!of_middle.floats || feed_back(gradients, upstream, of_middle.floats)) return 1;
        return attend_back(gradients, of_middle.floats);
    }

   private:
    Block(const BlockTask& task, int threads, Shares shares)
        : task(task), threads(threads), channels(task.channels), wide(rounded_up(channels)), size(channels / task.heads),
          head_wide(rounded_up(size)), pixels(task.images * task.height * task.width),
          attention(task, task.tensors.attention, {3, channels}, shares),
          feed(task, task.tensors.feed, {2, task.hidden}, shares), middle(shares.take(pixels * channels)),
          values(shares.take(pixels * wide)),
          products(shares.take(task.images * products_of_image())), squares(shares.take(task.images * 2 * wide)),
          kept_floats(shares.floats) {}

    long products_of_image() const { return task.heads * size * head_wide; }
    long first_pixel(long image) const { return image * task.height * task.width; }

    // Computes the sums for attention, cell by cell.
    int gather() {
        const Grid grid = {smaller(CELL_SIDE, larger(ratio_up(task.height, 2), 8)), CELL_SIDE, task.heads, size, head_wide};
        const long across = ratio_up(task.width, CELL_SIDE), cells = ratio_up(task.height, grid.cell_height) * across;
        const long of_cell = products_of_image(), all = task.images * cells;
        Shares count(nullptr);
        count.take(all * of_cell), count.take(all * 2 * wide);
        const Memory memory(count.floats, true);
        if (!memory.floats) return 1;
        Shares shares(memory.floats);
        float *of_products = shares.take(all * of_cell), *of_squares = shares.take(all * 2 * wide);

        const Expansion expansion = attention.expansion(task.tensors.map, 0, 2);
        const SumsTask whole = {expansion, grid, wide, of_products, of_squares};
        const int failed = share_out(all, Sums::floats_of(whole), threads, [&](long number, float* memory) {
            const long image = number / cells, cell = number % cells;
            const long top = cell / across * grid.cell_height, left = cell % across * CELL_SIDE;
            const SumsTask own = {ISA::of_image(expansion, image), grid, wide, of_products + image * cells * of_cell,
                                  of_squares + image * cells * 2 * wide};
            Sums::run(own, {top, smaller(top + grid.cell_height, task.height), left, smaller(left + CELL_SIDE, task.width)},
                      memory);
        });
        for (long image = 0; image < task.images; ++image) {
            keep_sum(of_products + image * cells * of_cell, cells, of_cell, products + image * of_cell);
            keep_sum(of_squares + image * cells * 2 * wide, cells, 2 * wide, squares + image * 2 * wide);
        }
        return failed;
    }

    static void keep_sum(float* sums, long cells, long count, float* kept) {
        add_up(sums, cells, count);
        __builtin_memcpy(kept, sums, count * sizeof(float));
    }

    // The matrices of a head; `memory` holds floats_of_head().
    Head head(long image, long number, float* memory) const {
        const float* lengths = squares + image * 2 * wide + number * size;
        return {size, channels, number * size, products + image * products_of_image() + number * size * head_wide, lengths,
                lengths + wide, task.tensors.temperature[number], task.tensors.attention.project, memory, memory + size * size,
                memory + 2 * size * size};
    }

    long floats_of_head() const { return 2 * size * size + 2 * size; }

    // Mixes the values, and keeps them.
    int mix() {
        const long of_packed = wide * channels;
        const Memory memory(task.images * of_packed), matrices(channels * channels + floats_of_head());
        if (!memory.floats || !matrices.floats) return 1;
        for (long image = 0; image < task.images; ++image) {
            for (long number = 0; number < task.heads; ++number) {
                const Head own = head(image, number, matrices.floats + channels * channels);
                own.attend();
                own.mix(matrices.floats);
            }
            pack(matrices.floats, {1, channels}, {1, channels}, memory.floats + image * of_packed);
        }
        const Grid grid = {task.height, task.width, 1, channels, wide};
        const Expansion expansion = attention.expansion(task.tensors.map, 2, 3);
        return over_pieces(Mix::floats_of({expansion, grid}), [&](long image, Piece piece, float* own) {
            Mix::run({ISA::of_image(expansion, image), grid, memory.floats + image * of_packed, nullptr,
                      middle + first_pixel(image) * channels},
                     piece, own, values + first_pixel(image) * wide);
        });
    }

    int run_feed() {
        const Memory project(wide * task.hidden);
        if (!project.floats) return 1;
        pack(task.tensors.feed.project, {1, channels}, {1, task.hidden}, project.floats);
        const Expansion expansion = feed.expansion(middle, 0, 2);
        const FeedTask whole = {expansion, task.hidden, rounded_up(task.hidden), project.floats, task.out};
        return over_pieces(Feed::floats_of(whole), [&](long image, Piece piece, float* own) {
            FeedTask here = whole;
            here.expansion = ISA::of_image(expansion, image), here.out += first_pixel(image) * channels;
            Feed::run(here, piece, own);
        });
    }

    // Runs over pieces of all images, in which the value of a pixel does not depend on its piece.
    template <class Run>
    int over_pieces(long floats, Run run) {
        const long across = ratio_up(task.width, CELL_SIDE);
        const long fair = ratio_up(task.height * across * task.images, 2 * threads);
        const long rows = threads == 1 ? task.height : larger(smaller(fair, task.height), smaller(MIN_ROWS, task.height));
        const long pieces = ratio_up(task.height, rows) * across;
        const int failed = share_out(task.images * pieces, floats, threads, [&](long number, float* memory) {
            const long top = number % pieces / across * rows, left = number % across * CELL_SIDE;
            run(number / pieces, {top, smaller(top + rows, task.height), left, smaller(left + CELL_SIDE, task.width)}, memory);
            settle();
        });
        return failed;
    }

    int feed_back(const BlockTensors& gradients, const float* upstream, float* of_middle) {
        const long pieces = this->pieces(), padded = rounded_up(task.hidden);
        Shares count(nullptr);
        HalfSums(feed, pieces, bands(), count), count.take(pieces * channels * padded), count.take(channels * padded);
        const Memory memory(count.floats, true);
        if (!memory.floats) return 1;
        Shares shares(memory.floats);
        const HalfSums sums(feed, pieces, bands(), shares);
        float *of_project = shares.take(pieces * channels * padded), *expand = shares.take(channels * padded);

        pack_turned(task.tensors.feed.project, {1, task.hidden}, {1, channels}, expand);
        const int failed = over_pieces_back<FeedHalf>(
            FeedGradients{sums.shared(middle, upstream, of_middle), padded, expand, of_project});
        sums.unpack(gradients.feed, gradients.prior);
        add_up(of_project, pieces, channels * padded);
        unpack(of_project, channels, {1, task.hidden}, gradients.feed.project);
        return failed;
    }

    int attend_back(const BlockTensors& gradients, const float* of_middle) {
        const long of_head = 2 * head_wide * size, of_matrices = task.images * bands() * channels * wide;
        Shares count(nullptr);
        HalfSums(attention, pieces(), bands(), count), count.take(of_matrices), count.take(task.images * task.heads * of_head);
        count.take(task.images * 2 * wide), count.take(task.images * wide * channels);
        const Memory memory(count.floats, true);
        if (!memory.floats) return 1;
        Shares shares(memory.floats);
        const HalfSums sums(attention, pieces(), bands(), shares);
        float *of_mixing = shares.take(of_matrices), *of_products = shares.take(task.images * task.heads * of_head);
        float *of_squares = shares.take(task.images * 2 * wide), *mixing = shares.take(task.images * wide * channels);

        // Back to the sums: the gradient of the mixing matrix of each image, and through the small matrices.
        if (share_out(task.images * bands(), 0, threads, [&](long number, float*) {
                const long row = number % bands() * BAND_ROWS, first = first_pixel(number / bands()) + row * task.width;
                add_product({of_middle + first * channels, channels}, channels, {values + first * wide, wide}, wide,
                            smaller(BAND_ROWS, task.height - row) * task.width, of_mixing + number * channels * wide);
            }))
            return 1;
        if (small_back(gradients, of_mixing, of_products, of_squares, mixing)) return 1;

        const SharedGradients shared = sums.shared(task.tensors.map, of_middle, gradients.map);
        const int failed = over_pieces_back<AttendHalf>(
            AttendGradients{shared, wide, task.heads, size, head_wide, of_products, of_squares, mixing});
        sums.unpack(gradients.attention, gradients.prior);
        return failed;
    }

    // Gradients through the small matrices of all images, packed for AttendGradients.
    int small_back(const BlockTensors& gradients, float* of_mixing, float* of_products, float* of_squares, float* mixing) {
        __builtin_memset(gradients.attention.project, 0, channels * channels * sizeof(float));
        __builtin_memset(gradients.temperature, 0, task.heads * sizeof(float));
        const Memory memory(channels * channels + floats_of_head() + size * size);
        if (!memory.floats) return 1;
        float *matrix = memory.floats, *of_head = matrix + channels * channels + floats_of_head();
        for (long image = 0; image < task.images; ++image) {
            float *sums = of_mixing + image * bands() * channels * wide, *doubled = of_squares + image * 2 * wide;
            add_up(sums, bands(), channels * wide);
            for (long number = 0; number < task.heads; ++number) {
                const Head own = head(image, number, matrix + channels * channels);
                own.attend();
                own.mix(matrix);
                own.back(sums, gradients.attention.project, gradients.temperature + number, of_head, doubled + number * size,
                         doubled + wide + number * size);
                float* packed = of_products + (image * 2 * task.heads + number) * head_wide * size;
                pack(of_head, {1, size}, {1, size}, packed);
                pack_turned(of_head, {1, size}, {1, size}, packed + task.heads * head_wide * size);
            }
            for (long i = 0; i < 2 * wide; ++i) doubled[i] *= 2;
            pack_turned(matrix, {1, channels}, {1, channels}, mixing + image * wide * channels);
        }
        return 0;
    }

    long bands() const { return ratio_up(task.height, BAND_ROWS); }

    // Pieces of the way back, each of them a band of rows of an image, or several low images.
    long low_images() const { return larger(BAND_ROWS / task.height, 1); }
    long pieces() const { return ratio_up(task.images, low_images()) * bands(); }

    // Runs back over all pieces.
    template <class Half, class Task>
    int over_pieces_back(const Task& half) {
        return share_out(pieces(), Backward<Task, Half>::floats_of(half), threads, [&](long piece, float* memory) {
            const long top = piece % bands() * BAND_ROWS, bottom = smaller(top + BAND_ROWS, task.height);
            const long first = piece / bands() * low_images(), end = smaller(first + low_images(), task.images);
            for (long image = first; image < end; ++image)
                Backward<Task, Half>::run(half, {image, top, bottom, image * bands() + piece % bands(), piece}, memory);
        });
    }

    const BlockTask& task;
    const int threads;
    const long channels, wide, size, head_wide;  // of the map and of a head, both also rounded up
    const long pixels;
    PackedHalf attention, feed;
    float *middle, *values;     // between the halves; (images, H, W, padded C)
    float *products, *squares;  // q k^T, (images, heads, size, head_wide); |q|^2 and |k|^2, (images, 2, padded C)

   public:
    const long kept_floats;
};
