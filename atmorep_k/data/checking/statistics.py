"""Checks of the statistics of a store: whether they are there, and belong to its values."""

import re

import numpy as np

from atmorep_k.data.checking.bounds import may_rest
from atmorep_k.data.checking.findings import Finding, Severity
from atmorep_k.data.checking.survey import Survey
from atmorep_k.data.stores.base import Store
from atmorep_k.data.stores.statistics import MONTHS, StoredStatistics, varies
from atmorep_k.errors import UserError

# Further from the values than this, in their standard deviations, or by such a factor of these,
# statistics are of other values; at a smaller distance they are of another stretch of time.
_FAR, _FACTOR, _NEAR = 2.0, 3.0, 0.1
# So many values of a grid's statistics are read at once, or those of one month.
_HELD_VALUES = 2**22
# The share of a mean that is rounding where values are all the same.
_LEAST = 1e-5


def check_fingerprint(store: Store) -> list[Finding]:
    """Returns what is wrong with the fingerprint of a store."""
    fingerprint = str(store.attributes.get("fingerprint", ""))
    if re.fullmatch("[0-9a-f]{64}", fingerprint):
        return []
    words = (
        f"the fingerprint is {fingerprint!r}, not 64 hexadecimal digits: writing the store did "
        "not finish"
    )
    return [Finding("error", "statistics", words)]


def check_statistics(store: Store, variable: str, survey: Survey | None) -> list[Finding]:
    """Returns what is wrong with the statistics of a variable.

    Args:
        store: the open store.
        variable: its name.
        survey: of all its values; without, they are not compared with the statistics, and those of
            each grid point are not looked at.
    """
    try:
        statistics = store.statistics(variable)
        if not statistics.scopes or not len(statistics.slots):
            return [_error(variable, "it has no statistics")]
        found = _check_level(store, variable, statistics, survey)
        if survey is not None and "grid_point" in statistics.scopes:
            found += _check_grid(store, variable, statistics)
        return found
    except (UserError, ValueError, KeyError, OSError, RuntimeError) as error:
        return [_error(variable, f"its statistics cannot be read: {error}")]


def _error(variable: str, words: str, **where) -> Finding:
    return Finding("error", "statistics", words, variable, **where)


def _check_level(
    store: Store, variable: str, statistics: StoredStatistics, survey: Survey | None
) -> list[Finding]:
    if "global" not in statistics.scopes:
        return []
    mean, std = statistics.read("global")
    finite = np.isfinite(mean) & np.isfinite(std)
    found = []
    if not finite.all():
        levels = _levels(store, variable, ~np.all(finite, axis=0))
        found.append(_error(variable, "its statistics are not finite", levels=levels))
    if survey is not None:
        return found + _compare(store, variable, statistics, (mean, std), survey)
    flat = np.any(finite & ~varies(mean, std), axis=0)
    if flat.any():
        words = "its statistics have no spread: no model can be trained on it"
        severity: Severity = "error" if flat.all() and not may_rest(variable) else "warning"
        levels = _levels(store, variable, flat)
        found.append(Finding(severity, "statistics", words, variable, levels=levels))
    return found


def _levels(store: Store, variable: str, mask: np.ndarray) -> tuple[float, ...]:
    has_level = store.variables[variable].has_level
    return tuple(store.levels_of(variable)[mask].tolist()) if has_level else ()


def _compare(store, variable: str, statistics: StoredStatistics, given, survey) -> list[Finding]:
    """Compares mean and spread of each month and level with those of the values."""
    far, near = (np.zeros(given[0].shape, bool) for _ in range(2))
    for row, slot in enumerate(statistics.slots.tolist()):
        mean, std = _of_values(statistics, slot, survey)
        with np.errstate(invalid="ignore", divide="ignore"):
            # A spread that is rounding is told from none by nobody.
            least = _LEAST * np.abs(mean)
            spread, of_given = np.maximum(std, least), np.maximum(given[1][row], least)
            distance = np.abs(given[0][row] - mean) / spread
            ratio = of_given / spread
        far[row] = (distance > _FAR) | (ratio > _FACTOR) | (ratio < 1 / _FACTOR)
        near[row] = distance > _NEAR
    # Those of the original were made by other rules, over longer records.
    near &= ~far & (statistics.first_year is None)
    words = {
        "error": "statistics that differ greatly from those of its values",
        "warning": "statistics that differ slightly from those of its values",
    }
    return [
        _compared(store, variable, severity, words[severity], where)
        for severity, where in (("error", far), ("warning", near))
        if where.any()
    ]


def _of_values(statistics: StoredStatistics, slot: int, survey: Survey):
    if statistics.first_year is None:
        return survey.calendar(slot)
    return survey.single(slot + MONTHS * (statistics.first_year - 1970))


def _compared(store, variable: str, severity, words: str, where: np.ndarray) -> Finding:
    months = int(where.any(axis=1).sum())
    levels = _levels(store, variable, np.any(where, axis=0))
    sentence = f"{months} month(s) have {words}"
    return Finding(severity, "statistics", sentence, variable, levels=levels, count=months)


def _check_grid(store: Store, variable: str, statistics: StoredStatistics) -> list[Finding]:
    """Looks at the statistics of each grid point, a month at a time or, of small grids, several."""
    wrong = np.zeros(len(store.levels_of(variable)), bool)
    months, slots = 0, statistics.slots
    size = max(1, _HELD_VALUES // (len(wrong) * len(store.latitude) * len(store.longitude)))
    for start in range(0, len(slots), size):
        mean, std = statistics.read("grid_point", slots[start : start + size].tolist())
        good = np.isfinite(mean) & np.isfinite(std) & (std >= 0)
        bad = ~np.all(good, axis=(2, 3))
        wrong |= bad.any(axis=0)
        months += int(bad.any(axis=1).sum())
    if not months:
        return []
    words = f"{months} month(s) have statistics of grid points that are not finite"
    levels = _levels(store, variable, wrong)
    return [_error(variable, words, levels=levels, count=months)]
