"""What a saved model is, read from its file without building it."""

import json
import math
import zipfile
from pathlib import Path

from atmorep_k.errors import UserError

_ROLES = (
    "tokenizer",
    "token_info",
    "position",
    "encoder",
    "coupler",
    "decoder",
    "tail",
    "normalizer",
)
# What the model sets for each field stands with the fields, not with the templates.
_OF_KERAS_OR_FIELD = ("name", "trainable", "dtype", "token_values", "head_dim")


def describe(path: Path) -> dict:
    """Returns fields, components, sizes and provenance of a `.keras` file (or a run's).

    Raises:
        UserError: where it is no model of this package.
    """
    path = Path(path)
    path = path / "model.keras" if path.is_dir() else path
    if not path.is_file():
        raise UserError(f"there is no model at {path}.")
    try:
        with zipfile.ZipFile(path) as archive:
            model = json.loads(archive.read("config.json"))
            metadata = json.loads(archive.read("metadata.json"))
            weights = _count_weights(archive)
    except (zipfile.BadZipFile, KeyError) as error:
        raise UserError(f"{path} is no saved Keras model: {error}.") from error
    if model.get("registered_name") != "atmorep_k>AtmoRep":
        raise UserError(
            f"{path} holds a {model.get('registered_name') or model.get('class_name')}, "
            f"not a model of atmorep_k."
        )
    config = model["config"]
    return {
        "path": str(path),
        "bytes": path.stat().st_size,
        "saved": metadata.get("date_saved"),
        "keras": metadata.get("keras_version"),
        "weights": weights,
        "encode": config["encode"],
        "dtype": _dtype(config["dtype"]),
        "fields": [_field(_plain(f)) for f in config["fields"]],
        "components": {r: _component(r, config[r]) for r in _ROLES if config.get(r)},
        "provenance": config["provenance"],
    }


def _count_weights(archive) -> int:
    """Counts the weights of a file; optimiser, metric and states of dropout are none."""
    import h5py

    total, others = 0, ("optimizer/", "batch_loss/", "vars/random_")

    def add(name, item):
        nonlocal total
        if isinstance(item, h5py.Dataset) and not name.startswith(others):
            total += math.prod(item.shape)

    with archive.open("model.weights.h5") as file, h5py.File(file) as weights:
        weights.visititems(add)
    return total


def _plain(value):
    """Undoes Keras's serialisation of tuples and objects, leaving dicts and lists."""
    if isinstance(value, dict) and value.get("class_name") == "__tuple__":
        return [_plain(item) for item in value["items"]]
    if isinstance(value, dict) and "class_name" in value:
        return {"class": value["class_name"], **_plain(value.get("config") or {})}
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


def _dtype(value) -> str:
    return value if isinstance(value, str) else value["config"]["name"]


def _field(field: dict) -> dict:
    window = field.pop("window")
    field.pop("class")
    field["window"] = {"shape": window["shape"], "step_hours": window["step_hours"]}
    sizes = zip(window["shape"], field["token_size"], strict=True)
    field["num_tokens"] = [points // size for points, size in sizes]
    return field


def _component(role: str, value) -> dict:
    set_by_model = {"tokenizer": ["embed_dim"], "coupler": ["norm"]}
    left_out = {*_OF_KERAS_OR_FIELD, *set_by_model.get(role, [])}
    return {k: v for k, v in _plain(value).items() if k not in left_out}


def table(description: dict) -> None:
    """Prints a description for a person to read."""
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table

    console = Console()
    console.print(
        f"[bold]{description['path']}[/]  {description['weights']:,} weights, "
        f"{description['bytes'] / 1e6:.1f} MB, saved {description['saved']}"
    )
    fields = Table(box=SIMPLE)
    fields.add_column("field", no_wrap=True)
    for head in ("levels", "window", "tokens", "token size", "channels", "statistics"):
        fields.add_column(head, overflow="fold")
    for f in description["fields"]:
        window = f"{_times(f['window']['shape'])}, {f['window']['step_hours']:g} h steps"
        levels = ", ".join(f"{level:g}" for level in f["levels"])
        fields.add_row(
            f["name"] + ("" if f["predicted"] else "\n(input only)"),
            levels,
            window,
            _times(f["num_tokens"]),
            _times(f["token_size"]),
            str(f["embed_dim"]),
            f["normalization"],
        )
    console.print(fields)
    for f in description["fields"]:
        if f["couplings"]:
            console.print(f"{f['name']} attends to {', '.join(f['couplings'])}", soft_wrap=True)
    parts = Table("part", "component", "configuration", box=SIMPLE)
    for role, options in description["components"].items():
        rest = ", ".join(f"{k}={v}" for k, v in options.items() if k != "class")
        parts.add_row(role, options["class"], rest)
    console.print(parts)
    for key, value in description["provenance"].items():
        console.print(f"{key}: {value}", highlight=False, soft_wrap=True)


def _times(sizes) -> str:
    return " x ".join(str(size) for size in sizes)
