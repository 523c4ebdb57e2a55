// What a block computes besides its maps, and the gradients of it: gain and shift of norm and modulation, and the matrices of
// channel attention (diffir/systems/diffir/layers.py and channel_attention.py).
//
// Included inside the namespace of an instruction set.

constexpr float NORM_FLOOR = 1e-12f;  // lower limit of |q| and |k|, the same as in Python

inline float dot(const float* a, const float* b, long count) {
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (long i = 0; i < count; ++i) sum += a[i] * b[i];
    return sum;
}

inline void add_scaled(float* sums, float factor, const float* values, long count) {
#pragma omp simd
    for (long i = 0; i < count; ++i) sums[i] += factor * values[i];
}

// Norm and modulation of an image together as gain and shift of each channel, from the prior (P).
inline void modulate(const HalfTensors& half, const float* prior, long width, long channels, float* gain, float* shift) {
    for (long c = 0; c < channels; ++c) {
        const float own = dot(half.modulation + c * width, prior, width);
        gain[c] = own * half.norm_weight[c];
        shift[c] = dot(half.modulation + (channels + c) * width, prior, width);
        if (half.norm_bias) shift[c] += own * half.norm_bias[c];
    }
}

// Adds to the gradients of the modulation, of the norm and of the prior.
inline void modulate_back(const HalfTensors& half, const HalfTensors& gradients, const float* prior, float* of_prior,
                          long width, long channels, const float* of_gain, const float* of_shift) {
    for (long c = 0; c < channels; ++c) {
        const float *to_gain = half.modulation + c * width, *to_shift = to_gain + channels * width;
        const float own = dot(to_gain, prior, width);
        float of_own = of_gain[c] * half.norm_weight[c];
        gradients.norm_weight[c] += of_gain[c] * own;
        if (half.norm_bias) {
            of_own += of_shift[c] * half.norm_bias[c];
            gradients.norm_bias[c] += of_shift[c] * own;
        }
        add_scaled(gradients.modulation + c * width, of_own, prior, width);
        add_scaled(gradients.modulation + (channels + c) * width, of_shift[c], prior, width);
        add_scaled(of_prior, of_own, to_gain, width);
        add_scaled(of_prior, of_shift[c], to_shift, width);
    }
}

// The matrices of one head of an image. Matrices of a head have `size` rows and columns; `project`, which follows attention,
// and `mixing`, the product of both, have a row for each of all channels, of which those of the head begin at `first`.
struct Head {
    const long size, channels, first;
    const float* products;          // q k^T, rows of rounded_up(size)
    const float *queries, *keys;    // |q|^2 and |k|^2
    const float temperature;
    const float* project;
    float *cosines, *attention, *lengths;  // memory: two matrices, and the lengths of queries and keys

    // Computes the attention from the sums.
    void attend() const {
        for (long i = 0; i < size; ++i) {
            lengths[i] = length(queries[i]);
            lengths[size + i] = length(keys[i]);
        }
        for (long i = 0; i < size; ++i) {
            float *cosine = cosines + i * size, *row = attention + i * size, highest = -__builtin_inff(), sum = 0;
            for (long j = 0; j < size; ++j) {
                cosine[j] = products[i * rounded_up(size) + j] / (lengths[i] * lengths[size + j]);
                row[j] = cosine[j] * temperature;
                highest = row[j] > highest ? row[j] : highest;
            }
            for (long j = 0; j < size; ++j) sum += row[j] = __builtin_expf(row[j] - highest);
            for (long j = 0; j < size; ++j) row[j] /= sum;
        }
    }

    // mixing = project attention, in the columns of the head.
    void mix(float* mixing) const {
        for (long row = 0; row < channels; ++row) {
            float* out = mixing + row * channels + first;
            __builtin_memset(out, 0, size * sizeof(float));
            for (long i = 0; i < size; ++i)
                add_scaled(out, project[row * channels + first + i], attention + i * size, size);
        }
    }

    // Adds to the gradients of `project` and of the temperature; writes those of the products, (size, size), and of the
    // squares. `of_mixing` has rows of rounded_up(channels).
    void back(const float* of_mixing, float* of_project, float* of_temperature, float* of_products, float* of_queries,
              float* of_keys) const {
        // Through the product of both matrices.
        __builtin_memset(of_products, 0, size * size * sizeof(float));
        for (long row = 0; row < channels; ++row) {
            const float* from = of_mixing + row * rounded_up(channels) + first;
            for (long i = 0; i < size; ++i) {
                of_project[row * channels + first + i] += dot(from, attention + i * size, size);
                add_scaled(of_products + i * size, project[row * channels + first + i], from, size);
            }
        }
        // Through softmax, temperature and cosines.
        for (long j = 0; j < size; ++j) of_queries[j] = of_keys[j] = 0;
        for (long i = 0; i < size; ++i) {
            const float *row = attention + i * size, *cosine = cosines + i * size;
            float* out = of_products + i * size;
            const float mean = dot(out, row, size);
            for (long j = 0; j < size; ++j) {
                const float of_scaled = row[j] * (out[j] - mean), of_cosine = of_scaled * temperature;
                *of_temperature += of_scaled * cosine[j];
                of_queries[i] += of_cosine * cosine[j];
                of_keys[j] += of_cosine * cosine[j];
                out[j] = of_cosine / (lengths[i] * lengths[size + j]);
            }
        }
        for (long j = 0; j < size; ++j) {
            of_queries[j] *= slope(queries[j]);
            of_keys[j] *= slope(keys[j]);
        }
    }

   private:
    static float length(float square) { return __builtin_sqrtf(__builtin_fmaxf(square, NORM_FLOOR * NORM_FLOOR)); }

    // What turns the gradient of the logarithm of a length, with its sign changed, into that of the square.
    static float slope(float square) { return square < NORM_FLOOR * NORM_FLOOR ? 0 : -0.5f / square; }
};
