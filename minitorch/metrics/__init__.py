"""Measures of predictions, as plain functions of tensors or arrays: metric(input, target), predictions first as in losses.

Numbers come back as Python floats, arrays in the kind that was given.  Bad input is a ValueError.  Running gathers batches.
"""
from .classification import accuracy, confusion_matrix, f1, precision, recall, roc_auc
from .regression import mean_absolute_error, mean_squared_error, r2
from .running import Running
from .text import bleu, perplexity

__all__ = ["Running", "accuracy", "bleu", "confusion_matrix", "f1", "mean_absolute_error", "mean_squared_error", "perplexity", "precision",
           "r2", "recall", "roc_auc"]
