"""Scores while a model trains."""
