"""What diffir check-data looks for in a dataset before training or measuring."""
