"""Stores whose values stay in their sources."""
