"""Run a DiffIR network on one device, strip by strip, with compiled kernels if they are available."""
