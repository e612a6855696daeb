"""What a network saw of its training photographs, kept: what is unlike all of them, and what is like which."""
