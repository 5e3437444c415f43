"""What a saved model is, read from its file without building it."""

from pathlib import Path

from atmorep_k.saved.file import SavedFile
from atmorep_k.saved.fingerprints import fingerprints

_COMPONENTS = (
    "tokenizer",
    "token_info",
    "position",
    "encoder",
    "coupler",
    "decoder",
    "tail",
    "first_guess",
    "normalizer",
)
# What the model sets for each field stands with the fields, not with the templates.
_OF_KERAS_OR_FIELD = ("name", "trainable", "dtype", "token_values", "head_dim")


def describe_model(path: Path) -> dict:
    """Returns fields, couplings, components, sizes and provenance of a `.keras` file (or a run's).

    Of each field, what its weights are: how many, how many of them frozen, their fingerprint (see
    `weights_file.fingerprints`) and the model that they were taken from.

    Raises:
        UserError: if it is not a model of this package.
    """
    with SavedFile(path) as saved:
        config, metadata, weights = saved.config, saved.metadata, _count_weights(saved)
    frozen, reason = _frozen(config)
    prints, components = fingerprints(saved.path), _components(config)
    fields = [_field(_plain(field)) for field in config["fields"]]
    for field in fields:
        name = field["name"]
        field["parts"] = _parts(name, weights, frozen)
        field["weights"] = sum(part["weights"] for part in field["parts"].values())
        field["frozen"] = None if reason else sum(p["frozen"] for p in field["parts"].values())
        field["components"] = _components((config.get("parts") or {}).get(name) or {})
        field["fingerprint"] = prints[name]
        field["origin"] = _origin(name, config["provenance"])
    return {
        "path": str(saved.path),
        "bytes": saved.path.stat().st_size,
        "saved": metadata.get("date_saved"),
        "keras": metadata.get("keras_version"),
        "weights": sum(weights.values()),
        "encode": config["encode"],
        "dtype": _dtype(config["dtype"]),
        "fields": fields,
        "couplings": [c for field in fields for c in _couplings(field, components)],
        "components": components,
        "freeze": list(config.get("freeze") or []),
        "frozen_unknown": reason,
        "provenance": config["provenance"],
    }


def _count_weights(saved: SavedFile) -> dict[tuple[str, str], int]:
    """Counts the weights of a file by (field, role)."""
    counts: dict[tuple[str, str], int] = {}
    for name, place in saved.places.items():
        if place[1] != "normalizer":
            counts[place] = counts.get(place, 0) + saved.size(name)
    return counts


def _frozen(config: dict) -> tuple[dict[tuple[str, str], int], str | None]:
    """Returns the frozen weights by (field, role), and why they are not known, if they are not."""
    if not config.get("freeze"):
        return {}, None  # Keras, which takes seconds to import, is not needed
    from atmorep_k.saved.frozen import frozen_weights

    try:
        return frozen_weights(config), None
    except Exception as error:  # a component of a plug-in may fail in any way, or be missing
        return {}, (str(error) or type(error).__name__).splitlines()[0].split(". ")[0].rstrip(".")


def _parts(field: str, weights, frozen) -> dict[str, dict[str, int]]:
    places = {role: (field, role) for role in _COMPONENTS if (field, role) in weights}
    return {
        role: {"weights": weights[place], "frozen": frozen.get(place, 0)}
        for role, place in places.items()
    }


def _origin(field: str, provenance: dict) -> dict | None:
    """Returns the model that a field's weights were taken from; None where they began here."""
    for source in provenance.get("sources") or []:
        if field in source["fields"]:
            name = file_name(Path(source["model"]))
            return {"model": name, "sha256": source["sha256"], "role": source["role"]}
    runs = (provenance.get("original") or {}).get("runs")
    return {"runs": list(runs)} if runs else None


def _couplings(field: dict, components: dict) -> list[dict]:
    coupler = field["components"].get("coupler") or components.get("coupler") or {}
    kind, heads = coupler.get("class"), coupler.get("num_heads")
    return [
        {"field": field["name"], "attends_to": other, "component": kind, "num_heads": heads}
        for other in field["couplings"]
    ]


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


def _components(serialised: dict) -> dict[str, dict]:
    return {r: _component(r, serialised[r]) for r in _COMPONENTS if serialised.get(r)}


def _component(role: str, value) -> dict:
    set_by_model = {
        "tokenizer": ["embed_dim"],
        "coupler": ["norm"],
        "first_guess": ["token_size"],
    }
    left_out = {*_OF_KERAS_OR_FIELD, *set_by_model.get(role, [])}
    return {k: v for k, v in _plain(value).items() if k not in left_out}


def component_of(description: dict, field: dict, role: str) -> dict:
    """Returns the component that plays a role for a field: its own, or that of all fields."""
    return field["components"].get(role) or description["components"][role]


def origin_text(field: dict) -> str:
    """Returns in words where a field's weights come from."""
    origin = field["origin"]
    if origin is None:
        return "trained here"
    if "runs" in origin:
        return f"original run {', '.join(origin['runs'])}"
    return f"from {origin['model']} {origin['sha256'][:12]}"


def file_name(model: Path) -> str:
    """Returns the name of a model's file, with the run's where it is `model.keras` as in all."""
    is_of_run = model.name == "model.keras" and model.parent.name
    return f"{model.parent.name}/{model.name}" if is_of_run else model.name
