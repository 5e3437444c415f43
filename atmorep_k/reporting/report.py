"""Runs, evaluations and predictions as one page."""

import time as clock
from collections.abc import Mapping, Sequence
from pathlib import Path

from atmorep_k.errors import UserError, nearest
from atmorep_k.files import check_output, writing_whole
from atmorep_k.reporting.chapter import Chapter
from atmorep_k.reporting.evaluation_chapter import evaluation_chapter, is_evaluation
from atmorep_k.reporting.task_chapter import is_task_output, task_chapter
from atmorep_k.runs.directory import RunDirectory
from atmorep_k.runs.status import is_run


def report(
    paths: str | Path | Sequence[str | Path],
    *,
    output: str | Path | None = None,
    store: str | None = None,
    stores: dict[str, str] | None = None,
    time: str | None = None,
    places: Sequence | Mapping | None = None,
    overwrite: bool = False,
) -> Path:
    """Writes one HTML page about runs, evaluations and predictions, with all pictures within it.

    Args:
        paths: directories of runs (finished or not), directories that `evaluate` wrote, and
            outputs of tasks that lie beside their pictures; one or several, in the order of the
            page.
        output: the page; `report.html` in the first directory, or `<stem>_report.html` beside the
            first output, if None.
        store: path of a store, or `"demo"`: the models of the runs are asked with it what happens
            at places and what a token attends to.
        stores: field -> path of the store that has it, as in `forecast`.
        time: the last hour that the models see; None: the last after which the store has all that
            is forecast.
        places: pairs (latitude, longitude), or a mapping of names to such pairs; None: three
            across the store.
        overwrite: replace an existing page.

    Returns:
        The path of the page.

    Raises:
        UserError: if a path cannot be reported, a file is broken, or the page cannot be
            written.
    """
    found = [Path(p) for p in ([paths] if isinstance(paths, str | Path) else paths)]
    if not found:
        raise UserError("nothing to report: give a run, an evaluation or a prediction.")
    for path in found:
        _check(path)
    output = _default(found[0]) if output is None else Path(output)
    check_output(output, overwrite, (".html", ".htm"), "a report")
    asking = _asking(found, store, stores, time, places)
    chapters = [_chapter(path, asking) for path in found]
    from atmorep_k.reporting.page import render

    text = render(chapters, clock.strftime("%Y-%m-%d %H:%M %Z"))
    with writing_whole(output) as partial:
        partial.write_text(text, encoding="utf-8")
    return output


def _check(path: Path) -> None:
    if not path.exists():
        above = path.absolute().parent
        names = [p.name for p in above.iterdir()] if above.is_dir() else []
        raise UserError(f"{path} does not exist{nearest(path.name, names)}")
    if not (is_run(path) or is_evaluation(path) or is_task_output(path)):
        raise UserError(
            f"{path} cannot be reported: it is not a run (no config.gin), an evaluation (no "
            f"scores.csv and summary.json) or a prediction with its pictures beside it."
        )


def _default(path: Path) -> Path:
    is_output = is_task_output(path)
    return path.with_name(f"{path.stem}_report.html") if is_output else path / "report.html"


def _asking(paths: list[Path], store: str | None, stores, time, places):
    """Returns what models are asked; None without a store."""
    if store is None:
        if stores or time or places:
            raise UserError("other stores, a time and places need a store: give one with --store.")
        return None
    if not any(is_run(path) and RunDirectory(path).model.is_file() for path in paths):
        raise UserError("a store is used only with a finished run, and no run is given.")
    from atmorep_k.reporting.asking import Asking

    return Asking(store, stores, time, places)


def _chapter(path: Path, asking) -> Chapter:
    if is_run(path):
        from atmorep_k.reporting.run_chapter import run_chapter

        asked = asking.sections(path) if asking and RunDirectory(path).model.is_file() else []
        return run_chapter(path, asked)
    return evaluation_chapter(path) if is_evaluation(path) else task_chapter(path)
