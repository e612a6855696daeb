"""Transfer learning: the linear probe, fine-tuning, training from scratch."""
