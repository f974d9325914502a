"""Metrics by Keras' names: numbers that tell how good a model is, gathered over batches."""
from .base import Mean, MeanMetricWrapper, Metric, Sum
from .confusion import (AUC, F1Score, FalseNegatives, FalsePositives, Precision, Recall, TrueNegatives, TruePositives)
from .regression import R2Score, RootMeanSquaredError
from .wrapped import (NAMES, Accuracy, BinaryAccuracy, BinaryCrossentropy, CategoricalAccuracy, CategoricalCrossentropy, CosineSimilarity,
                      KLDivergence, MeanAbsoluteError, MeanAbsolutePercentageError, MeanSquaredError, MeanSquaredLogarithmicError, Poisson,
                      SparseCategoricalAccuracy, SparseCategoricalCrossentropy, SparseTopKCategoricalAccuracy, TopKCategoricalAccuracy,
                      binary_accuracy, categorical_accuracy, get, sparse_categorical_accuracy)
