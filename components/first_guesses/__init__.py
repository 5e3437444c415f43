"""Components of kind first_guess: what the tails of a model depart from."""

from atmorep_k.components.first_guesses.temporal_neighbours import TemporalNeighbours

__all__ = ["TemporalNeighbours"]
