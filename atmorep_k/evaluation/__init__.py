"""Scores: what is summed, what follows from sums, baselines, truth."""
