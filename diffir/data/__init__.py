"""Training data: clean photos, patches, dataset cards."""
