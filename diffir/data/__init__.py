"""Training and validation data: photo sources, samples, dataset cards and checks of a dataset."""
