"""Vorticity and divergence as pieces that are computed from the wind when they are read."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from atmorep_k.data.sources.pieces import Piece
from atmorep_k.earth import spherical
from atmorep_k.earth.variables import canonical_name
from atmorep_k.errors import UserError, unknown

DERIVED = ("vorticity", "divergence")
_EASTWARD, _NORTHWARD = "u_component_of_wind", "v_component_of_wind"


def derive(pieces: Sequence[Piece], names: Sequence[str]) -> list[Piece]:
    """Returns the pieces and, after them, those computed from the wind.

    Round the globe, on grids that a spherical transform takes exactly (equidistant rows with both
    poles or half a step from them, Gaussian rows), derivatives are those of the spherical
    harmonics; elsewhere they are centred differences, one-sided at the edges.

    Args:
        pieces: what the sources hold.
        names: `"vorticity"`, `"divergence"`, under any alias.

    Raises:
        UserError: for another name, one that the sources have already, where a component of the
            wind is missing, is not in m s-1 or has other times, levels or grid, and where a
            transform is needed and ducc0 is not installed.
    """
    wanted = list(dict.fromkeys(map(canonical_name, names)))
    for name in wanted:
        if name not in DERIVED:
            raise unknown("derived variable", name, DERIVED)
        if any(p.name == name for p in pieces):
            raise UserError(f"the sources already contain {name!r}; leave out --derive.")
    pairs = _pairs(pieces) if wanted else []
    return [*pieces, *(_piece(u, v, name) for name in wanted for u, v in pairs)]


def _pairs(pieces: Sequence[Piece]) -> list[tuple[Piece, Piece]]:
    """Returns the two components that belong together, wherever their files are."""
    eastward = [p for p in pieces if p.name == _EASTWARD]
    northward = [p for p in pieces if p.name == _NORTHWARD]
    if not eastward or not northward:
        missing = _NORTHWARD if eastward else _EASTWARD
        raise UserError(f"vorticity and divergence need the wind, but {missing!r} is missing.")
    return [(u, _partner(u, northward)) for u in eastward]


def _partner(u: Piece, northward: Sequence[Piece]) -> Piece:
    found = [v for v in northward if _same_axes(u, v)]
    if not found:
        raise UserError(
            f"{u.source}: no {_NORTHWARD!r} has the times, levels and grid of its {_EASTWARD!r}."
        )
    v = next((v for v in found if v.source == u.source), found[0])
    for piece in (u, v):
        if piece.units not in ("m s-1", ""):
            raise UserError(
                f"{piece.source}: {piece.name!r} is in {piece.units!r}; m s-1 is needed to derive."
            )
    return v


def _same_axes(u: Piece, v: Piece) -> bool:
    axes = ("time", "level", "latitude", "longitude")
    same = all(np.array_equal(getattr(u, a), getattr(v, a)) for a in axes)
    return same and u.level_type == v.level_type


def _piece(u: Piece, v: Piece, name: str) -> Piece:
    rings = spherical.geometry(u.latitude, u.longitude)
    if rings:
        spherical.library()
        largest = spherical.wavenumber(rings, len(u.latitude), len(u.longitude))
        how = f"spherical harmonics up to wavenumber {largest}"
    else:
        spherical.check_differences(u.latitude, u.longitude, u.source)
        how = "centred differences, one-sided at the edges"
    reader = _Derived(u, v, name, rings)
    return dataclasses.replace(
        u,
        source_name=name,
        units="s-1",
        standard_name="",
        long_name=name,
        read=reader,
        time_chunk=max(u.time_chunk, v.time_chunk),
        comment=f"computed from the wind by {how}",
    )


class _Derived:
    """Reads the wind of some steps and computes one of its derivatives, a field at a time.

    Args:
        u: the eastward wind.
        v: the northward wind.
        name: `"vorticity"` or `"divergence"`.
        rings: how the rows lie, for a transform; empty for differences.
    """

    def __init__(self, u: Piece, v: Piece, name: str, rings: str):
        self._u, self._v, self._name, self._rings = u, v, name, rings

    def __call__(self, start: int, stop: int, level_index: np.ndarray) -> np.ndarray:
        u = self._u.read(start, stop, level_index)
        v = self._v.read(start, stop, level_index)
        values = np.empty(u.shape, np.float32)
        for place in np.ndindex(*u.shape[:2]):
            values[place] = self._derivative(u[place], v[place])
        return values

    def _derivative(self, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        if self._rings:
            return spherical.spectral(u, v, self._name, self._rings)
        return spherical.neighbour_differences(
            u, v, self._name, self._u.latitude, self._u.longitude
        )
