"""The HTTP service: pictures in, JSON out, and the page. Needs no torch, except to explain."""
