"""What a page tells of a run, finished or still training."""

from pathlib import Path
from typing import Any

from atmorep_k.console import duration
from atmorep_k.figures.plots import TASK_TITLES, loss_curve, rate_curve
from atmorep_k.reporting import blocks
from atmorep_k.reporting.chapter import Chapter, Section
from atmorep_k.reporting.model_section import model_section
from atmorep_k.reporting.picture import Picture
from atmorep_k.reporting.reading import NO_LEVEL, read_json, read_text, run_scores
from atmorep_k.reporting.score import Score
from atmorep_k.reporting.score_cards import by_lead, by_task, cards, some_leads, values, words
from atmorep_k.runs.directory import RunDirectory
from atmorep_k.runs.status import describe_run

_CARDS = ("rmse", "crps")


def run_chapter(path: Path, asked: list[Section]) -> Chapter:
    """Returns what there is to tell of a run.

    Args:
        path: the directory of the run.
        asked: sections on what its model was asked, see `asking`; without them the page says how
            to come by them.

    Raises:
        UserError: if a file of the run cannot be read.
    """
    run = RunDirectory(path)
    told, record = describe_run(path), read_json(run.record)
    scores = run_scores(run.scores) if run.scores.is_file() else []
    sections = [
        Section("Training", _training(run, told)),
        *_score_sections(path, scores, told["finished"]),
        *(asked or [Section("Places and attention", [_how_to_ask(path, told["finished"])])]),
    ]
    if told["finished"]:
        sections.append(model_section(run.model))
    sections += [
        Section("Data", [blocks.facts(_flat(record.get("store") or {}))]),
        Section("How it was made", _provenance(run, record)),
    ]
    title = str(path if path.name else path.absolute())
    return Chapter("Run", title, _summary(told, scores), sections)


def _summary(told: dict[str, Any], scores: list[Score]) -> str:
    of = f" of {told['steps']:,}" if told["steps"] else ""
    state = "finished" if told["finished"] else "not finished when this page was made"
    return f"Step {told['step']:,}{of}, {state}. {_gained(scores)}".rstrip()


def _gained(scores: list[Score]) -> str:
    """Returns in how many cases the model is better than all baselines, in a sentence."""
    cases: dict[tuple, dict[str, float]] = {}
    for s in scores:
        if s.name == "rmse" and s.level == NO_LEVEL and s.lead is None:
            cases.setdefault((s.task, s.field), {})[s.model] = s.value
    if not cases:
        return ""
    won = sum(
        all(of["ensemble"] < other for model, other in of.items() if model != "ensemble")
        for of in cases.values()
    )
    return (
        f"Its error is below that of every baseline in {won} of {len(cases)} combinations of "
        f"task and field (RMSE of the ensemble mean on held-out times, all levels)."
    )


def _training(run: RunDirectory, told: dict[str, Any]) -> list[blocks.Block]:
    if not told["step"]:
        return [blocks.prose("No steps have been written yet.")]
    held_out = told["val_loss"]
    rows = {
        "Steps": f"{told['step']:,}" + (f" of {told['steps']:,}" if told["steps"] else ""),
        "Loss": f"{told['loss']:.4g}",
        "Held-out loss": f"{held_out:.4g} (step {told['val_loss_step']:,})" if held_out else "",
        "Rate": f"{told['samples_per_second']:.3g} samples/s (median)",
        "Training time": duration(told["training_seconds"]),
        "Mesh": " x ".join(map(str, told["mesh"] or [])),
        "Processes": told["processes"],
    }
    curves = [
        Picture.of_figure(loss_curve(run.history), "Loss, held-out loss and learning rate by step"),
        Picture.of_figure(rate_curve(run.history), "Samples per second by step"),
        *_drawn(run.path, "watch_", "Scores on held-out times, beside baselines, by step: {}"),
    ]
    found = [blocks.facts(rows), blocks.pictures(curves)]
    if not told["finished"]:
        resume = f"atmorep-k run --resume {run.path}"
        found.append(blocks.commands(resume, before="If it has stopped, resume it with"))
    return found


