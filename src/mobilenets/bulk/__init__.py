"""Prediction of very many photographs: shards of results on disk, and Ray."""
