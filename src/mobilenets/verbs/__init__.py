"""The doorway: one function for each command, with its name and options, for programs."""
