"""The checks that diffir check-data makes before a dataset is used for training or evaluation."""
