"""Windows read out of stores, normalised and cut into tokens."""
