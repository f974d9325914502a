"""Preparation of data."""
from . import sequence
