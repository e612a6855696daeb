"""Published checkpoints: what exists, how it is fetched and verified, how it maps onto our networks."""
