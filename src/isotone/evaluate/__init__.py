"""Judging: errors with intervals next to constant predictors, and the order of the representation. NumPy only."""
