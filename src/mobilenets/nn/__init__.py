"""torch modules built from a spec."""
