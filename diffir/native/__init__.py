"""Compiled C++ kernels for the blocks of DIRformer on the CPU, built at installation if a compiler is available."""
