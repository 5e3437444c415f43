"""What a page tells of the output of a task, such as `forecast` or `point`."""

from pathlib import Path

from atmorep_k.errors import UserError
from atmorep_k.inference.output import open_prediction, plots_of
from atmorep_k.reporting import blocks
from atmorep_k.reporting.chapter import Chapter, Section
from atmorep_k.reporting.picture import Picture
from atmorep_k.reporting.score_cards import words

# Names that pictures of the tasks begin with, what they show, and whether colours are values.
_SHOWN = {
    "map_": ("Maps: {}", True),
    "point_": ("Members at places by hour, and the store: {}", False),
    "layers_": ("Attention of one token, by layer: {}", True),
    "heads_": ("Attention of one token, by head: {}", True),
}


def is_task_output(path: Path) -> bool:
    """Returns whether a path is the output of a task that also drew pictures."""
    return path.suffix in (".zarr", ".nc", ".csv") and path.exists() and plots_of(path).is_dir()


def drawn(directory: Path) -> list[Picture]:
    """Returns the pictures of a directory; an empty list if the directory is missing.

    Raises:
        UserError: if one cannot be read.
    """
    return [_picture(file) for file in sorted(directory.glob("*.png"), key=_order)]


def _order(file: Path) -> tuple[int, str]:
    """Returns what sorts pictures: as their kinds are listed, then by name."""
    starts = [file.stem.startswith(start) for start in _SHOWN]
    return (starts.index(True) if any(starts) else len(starts)), file.stem


def _picture(file: Path) -> Picture:
    for start, (alt, is_map) in _SHOWN.items():
        if file.stem.startswith(start):
            name = words(file.stem.removeprefix(start))
            return Picture.of_file(file, alt.format(name), is_map=is_map)
    return Picture.of_file(file, words(file.stem))


def task_chapter(path: Path) -> Chapter:
    """Returns what there is to tell of an output and the pictures beside it.

    Raises:
        UserError: if a file cannot be read.
    """
    sections = [Section("Pictures", [blocks.pictures(drawn(plots_of(path)))])]
    summary = ""
    if path.suffix != ".csv":
        try:
            with open_prediction(path) as found:
                attributes = {words(str(k)).capitalize(): v for k, v in found.attrs.items()}
                sizes = ", ".join(f"{n} {d}" for d, n in found.sizes.items())
                names = ", ".join(words(str(name)) for name in found.data_vars)
        except (OSError, ValueError, KeyError) as error:
            raise UserError(f"{path} cannot be read as a prediction: {error}") from error
        summary = f"{names}."
        sections.append(Section("The file", [blocks.facts(attributes | {"Sizes": sizes})]))
    return Chapter("Prediction", str(path), summary, sections)
