"""How a DiffIR network is run on one device: in strips, with compiled kernels where they are."""
