"""Decoded photographs kept in memory or on disk."""
