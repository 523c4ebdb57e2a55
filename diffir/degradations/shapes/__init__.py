"""What degradations are drawn with: blur kernels, strokes, particles, clouds."""
