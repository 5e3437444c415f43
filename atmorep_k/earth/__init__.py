"""Names, units, times, places and regions of the atmosphere; independent of files and models."""

from atmorep_k.earth.places import Place, inside
from atmorep_k.earth.times import iso
from atmorep_k.earth.units import cf_units
from atmorep_k.earth.variables import VariableInfo, canonical_name

__all__ = ["Place", "VariableInfo", "canonical_name", "cf_units", "inside", "iso"]
