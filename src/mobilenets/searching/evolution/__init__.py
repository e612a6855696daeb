"""The block search: a search space, a supernet that shares weights, and evolution over it."""
