"""Shapes that the degradations are made of: blur kernels, brush strokes, particles, clouds."""
