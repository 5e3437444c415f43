"""Scores of a model beside baselines, as tables of a page."""

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from atmorep_k.figures.plots import COLOURS, TASK_TITLES
from atmorep_k.reporting.blocks import Block, table
from atmorep_k.reporting.reading import NO_LEVEL
from atmorep_k.reporting.score import Score

BASELINES = tuple(name for name in COLOURS if name != "ensemble")
TITLES = {
    "rmse": "RMSE",
    "crps": "CRPS",
    "mae": "MAE",
    "acc": "ACC",
    "bias": "bias",
    "spread_skill": "spread/skill",
    "normalised_mse": "normalised MSE",
}
# Compared by their difference: a share of a correlation says nothing.
_HIGH_IS_GOOD = ("acc", "ets", "roc_area", "fss")
# What a score is at best; others are good where they are low.
_IDEALS = {"bias": 0.0, "spread_skill": 1.0}
# Bounds of the shades: a change below the first is none.
_SHADES = (0.02, 0.1, 0.25, 0.5)
# A card of more lead times could not be read.
_MOST_LEADS = 8

Place = Callable[[Score, str], tuple[str, tuple[str, str]]]


def by_task(score: Score, baseline: str) -> tuple[str, tuple[str, str]]:
    """Returns where a cell lies in a card of tasks: below a field, in the column of a baseline."""
    return words(score.field), (TASK_TITLES.get(score.task, score.task), words(baseline))


def by_lead(score: Score, baseline: str) -> tuple[str, tuple[str, str]]:
    """Returns where a cell lies in a card of lead times: below field and baseline, by the hour."""
    return f"{words(score.field)}, against {words(baseline)}", ("lead time", f"{score.lead:g} h")


def words(name: str) -> str:
    """Returns the name of a model or a score in words."""
    return {"ensemble": "ensemble mean"}.get(name) or TITLES.get(name) or name.replace("_", " ")


def cards(scores: Sequence[Score], names: Iterable[str], place: Place) -> list[Block]:
    """Returns the cards of some scores and, below them, what their colours and marks mean."""
    found = [made for name in names if (made := card(scores, name, place))]
    with_intervals = any(made["with_intervals"] for made in found)
    return [*found, {"kind": "legend", "with_intervals": with_intervals}] if found else []


def card(scores: Iterable[Score], name: str, place: Place) -> Block | None:
    """Returns a table of how much a model differs from each baseline; None where nothing does.

    A cell is the change of the score relative to that of the baseline (for scores that are good
    where they are high, the difference). Rows of a group are levels.

    Args:
        scores: of one region; those of other names are left out.
        name: the score.
        place: `by_task` or `by_lead`: a score and a baseline -> group of rows, and column.
    """
    scores = _without_twins([s for s in scores if s.name == name])
    groups: dict[str, dict[str, dict]] = {}
    columns: dict[tuple[str, str], None] = {}
    for score, other in _pairs(scores):
        group, column = place(score, other.model)
        columns[column] = None
        levels = groups.setdefault(group, {})
        levels.setdefault(_level(score.level), {})[column] = _cell(score, other)
    if not groups:
        return None
    ordered = _side_by_side(columns)
    return {
        "kind": "card",
        "caption": _caption(name),
        "heads": [(h, len(list(of))) for h, of in itertools.groupby(ordered, lambda c: c[0])],
        "columns": [below for _, below in ordered],
        "groups": [
            (group, [(level, [of.get(c) for c in ordered]) for level, of in levels.items()])
            for group, levels in groups.items()
        ],
        "with_intervals": any(s.low == s.low for s in scores),
    }


def _pairs(scores: Sequence[Score]) -> Iterator[tuple[Score, Score]]:
    """Yields the scores of a model with those of a baseline, field by field."""
    known = {_key(s): s for s in scores}
    for field in dict.fromkeys(s.field for s in scores):
        own = [s for s in scores if s.field == field and s.model not in BASELINES]
        for baseline, score in itertools.product(BASELINES, own):
            if other := known.get((*_key(score)[:-1], baseline)):
                yield score, other


