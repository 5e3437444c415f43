"""Finding values that are in other units than their store says, for all of a record or a part."""

import itertools
from collections.abc import Sequence

import numpy as np

from atmorep_k.data.checking.bounds import Bounds, other_units
from atmorep_k.data.checking.findings import Finding
from atmorep_k.data.checking.survey import Survey
from atmorep_k.earth.variables import VariableInfo

# A mean that jumps by a factor of a unit is within this of it; the year makes no such jumps.
_NEAR_FACTOR = 1.5
_SMALLEST_FACTOR = 10.0


def find_slips(
    name: str,
    info: VariableInfo,
    levels: np.ndarray,
    bounds: Sequence[Bounds | None],
    survey: Survey,
    *,
    jumps: bool,
) -> tuple[list[Finding], set[int]]:
    """Returns what looks like other units, or is unusual, and the levels of which a unit is named.

    A month of a level whose mean is usual is left alone. Of another, a unit is named if its values
    would be usual in it.

    Args:
        name: of the variable.
        info: of the variable in the store.
        levels: values of its levels.
        bounds: of each level, None where nothing is known.
        survey: of all its values.
        jumps: look for jumps of the monthly mean, too; not for what may rest at zero.
    """
    units = other_units(name, info)
    months: dict[str, list[tuple[int, int]]] = {}
    for month in sorted(survey.months):
        for level, of in enumerate(bounds):
            for verdict in _verdicts(of, units, survey, month, level):
                months.setdefault(verdict, []).append((month, level))
    number = len(survey.months)
    found = [
        _finding(verdict, name, info, levels, places, number) for verdict, places in months.items()
    ]
    named = {level for verdict, places in months.items() if verdict for _, level in places}
    if jumps and not months:
        found += _jumps(name, info, levels, units, survey)
    return found, named


def _verdicts(
    bounds: Bounds | None, units: dict, survey: Survey, month: int, level: int
) -> list[str]:
    """Returns the units that a level of a month seems to be in, or "" for none that is known."""
    mean = survey.mean(month)[level]
    if bounds is None or not np.isfinite(mean) or bounds.mean_low <= mean <= bounds.mean_high:
        return []
    low, high = survey.ranges[month][:, level]
    fitting = [
        unit
        for unit, (factor, offset) in units.items()
        if bounds.fits(*(factor * v + offset for v in (mean, low, high)))
    ]
    return [" or ".join(fitting)]


def _finding(verdict, name, info, levels, places, number) -> Finding:
    months = sorted({month for month, _ in places})
    part = "" if len(months) == number else f", in {len(months)} of {number} months"
    says = f"the attribute says {info.units or 'nothing'}"
    looks = f"looks like {verdict}, {says}" if verdict else f"its mean is unusual for {info.units}"
    return Finding(
        "error" if verdict else "warning",
        "values",
        looks + part,
        variable=name,
        first=_month(months[0]),
        last=_month(months[-1]),
        levels=_levels(info, levels, sorted({level for _, level in places})),
        count=len(months),
    )


def _month(month: int) -> str:
    return str(np.datetime64(month, "M"))


def _levels(info: VariableInfo, levels: np.ndarray, index: Sequence[int]) -> tuple:
    return tuple(float(levels[i]) for i in index) if info.has_level else ()


def _jumps(name, info, levels, units: dict, survey: Survey) -> list[Finding]:
    """Returns where the monthly mean of absolute values jumps by the factor of a unit.

    That finds slips of variables whose mean is near zero, or which both units could have.
    """
    factors = {unit: f for unit, (f, o) in units.items() if not o and _is_large(f)}
    months = sorted(survey.months)
    found = []
    for before, after in itertools.pairwise(months):
        first, second = survey.mean_absolute(before), survey.mean_absolute(after)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = second / first
        for unit, factor in factors.items():
            jump = [
                i for i, r in enumerate(ratio) if _is_near(r, factor) or _is_near(r, 1 / factor)
            ]
            if jump:
                found.append(_jump(name, info, unit, after, ratio[jump[0]], levels, jump))
    return found


def _jump(name, info, unit: str, month: int, ratio: float, levels, index: list[int]) -> Finding:
    sentence = (
        f"from {_month(month)} on its mean size is {ratio:.3g} times that of the month before, as "
        f"if part of the record were in {unit}; the attribute says {info.units}"
    )
    first = _month(month)
    where = _levels(info, levels, index)
    return Finding("error", "values", sentence, name, first, first, where, count=1)


def _is_large(factor: float) -> bool:
    return max(factor, 1 / factor) >= _SMALLEST_FACTOR


def _is_near(ratio: float, factor: float) -> bool:
    return bool(factor / _NEAR_FACTOR <= ratio <= factor * _NEAR_FACTOR)
