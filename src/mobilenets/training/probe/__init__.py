"""The linear probe: features of the frozen network, a head on them, and what both are good for besides."""
