"""A folder of static files that runs the classifier inside a browser."""
