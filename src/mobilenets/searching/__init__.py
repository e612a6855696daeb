"""The network that fits a device: latency measured on it, and searches that trade accuracy for it."""
