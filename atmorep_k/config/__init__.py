"""gin files to checked bindings to objects; all contact with gin."""

from atmorep_k.config.configuration import (
    Configuration,
    Macro,
    Reference,
    load,
    named_parameters,
    register,
)

__all__ = ["Configuration", "Macro", "Reference", "load", "named_parameters", "register"]
