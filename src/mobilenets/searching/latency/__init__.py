"""How long a network will take here, from measured parts."""
