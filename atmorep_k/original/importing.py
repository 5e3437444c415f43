"""Opening runs of the original AtmoRep as models of ours."""

from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

from atmorep_k.backend.installed import versions
from atmorep_k.errors import UserError, nearest
from atmorep_k.files import file_sha256
from atmorep_k.model import AtmoRep
from atmorep_k.original.architecture import WeightLayout, build_model, current_layout
from atmorep_k.original.checkpoint import open_run
from atmorep_k.original.pieces import WeightPiece, pieces
from atmorep_k.original.report import Fate, ImportReport
from atmorep_k.original.runs import Source, one_source
from atmorep_k.original.settings import REMEMBERED


def import_checkpoint(
    sources: Sequence[Path], epoch: int | None = None
) -> tuple[AtmoRep, ImportReport]:
    """Opens original runs as one model; couplings that their files lack start at zero.

    Args:
        sources: directories of runs, or files `AtmoRep_id<run>.mod`. Several become one model with
            the fields of all, where their settings allow it.
        epoch: take the weights of this epoch; None for those without a number, or else the last.

    Returns:
        The model, and what became of every weight.

    Raises:
        UserError: if a file is missing or damaged, settings describe no model, or weights and
            settings do not fit; nothing is dropped silently.
    """
    source = one_source([open_run(Path(path), epoch) for path in sources])
    layout = find_layout(source)
    model = build_model(source.settings, layout, _provenance(source, layout))
    model.build()
    fates = fill(model, source, layout)
    runs = tuple(_line(run, layout) for run in source.runs)
    assumed = {name: source.settings.options[name] for name in source.settings.assumed}
    return model, ImportReport(runs, tuple(fates), assumed)


def _line(run, layout: WeightLayout) -> str:
    files = run.files
    what = files[0].name if len(files) == 1 else f"{len(files)} files of blocks"
    return f"run      {run.name}: {what}, {layout.name}"


def _provenance(source: Source, layout: WeightLayout) -> dict:
    settings = source.settings
    return {
        "original": {
            "runs": [run.name for run in source.runs],
            "layout": layout.name,
            "files": {f.name: file_sha256(f) for run in source.runs for f in run.files},
            "masking": {field.name: list(field.masking) for field in settings.fields},
            **{name: settings.training[name] for name in REMEMBERED if name in settings.training},
        },
        "versions": versions(),
    }


