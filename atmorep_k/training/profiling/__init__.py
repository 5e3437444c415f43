"""Where the time of a training went."""
