"""Taking a field out of a saved model; all others stay as they are."""

from pathlib import Path
from typing import Any

from atmorep_k.backend.installed import versions
from atmorep_k.backend.weight_paths import path_in_model
from atmorep_k.earth.variables import canonical_name
from atmorep_k.errors import UserError, unknown
from atmorep_k.extension.source import count_weights, take
from atmorep_k.files import check_model_output, write_whole
from atmorep_k.model import AtmoRep
from atmorep_k.registry import clone
from atmorep_k.saved.model import SavedModel


def remove_to_file(
    model: str | Path, field: str, output: str | Path, *, overwrite: bool = False
) -> list[str]:
    """Write a saved model without one of its fields.

    Args:
        model: path of the model, or of its run.
        field: name of the field, or an alias.
        output: file to write, ending in `.keras`.
        overwrite: whether an existing file is replaced.

    Returns:
        Lines that say what was taken out and what that means for the other fields.

    Raises:
        UserError: if the model lacks the field, nothing would be left to predict, or the output
            cannot be written.
    """
    check_model_output(Path(output), overwrite)
    saved, name = SavedModel.find(model), canonical_name(field)
    reduced = without(saved, name)
    source = saved.load()
    reduced.build()
    take(source, reduced)
    write_whole(Path(output), reduced.save)
    return _report(source, reduced, name)


def without(saved: SavedModel, name: str) -> AtmoRep:
    """Return the architecture of a saved model without a field, not built.

    Raises:
        UserError: if the field does not exist, or nothing would be left to predict.
    """
    model = saved.architecture
    if name not in saved.names:
        raise unknown(f"field of {saved.path}", name, saved.names)
    if all(f.name == name for f in model.predicted):
        raise UserError(f"without {name!r} nothing would be left in {saved.path} to predict.")
    fields = [
        clone(f, couplings=[other for other in f.couplings if other != name])
        for f in model.fields
        if f.name != name
    ]
    own = {f: of for f, of in model.templates.parts.items() if f != name}
    common = dict(model.templates)
    if not any(f.couplings for f in fields):
        common["coupler"] = None
    freeze, provenance = _before(saved, name)
    return AtmoRep(
        fields,
        **common,
        parts=own,
        encode=model.encode,
        freeze=freeze,
        provenance=provenance,
        name=model.name,
        dtype=model.dtype_policy,
    )


def _before(saved: SavedModel, name: str) -> tuple[list[str], dict[str, Any]]:
    """Return what is frozen, and remembered, of the model that is left.

    Where the field was the last one that was added, that is what the model had before.
    """
    model = saved.architecture
    for entry in model.provenance.get("sources", ()):
        if entry["role"] == "extended" and {*entry["fields"], name} == set(saved.names):
            return entry["freeze"], entry["provenance"]
    frozen = [pattern for pattern in model.freeze if not _concerns(pattern, name)]
    units = {f: u for f, u in model.provenance.get("units", {}).items() if f != name}
    return frozen, {"units": units, "versions": versions(), "sources": [saved.entry("reduced")]}


def _concerns(pattern: str, name: str) -> bool:
    return f"/{name}/" in pattern or f"coupled_{name}/" in pattern


def _report(source: AtmoRep, reduced: AtmoRep, name: str) -> list[str]:
    kept = {path_in_model(weight.path) for weight in reduced.weights}
    gone = count_weights(
        weight for weight in source.weights if path_in_model(weight.path) not in kept
    )
    left = ", ".join(f.name for f in reduced.fields)
    lines = [
        f"removed  {name}: {gone:,} weights",
        f"left     {left}: {count_weights(reduced.weights):,} weights, unchanged",
    ]
    if readers := [f.name for f in source.fields if name in f.couplings]:
        lines.append(f"changed  {', '.join(readers)} read {name} and now predict without it")
    return lines
