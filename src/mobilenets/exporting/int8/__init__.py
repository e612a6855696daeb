"""Eight bits: calibration, ranges, rounding, and training for it."""