def find_layout(source: Source) -> WeightLayout:
    """Returns the layout of the weights.

    Raises:
        UserError: if fields of an axial model differ in the size of their heads.
    """
    settings, layout = source.settings, current_layout(source.settings)
    if settings.encoder_att_type == "dense":
        return WeightLayout(source.per_head, layout.reserved_heads, layout.coupling_heads)
    # Versions differ in how many heads they reserve room for; the weights tell.
    reserved, coupling = set(), set()
    for number, field in enumerate(settings.fields):
        place = f"encoders.{number}.heads.0.axial_attentions.0"
        size = _rows(source, f"{place}.0.fn.to_q.weight") // settings.encoder_num_heads
        if size:
            reserved.add(field.embed_dim // size - settings.encoder_num_heads)
        if size and field.couplings:
            coupling.add(_rows(source, f"{place}.1.fn.to_q.weight") // size)
    coupling -= {0}
    if len(reserved) > 1 or len(coupling) > 1:
        raise UserError(
            f"{settings.source}: the fields differ in the size or number of their coupling heads, "
            f"as an old version's axial models do; such a model cannot be opened."
        )
    return WeightLayout(
        source.per_head,
        reserved.pop() if reserved else layout.reserved_heads,
        coupling.pop() if coupling else layout.coupling_heads,
    )


def _rows(source: Source, key: str) -> int:
    return source.state[key].shape[0] if key in source.state else 0


def fill(model: AtmoRep, source: Source, layout: WeightLayout) -> list[Fate]:
    """Gives a built model the weights of its source, and says what became of each.

    Raises:
        UserError: if a weight is missing, unexpected or differs in shape.
    """
    found = pieces(model, source.settings, layout)
    expected = {piece.key: piece.shape for piece in found}
    new = [p for p in found if source.is_assembled and _is_coupling(p) and _is_lacking(p, source)]
    _check_names(source, set(expected) - {p.key for p in new}, set(expected))
    for piece in reversed(new):  # what comes before the first new part is all that a file has
        if piece.part is not ... and piece.part[1].start:
            expected[piece.key] = (piece.shape[0], piece.part[1].start)
    _check_shapes(source, expected)
    _assign(found, new, source)
    return [*_taken(found, new, source), *_new(new), *_unused(source)]


def _is_coupling(piece: WeightPiece) -> bool:
    return "coupled_" in piece.variable.path


def _is_lacking(piece: WeightPiece, source: Source) -> bool:
    """Tells whether the array is missing, or ends before this part of it."""
    if piece.key not in source.state:
        return True
    shape = source.state[piece.key].shape
    return piece.part is not ... and len(shape) == 2 and (piece.part[1].start or 0) >= shape[1]


def _check_names(source: Source, needed: set[str], expected: set[str]) -> None:
    missing, unknown = sorted(needed - set(source.state)), sorted(set(source.state) - expected)
    if missing:
        raise UserError(
            f"the weights lack {missing[0]!r}{_more(missing)}, which the settings "
            f"{source.settings.source} ask for{nearest(missing[0], unknown)}"
        )
    if unknown:
        file = source.state[unknown[0]].file
        raise UserError(
            f"{file} holds {unknown[0]!r}{_more(unknown)}, which no part of the model of "
            f"{source.settings.source} uses."
        )


def _more(names: list[str]) -> str:
    return f" and {len(names) - 1} more" if len(names) > 1 else ""


def _check_shapes(source: Source, expected: dict[str, tuple[int, ...]]) -> None:
    for key, shape in expected.items():
        if key in source.state and source.state[key].shape != shape:
            array = source.state[key]
            raise UserError(
                f"{array.file}: {key!r} has shape {array.shape}, but the settings "
                f"{source.settings.source} ask for {shape}."
            )


def _assign(found: list[WeightPiece], new: list[WeightPiece], source: Source) -> None:
    by_variable: dict[int, list[WeightPiece]] = {}
    for piece in found:
        by_variable.setdefault(id(piece.variable), []).append(piece)
    fresh = {id(piece) for piece in new}
    for number, group in enumerate(by_variable.values()):
        variable = group[0].variable
        if all(id(piece) in fresh for piece in group):
            # Seeded, so that what is new starts the same each time.
            random = keras.initializers.GlorotUniform(seed=number)
            start = keras.initializers.Zeros() if "project" in variable.path else random
            variable.assign(start(variable.shape))
            continue
        values = np.zeros(variable.shape, np.float32)
        for piece in group:
            view = piece.view(values)
            view[...] = source.state[piece.key].values()[piece.part].reshape(view.shape)
        variable.assign(values)


def _taken(found: list[WeightPiece], new: list[WeightPiece], source: Source) -> list[Fate]:
    fresh = {id(piece) for piece in new}
    where: dict[str, list[str]] = {}
    for piece in found:
        if id(piece) not in fresh:
            where.setdefault(piece.key, []).append(piece.variable.path)
    return [
        Fate("taken", key, array.shape, tuple(where[key]), file=array.file.name)
        for key, array in source.state.items()
    ]


def _new(new: list[WeightPiece]) -> list[Fate]:
    variables = {piece.variable.path: piece.variable for piece in new}
    return [
        Fate(
            "new",
            "",
            tuple(variable.shape),
            (path,),
            "a coupling that the files lack; starts at zero, so that it changes nothing at first"
            if "project" in path
            else "of a coupling that the files lack; starts at random (Glorot uniform)",
        )
        for path, variable in variables.items()
    ]


def _unused(source: Source) -> list[Fate]:
    return [
        Fate("unused", u.key, u.array.shape, note=u.reason, file=u.array.file.name)
        for u in source.unused
    ]
