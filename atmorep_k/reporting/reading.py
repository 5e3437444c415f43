"""Reads the files of runs and evaluations; one that is missing or broken is one sentence."""

import contextlib
import csv
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from atmorep_k.errors import UserError
from atmorep_k.reporting.score import Score

NO_LEVEL = "all levels"


@contextlib.contextmanager
def _understood(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError, AttributeError, csv.Error) as error:
        if isinstance(error, KeyError):
            reason = f"it has no {error}"
        else:
            reason = getattr(error, "strerror", None) or str(error)
        raise UserError(f"{path} cannot be read: {reason}.") from error


def read_json(path: Path) -> dict[str, Any]:
    """Returns the object in a JSON file.

    Raises:
        UserError: if it cannot be read, or does not hold an object.
    """
    with _understood(path):
        found = json.loads(path.read_text())
        if not isinstance(found, dict):
            raise ValueError("it is not a JSON object")
        return found


def read_text(path: Path) -> str:
    """Returns the text of a file.

    Raises:
        UserError: if it cannot be read.
    """
    with _understood(path):
        return path.read_text()


def run_scores(path: Path) -> list[Score]:
    """Returns the scores in a `scores.json`, see docs/scores.md.

    Raises:
        UserError: if the file cannot be read as one.
    """
    with _understood(path):
        return [
            Score(
                task=of["task"],
                field=of["field"],
                level=NO_LEVEL if of["level"] == "all" else _level(of["level"]),
                lead=of.get("lead_time_hours"),
                region="",
                model=of["model"],
                name=of["metric"],
                value=_number(of["value"]),
                low=math.nan,
                high=math.nan,
                units=of["units"],
            )
            for of in json.loads(path.read_text())
        ]


def evaluation_scores(path: Path, task: str) -> list[Score]:
    """Returns the scores in a `scores.csv` of `evaluate`, see docs/tasks.md.

    Raises:
        UserError: if the file cannot be read as one.
    """
    with _understood(path), path.open(newline="") as file:
        return [
            Score(
                task=task,
                field=of["field"],
                level=_level(of["level"]),
                lead=float(of["lead_hours"]),
                region=of["region"],
                model=of["model"],
                name=of["score"],
                value=_number(of["value"]),
                low=_number(of["low"]),
                high=_number(of["high"]),
                units=of["units"],
            )
            for of in csv.DictReader(file)
        ]


def _level(value: Any) -> str:
    return f"{float(value):g}" if float(value) else "surface"


def _number(value: Any) -> float:
    return float(value) if value not in (None, "") else math.nan
