"""What the rest needs of the machine and its system, imported without torch: memory, and time that is measured."""
