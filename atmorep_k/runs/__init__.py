"""A run on disk: its directory, its checkpoints, where it stands."""
