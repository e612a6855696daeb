"""How good a classifier is: metrics with their uncertainty, pictures and reports."""
