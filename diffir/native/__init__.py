"""Compiled kernels for a block of DIRformer on the CPU: C++ built when diffir is installed, if a compiler is there."""
