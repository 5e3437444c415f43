"""How many weights of a saved model's parts are frozen."""

import math

from atmorep_k.backend.replicas import is_random_state
from atmorep_k.backend.weight_paths import matches


def frozen_weights(config: dict) -> dict[tuple[str, str], int]:
    """Returns the number of frozen weights by (field, role).

    Patterns are over paths of variables, which a file does not have. So the model is built, but
    none of its weights is allocated.

    Args:
        config: of an `AtmoRep`, as its file has it.

    Raises:
        Exception: whatever building it raises, where a plug-in is not installed for instance.
    """
    patterns = config.get("freeze") or []
    if not patterns:
        return {}
    from atmorep_k.model import AtmoRep
    from atmorep_k.model.declared import declared

    model = declared(AtmoRep.from_config({**config, "freeze": []}))
    found = {}
    for name, network in model.networks.items():
        for role, part in network.parts().items():
            frozen = [v for v in part.variables if _is_frozen(v, model.name, patterns)]
            found[name, role] = sum(math.prod(v.shape) for v in frozen)
    return found


def _is_frozen(variable, model: str, patterns) -> bool:
    if is_random_state(variable):
        return False
    path = variable.path.removeprefix(f"{model}/")
    return matches(path, patterns) or not variable.trainable
