"""Keras and its three backends: which one runs, and everything of their inside we rely on."""
