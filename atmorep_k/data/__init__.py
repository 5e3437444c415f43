"""From raw files to a store: variables, sources, writing, statistics."""
