"""Methods for comparison: classical baselines without training, and networks of other projects, in one interface."""
