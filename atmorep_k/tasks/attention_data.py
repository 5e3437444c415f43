"""Recorded attention as labelled data over the tokens that are looked at."""

import dataclasses
import re
from collections.abc import Sequence

import numpy as np
import xarray as xr

from atmorep_k.backend.attention_record import Look

TOKEN_DIMS = ("level", "time", "latitude", "longitude")
_ATTRIBUTES = {
    "level": {"axis": "Z"},
    "time": {"standard_name": "time", "axis": "T"},
    "latitude": {"standard_name": "latitude", "units": "degrees_north", "axis": "Y"},
    "longitude": {"standard_name": "longitude", "units": "degrees_east", "axis": "X"},
}
_PATH = re.compile(
    r"(?:.*/)?(?P<part>encoder|decoder)/(?P<field>[^/]+)/(?P<block>[^/]+)_(?P<layer>\d+)"
    r"(?:/(?P<rest>.+))?"
)
_COUPLED = re.compile(r"(?:\w+_)?coupled_(?P<other>\w+)/heads")


@dataclasses.dataclass(frozen=True)
class TokenPlace:
    """Where in a model an attention is computed, and what it looks at.

    Args:
        part: `"encoder"` or `"decoder"`.
        field: the field whose tokens are the queries.
        layer: number of the block, from 0.
        name: of the variable that holds it, `encoder_self` for instance.
        keys: the part and the field whose tokens are the keys.
    """

    part: str
    field: str
    layer: int
    name: str
    keys: tuple[str, str]

    def words(self, axis: str | None) -> str:
        """Returns what the attention is, in words.

        Args:
            axis: the axis that it goes along, None for all tokens.
        """
        part, other = self.keys
        target = "its own tokens"
        if other != self.field:
            target = other.replace("_", " ")
        elif part != self.part:
            target = "its encoder"
        along = f", along {axis}" if axis else ""
        return f"{self.part} of {self.field.replace('_', ' ')}: attention to {target}{along}"


def place_of(path: str) -> TokenPlace | None:
    """Returns what the path of a layer says; None for one that is in no encoder or decoder."""
    found = _PATH.fullmatch(path)
    if not found:
        return None
    part, field, block, layer, rest = found.groups()
    coupled = _COUPLED.fullmatch(rest or "")
    source, keys = "self" if block == "block" else "before", (part, field)
    if coupled:
        source, keys = coupled["other"], (part, coupled["other"])
    elif rest and rest.endswith("cross_heads"):
        source, keys = "encoder", ("encoder", field)
    elif rest and not rest.endswith("self_heads"):  # of somebody else's block
        source = rest.replace("/", "_")
    return TokenPlace(part, field, int(layer), f"{part}_{source}", keys)


def _known_place(path: str) -> TokenPlace:
    place = place_of(path)
    assert place is not None, f"{path} is in no encoder or decoder"
    return place


def labelled(looks: Sequence[Look], centres: dict[str, dict], field: str) -> xr.Dataset:
    """Returns the weights by layer, head and token, NaN at tokens that are not looked at.

    A variable is named after the tokens attended to, `encoder_self` or `encoder_temperature`;
    attention along an axis has a variable of its own for each, `encoder_self_space`.

    Args:
        looks: what was recorded, at least one.
        centres: field -> coordinates of its tokens, see `token_states.token_centres`.
        field: the field of the query; where another one has other tokens, coordinates of these
            are called `latitude_<field>` and so on.
    """
    places = [_known_place(look.path) for look in looks]
    shape = max(p.layer for p in places) + 1, max(len(look.weights) for look in looks)
    coordinates: dict[str, tuple] = {
        name: (name, range(n)) for name, n in zip(("layer", "head"), shape, strict=True)
    }
    variables: dict[str, xr.Variable] = {}
    for look, place in zip(looks, places, strict=True):
        other = place.keys[1]
        name = f"{place.name}_{look.axis}" if look.axis else place.name
        dims = _dims(centres, field, other)
        coordinates |= {dims[d]: (dims[d], centres[other][d], _ATTRIBUTES[d]) for d in TOKEN_DIMS}
        if name not in variables:
            sizes = *shape, *(len(centres[other][d]) for d in TOKEN_DIMS)
            attributes = {"long_name": place.words(look.axis), "units": "1", "looks_at": other}
            empty = np.full(sizes, np.nan, np.float32)
            variables[name] = xr.Variable(("layer", "head", *dims.values()), empty, attributes)
        of_layer = variables[name].values[place.layer].reshape(shape[1], -1)
        of_layer[: len(look.weights), look.keys] = look.weights
    return xr.Dataset(variables, coordinates)


def _dims(centres: dict[str, dict], field: str, other: str) -> dict[str, str]:
    same = all(np.array_equal(centres[other][d], centres[field][d]) for d in TOKEN_DIMS)
    return {d: d if same else f"{d}_{other}" for d in TOKEN_DIMS}
