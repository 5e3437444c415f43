"""States of random draws, as of dropout: variables of a model that are no weights."""

from typing import Any

# Between the seeds of two replicas of a batch. A seed that is one higher draws what the next step
# would.
SEED_STEP = 1_000_003


def is_random_state(variable: Any) -> bool:
    """Returns whether a variable of Keras is the state of a seed generator."""
    return variable.name == "seed_generator_state"
