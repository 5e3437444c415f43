"""How many weights of a saved model's parts are frozen."""

import math

from atmorep_k.freezing import is_frozen
from atmorep_k.saved_file import ROLES


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
    model = _declared({key: value for key, value in config.items() if key != "freeze"})
    found = {}
    for field in model.fields:
        for role in ROLES:
            part = getattr(model, f"field_{field.name}_{role}", None)
            variables = part.variables if part else ()
            frozen = [v for v in variables if _is_frozen(v, model.name, patterns)]
            found[field.name, role] = sum(math.prod(v.shape) for v in frozen)
    return found


def _is_frozen(variable, model: str, patterns) -> bool:
    if variable.name == "seed_generator_state":  # of dropout, no weight
        return False
    path = variable.path.removeprefix(f"{model}/")
    return is_frozen(path, patterns) or not variable.trainable


def _declared(config: dict):
    import keras

    from atmorep_k.model import AtmoRep

    with keras.StatelessScope():
        model = AtmoRep.from_config(config)
        model.build()
        # Keras would allocate at the end of the scope what was only declared in it.
        keras.src.backend.common.global_state.set_global_attribute("uninitialized_variables", [])
    return model
