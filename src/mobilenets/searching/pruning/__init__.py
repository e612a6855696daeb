"""Narrower networks from a trained one: channels that hang together, those that matter, and the rest made up for."""
