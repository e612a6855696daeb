"""One file per target, and the table of them."""
