"""Objects in a photo: a box and a class for each."""
