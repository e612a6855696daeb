"""Photos on disk as training data: sources, splits, augmentation, loading."""
