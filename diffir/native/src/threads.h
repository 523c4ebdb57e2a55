// Memory, and work that is shared out among threads. Included inside the namespaces of kernels.cpp and of each instruction set.

// Memory from a whole cache line on, for as long as it is in scope; null if there is none left.
struct Memory {
    explicit Memory(long floats, bool is_zero = false)
        : start(is_zero ? __builtin_calloc(floats + 16, 4) : __builtin_malloc(4 * (floats + 16))),
          floats(start ? reinterpret_cast<float*>((reinterpret_cast<unsigned long>(start) + 63) & ~63ul) : nullptr) {}
    Memory(const Memory&) = delete;
    ~Memory() { __builtin_free(start); }

    void* const start;
    float* const floats;
};

// Lets threads work on pieces, which ``run`` receives by number with memory of ``floats`` floats. Returns 0, or 1 if
// memory ran out.
template <class Run>
int share_out(long pieces, long floats, int threads, Run run) {
    int failed = 0;
#pragma omp parallel num_threads(threads) reduction(| : failed)
    {
        const Memory memory(floats);
        failed = memory.floats == nullptr;
#pragma omp for schedule(dynamic)
        for (long number = 0; number < pieces; ++number)
            if (!failed) run(number, memory.floats);
    }
    return failed;
}