def some_leads(scores: Sequence[Score]) -> list[Score]:
    """Returns the scores at eight lead times at most, the first and the last among them."""
    leads = sorted({s.lead for s in scores if s.lead is not None})
    number = min(_MOST_LEADS, len(leads))
    places = [round(n * (len(leads) - 1) / max(1, number - 1)) for n in range(number)]
    kept = {leads[n] for n in places}
    return [s for s in scores if s.lead in kept]


def values(caption: str, scores: Sequence[Score]) -> Block:
    """Returns a table of scores as they are: a row per score, a column per model, the best marked.

    Args:
        caption: what the scores are of.
        scores: of one task, field, level, lead time and region.
    """
    models = list(dict.fromkeys(s.model for s in scores))
    rows = []
    for name in dict.fromkeys(s.name for s in scores):
        of = {s.model: s for s in scores if s.name == name}
        units = next(iter(of.values())).units
        best = _best(name, list(of.values()))
        cells = [_value(of[m], of[m] is best) if m in of else "" for m in models]
        rows.append([words(name) + (f" [{units}]" if units != "1" else ""), *cells])
    return table(caption, ["", *map(words, models)], rows)


def _value(score: Score, best: bool) -> dict[str, Any]:
    inside = score.low == score.low
    beside = f"{score.low:.3g} to {score.high:.3g}" if inside else ""
    return {"text": f"{score.value:.3g}", "best": best, "beside": beside}


def _best(name: str, scores: list[Score]) -> Score | None:
    """Returns the best one; None where one is alone."""
    scores = [s for s in scores if math.isfinite(s.value)]
    if len(scores) < 2:
        return None
    if name.startswith(_HIGH_IS_GOOD):
        return max(scores, key=lambda s: s.value)
    return min(scores, key=lambda s: abs(s.value - _IDEALS.get(name, 0.0)))


def _key(score: Score) -> tuple:
    return score.task, score.field, score.region, score.level, score.lead, score.model


def _without_twins(scores: list[Score]) -> list[Score]:
    """Returns the scores without those of all levels of a field that has one."""
    levels: dict[str, set[str]] = {}
    for score in scores:
        levels.setdefault(score.field, set()).add(score.level)
    return [s for s in scores if len(levels[s.field]) != 2 or s.level != NO_LEVEL]


def _side_by_side(columns: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Returns columns with those below one head side by side, in the order that tasks have."""
    heads = [*TASK_TITLES.values(), *(head for head, _ in columns)]
    return sorted(columns, key=lambda column: heads.index(column[0]))


def _level(level: str) -> str:
    return f"level {level}" if level[0].isdigit() else level


def _caption(name: str) -> str:
    if name.startswith(_HIGH_IS_GOOD):
        return f"{words(name)}: difference from each baseline; above 0 the model is better"
    return f"{words(name)}: change relative to each baseline; below 0 the model is better"


def _cell(score: Score, other: Score) -> dict[str, Any] | None:
    if score.name.startswith(_HIGH_IS_GOOD):
        change, text = score.value - other.value, f"{score.value - other.value:+.2f}"
        gain = change
    elif other.value:
        change = score.value / other.value - 1
        text, gain = (f"{100 * change:+.0f} %" if abs(change) >= 0.005 else "0 %"), -change
    else:
        return None
    if not math.isfinite(change):
        return None
    shade = sum(abs(gain) >= bound for bound in _SHADES)
    tone = "same" if not shade else "better" if gain > 0 else "worse"
    return {
        "text": text.replace("-", "\u2212"),
        "tone": tone,
        "shade": shade,
        "sure": score.differs(other),
        "title": f"{score.value:.3g} against {other.value:.3g} {other.units}".removesuffix(" 1"),
    }
