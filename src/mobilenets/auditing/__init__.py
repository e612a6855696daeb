"""What is wrong with a data set, before it is trained on: files, duplicates, leaks; nothing here needs torch."""
