"""Scores of written predictions against a store, beside baselines."""
