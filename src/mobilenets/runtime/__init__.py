"""Prediction from a trained artifact: the classifier and one small file per engine. No torch, except in torch.py."""
