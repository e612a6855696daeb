"""Where a network looks: heat maps, and how they are laid over a photograph."""
