"""What a page tells of the scores of a prediction, as `evaluate` writes them."""

import math
from pathlib import Path
from typing import Any

from atmorep_k.errors import UserError
from atmorep_k.reporting import blocks
from atmorep_k.reporting.chapter import Chapter, Section
from atmorep_k.reporting.evaluation_maps import evaluation_maps
from atmorep_k.reporting.picture import Picture
from atmorep_k.reporting.reading import evaluation_scores, read_json
from atmorep_k.reporting.score import Score
from atmorep_k.reporting.score_cards import by_lead, cards, some_leads, values, words

_CARDS = ("rmse", "crps", "acc")
WHOLE = "all"
_PICTURES = {
    "Scores by lead time": ("scores_", "Scores by lead time of model and baselines: {}"),
    "Rank histograms": ("ranks_", "Rank of the truth among the members: {}"),
    "Zonal spectra": ("spectra_", "Power by zonal wavenumber of truth, prediction, baselines: {}"),
    "Spherical spectra": (
        "spherical_spectra_",
        "Power by total wavenumber of truth, prediction, baselines: {}",
    ),
}


def is_evaluation(path: Path) -> bool:
    """Returns whether a path is a directory that `evaluate` wrote."""
    return (path / "scores.csv").is_file() and (path / "summary.json").is_file()


def evaluation_chapter(path: Path) -> Chapter:
    """Returns what there is to tell of a directory of scores.

    Raises:
        UserError: if a file in it cannot be read.
    """
    about = read_json(path / "summary.json")
    scores = evaluation_scores(path / "scores.csv", str(about.get("task") or ""))
    regions = list(dict.fromkeys(s.region for s in scores))
    sections = [_cards(scores, region) for region in regions]
    for title, (start, alt) in _PICTURES.items():
        files = sorted(path.glob(f"{start}*.png"))
        shown = [Picture.of_file(f, alt.format(words(f.stem.removeprefix(start)))) for f in files]
        if shown:
            sections.append(Section(title, [blocks.pictures(shown)]))
    sections += [_maps(about), Section("What was scored", _about(about))]
    title = str(about.get("prediction") or path)
    return Chapter("Evaluation", title, _summary(about, scores), sections)


def _summary(about: dict[str, Any], scores: list[Score]) -> str:
    fields = ", ".join(words(name) for name in dict.fromkeys(s.field for s in scores))
    leads = sorted({s.lead for s in scores if s.lead is not None})
    hours = f"{leads[0]:g}" if len(leads) < 2 else f"{leads[0]:g} to {leads[-1]:g}"
    return f"{fields}, {hours} h after each time, against {about.get('truth', 'a store')}."


def _cards(scores: list[Score], region: str) -> Section:
    of = [s for s in scores if s.region == region]
    title = "Scores beside baselines" + ("" if region == WHOLE else f": region {region}")
    return Section(title, [*cards(some_leads(of), _CARDS, by_lead), _numbers(of)])


def _numbers(scores: list[Score]) -> blocks.Block:
    """Returns all scores of the first and the last lead time of each level, folded."""
    tables = []
    for field, level in dict.fromkeys((s.field, s.level) for s in scores):
        of = [s for s in scores if (s.field, s.level) == (field, level)]
        leads = sorted({_lead(s) for s in of})
        for lead in dict.fromkeys([leads[0], leads[-1]]):
            where = level if level == "surface" else f"level {level}"
            rows = [s for s in of if s.lead == lead and math.isfinite(s.value)]
            tables.append(values(f"{words(field)}, {where}, {lead:g} h", rows))
    return blocks.folded("All scores of the first and the last lead time", tables)


def _maps(about: dict[str, Any]) -> Section:
    """Returns the maps of what was scored, or why there are none."""
    prediction, truth = Path(about.get("prediction") or ""), Path(about.get("truth") or "")
    title = "Maps"
    for what, path in (("prediction", prediction), ("store", truth)):
        if not path.name or not path.exists():
            said = f"Maps need the {what}, but {path} no longer exists."
            return Section(title, [blocks.prose(said)])
    try:
        shown = evaluation_maps(prediction, truth, list(about.get("fields") or {}))
    except UserError as error:
        return Section(title, [blocks.prose(f"No maps: {error}")])
    return Section(title, [blocks.pictures(shown)])


def _about(about: dict[str, Any]) -> list[blocks.Block]:
    names = {
        "Prediction": "prediction",
        "Truth": "truth",
        "Task": "task",
        "Made by": "source",
        "Climatology over": "climatology",
    }
    heads = ["field", "units", "times", "members", "predicted", "times in a block", "thresholds"]
    rows = [
        (
            words(name),
            of.get("units", ""),
            of.get("times_scored", ""),
            of.get("members", ""),
            f"{of['share_predicted']:.0%}" if "share_predicted" in of else "",
            of.get("times_in_a_block") or "too few times",
            _thresholds(of.get("thresholds") or {}),
        )
        for name, of in (about.get("fields") or {}).items()
    ]
    caption = "What was scored; predicted is the share of the truth that has a prediction"
    return [
        blocks.facts({label: about.get(key, "") for label, key in names.items()}),
        blocks.table(caption, heads, rows),
    ]


def _thresholds(found: dict[str, dict[str, float]]) -> str:
    return "; ".join(
        f"{event}: " + ", ".join(f"{value:.3g}" for value in levels.values())
        for event, levels in found.items()
    )


def _lead(score: Score) -> float:
    assert score.lead is not None, "an evaluation scores each lead time"
    return score.lead