def _score_sections(path: Path, scores: list[Score], finished: bool) -> list[Section]:
    if not scores:
        when = "the configuration has no scoring" if finished else "they come at the end of a run"
        return [Section("Scores beside baselines", [blocks.prose(f"No scores: {when}.")])]
    total = [s for s in scores if s.lead is None]
    shown = [*cards(total, _CARDS, by_task), _numbers(total), *_bars(path)]
    found = [Section("Scores beside baselines", shown)]
    by_hour = some_leads(scores)
    if by_hour:
        curves = _drawn(path, "lead_times_", "Error and spread of the forecast by lead time: {}")
        found.append(
            Section(
                "Forecast by lead time", [*cards(by_hour, _CARDS, by_lead), blocks.pictures(curves)]
            )
        )
    for title, start, alt in (
        ("Maps", "map_", "Maps of target, prediction, error and spread: {}"),
        ("Rank histograms", "ranks_", "Rank of the target among the members: {}"),
    ):
        if drawn := _drawn(path, start, alt):
            found.append(Section(title, [blocks.pictures(drawn)]))
    return found


def _numbers(scores: list[Score]) -> blocks.Block:
    """Returns the scores over all levels as they are, folded."""
    tables = []
    for task, field in dict.fromkeys((s.task, s.field) for s in scores):
        of = [s for s in scores if (s.task, s.field, s.level) == (task, field, NO_LEVEL)]
        tables.append(values(f"{TASK_TITLES.get(task, task)}: {words(field)}, {NO_LEVEL}", of))
    return blocks.folded("The scores themselves", tables)


def _bars(path: Path) -> list[blocks.Block]:
    file = path / "plots" / "scores.png"
    if not file.is_file():
        return []
    alt = "Normalised mean squared error of the ensemble mean and of baselines, by task and field"
    return [blocks.pictures([Picture.of_file(file, alt)])]


def _drawn(path: Path, start: str, alt: str) -> list[Picture]:
    """Returns the pictures of a run whose names begin so, in the order of tasks."""
    files = {f.stem.removeprefix(start): f for f in sorted(path.glob(f"plots/{start}*.png"))}
    order = sorted(files, key=_task)
    is_map = start == "map_"
    return [Picture.of_file(files[n], alt.format(_in_words(n)), is_map=is_map) for n in order]


def _task(name: str) -> int:
    """Returns the number of the task that a picture's name begins with."""
    found = [n for n, task in enumerate(TASK_TITLES) if name.startswith(f"{task}_")]
    return found[0] if found else len(TASK_TITLES)


def _in_words(name: str) -> str:
    for task, title in TASK_TITLES.items():
        if name.startswith(f"{task}_"):
            return f"{words(name.removeprefix(f'{task}_'))}, {title[0].lower()}{title[1:]}"
    return words(name)


def _how_to_ask(path: Path, finished: bool) -> blocks.Block:
    if not finished:
        return blocks.prose("They need a trained model.")
    return blocks.commands(
        f"atmorep-k report {path} --store STORE --overwrite",
        before="With a store, the page also has members at places and what a token attends to:",
    )


def _provenance(run: RunDirectory, record: dict[str, Any]) -> list[blocks.Block]:
    versions = dict(record.get("versions") or {})
    rows = {
        "Backend": versions.pop("backend", ""),
        "Seed": record.get("seed"),
        "Started": record.get("started"),
        "Command": record.get("command"),
        "Machine": f"{record.get('machine', '')}, {record.get('cpus', '?')} processors",
        "Python": record.get("python"),
        "Versions": ", ".join(f"{name} {number}" for name, number in versions.items()),
        "Resumed from step": record.get("resumed_from_step"),
    }
    timings = {
        words(name.removesuffix("_seconds")).capitalize(): duration(seconds)
        for name, seconds in (record.get("timings") or {}).items()
    }
    config = blocks.source(read_text(run.config))
    return [
        blocks.facts({k: v for k, v in rows.items() if v is not None}),
        *([blocks.facts(timings)] if timings else []),
        blocks.folded("Configuration: config.gin, which can be run again as it is", [config]),
    ]


def _flat(found: dict[str, Any], above: str = "") -> dict[str, str]:
    """Returns names and texts of nested objects, with the names of those around them.

    Versions are left out: they are those of the run.
    """
    rows: dict[str, str] = {}
    for name, value in found.items():
        label = f"{above} {name.replace('_', ' ')}".strip()
        if isinstance(value, dict):
            rows |= {} if name == "versions" else _flat(value, label)
        else:
            is_list = isinstance(value, list)
            rows[label.capitalize()] = ", ".join(map(str, value)) if is_list else str(value)
    return rows
