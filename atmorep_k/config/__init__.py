"""gin files to checked bindings to objects; all contact with gin but registration."""

from atmorep_k.config.configuration import Configuration, load
from atmorep_k.config.statements import Macro, Reference

__all__ = ["Configuration", "Macro", "Reference", "load"]
