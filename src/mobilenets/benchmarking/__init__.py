"""How fast, how large, how much memory: engines side by side, beside what the machine can do."""
