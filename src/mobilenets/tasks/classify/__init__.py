"""One class per photograph."""
