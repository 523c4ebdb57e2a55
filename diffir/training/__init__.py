"""Training: runs, the training loop, losses, validation, logs, and training states on disk."""
