"""The file of a model: read, described, fingerprinted, loaded."""
