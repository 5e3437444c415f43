"""A store made in blocks by any number of processes, whole or not at all."""
