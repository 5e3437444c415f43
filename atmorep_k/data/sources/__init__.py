"""Raw files as pieces: cut, derived and joined."""
