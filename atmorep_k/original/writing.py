"""From the original's files to a model file of ours, and back."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from keras import ops

from atmorep_k.data.named import store_path
from atmorep_k.data.opening import open_store
from atmorep_k.errors import UserError, missing_extra
from atmorep_k.files import check_model_output, write_whole, writing_whole
from atmorep_k.model import AtmoRep
from atmorep_k.original.checkpoint import PER_FIELD, SHARED
from atmorep_k.original.describing import describe_network
from atmorep_k.original.importing import import_checkpoint
from atmorep_k.original.pieces import original_arrays, pieces
from atmorep_k.original.report import ImportReport
from atmorep_k.original.settings import Settings
from atmorep_k.windows.opened import StoreWindows


def import_to_file(
    sources: Sequence[Path],
    output: Path,
    *,
    epoch: int | None = None,
    statistics: str | None = None,
    overwrite: bool = False,
) -> tuple[ImportReport, Path]:
    """Writes original runs as one model file, and beside it a list of what became of each weight.

    Args:
        sources: as for `import_checkpoint`.
        output: the model file to write, ending in `.keras`.
        epoch: as for `import_checkpoint`.
        statistics: a store from which the fields' normalisation is taken into the model; of
            statistics of each grid point and year, those of the last twelve months.
        overwrite: whether an existing file is replaced.

    Returns:
        What became of every weight, and the path of the list.

    Raises:
        UserError: as for `import_checkpoint`; where the file exists, or the store lacks a field.
    """
    check_model_output(output, overwrite)
    model, report = import_checkpoint(sources, epoch)
    if statistics is not None:
        _take_statistics(model, statistics)
    listing = Path(output).with_suffix(".weights.tsv")
    write_whole(output, model.save)
    write_whole(listing, lambda path: path.write_text(report.listing()))
    return report, listing


def _take_statistics(model: AtmoRep, path: str) -> None:
    windows = StoreWindows.of_record(path, None, model.fields, model.normalizers)
    times = open_store(store_path(path)).time
    months = times.astype("datetime64[M]")
    # Of each grid point and year all months would be tens of gigabytes; one year has each once.
    last_year = times[months > months[-1] - 12]
    for normalizer in model.normalizers.values():
        normalizer.hold(last_year)
    model.provenance = {**windows.provenance(), **model.provenance}


def export_checkpoint(model: AtmoRep, directory: Path, run: str) -> Path:
    """Writes a model of ours as the original would have written it.

    The whole model, the files of its blocks and the JSON file appear in a new directory `id<run>`,
    in the layout of 2024, or of 2023 where the decoder's norms have no weights.

    Args:
        model: a built model.
        directory: where the new directory appears.
        run: the run's id.

    Returns:
        The new directory.

    Raises:
        UserError: if the original cannot express the model (says which part), the directory is
            there already, or PyTorch is missing.
    """
    try:
        import torch
    except ImportError as error:
        raise missing_extra("PyTorch, which writes the original's files,", "torch") from error
    values, settings, layout = describe_network(model)
    target = Path(directory) / f"id{run}"
    if target.exists():
        raise UserError(f"{target} already exists; choose another run id or directory.")
    found = pieces(model, settings, layout)
    arrays = dict(original_arrays(found, lambda variable: ops.convert_to_numpy(variable.value)))
    state = {key: torch.from_numpy(array) for key, array in _completed(arrays, settings).items()}
    with writing_whole(target) as partial:
        partial.mkdir()
        (partial / f"model_id{run}.json").write_text(json.dumps({**values, "wandb_id": run}))
        for part, prefix in _parts(settings).items():
            kept = {k.removeprefix(prefix): t for k, t in state.items() if k.startswith(prefix)}
            torch.save(kept, partial / f"AtmoRep{part}_id{run}.mod")
    return target


def _completed(arrays: dict[str, np.ndarray], settings: Settings) -> dict[str, np.ndarray]:
    """Adds what the original stores and does not read, in its order."""
    net = settings.size_token_info_net
    shared = {
        f"{SHARED}.weight": np.zeros((net, settings.size_token_info), np.float32),
        f"{SHARED}.bias": np.zeros(net, np.float32),
    }
    seconds = {
        f"encoders.{number}.embed.{word}": arrays[f"embeds.{number}.{word}"]
        for number in range(len(settings.fields))
        for word in ("weight", "bias")
    }
    return {**shared, **arrays, **seconds}


def _parts(settings: Settings) -> dict[str, str]:
    """Returns, for each file of a run, the end of its name and the start of its keys."""
    parts = {"": "", f"_{PER_FIELD}": f"{PER_FIELD}."}
    for number, field in enumerate(settings.fields):
        parts[f"_encoder_{field.name}"] = f"encoders.{number}."
    for number, name in enumerate(settings.weights):
        parts[f"_decoder_{name}"] = f"decoders.{number}."
        parts[f"_tail_{name}"] = f"tails.{number}."
    return parts
