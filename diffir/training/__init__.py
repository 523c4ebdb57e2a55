"""Training: the loop, the stages, states on disk."""
