"""The layouts a data set may have: class folders, a CSV, tar shards, parquet files."""
