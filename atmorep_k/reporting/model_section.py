"""What a page tells of a saved model."""

from pathlib import Path

from atmorep_k.reporting import blocks
from atmorep_k.reporting.chapter import Section
from atmorep_k.reporting.picture import Picture
from atmorep_k.saved.description import describe_model, origin_text
from atmorep_k.saved.diagram import diagram
from atmorep_k.saved.table import coupling_lines, frozen_text, history_lines, times

_HEADS = ("field", "levels", "window", "tokens", "token size", "channels", "weights", "frozen")
_ENCODED = {
    "all": "all tokens",
    "visible": "visible tokens",
    "apart": "visible tokens; masked ones are decoded separately",
}


def model_section(path: Path) -> Section:
    """Returns fields, sizes, components and the diagram of a saved model.

    Raises:
        UserError: if it cannot be read.
    """
    told = describe_model(path)
    rows = {
        "File": f"{told['path']}, {told['bytes'] / 1e6:.1f} MB",
        "Saved": told["saved"],
        "Weights": f"{told['weights']:,}",
        "Precision": told["dtype"],
        "Encoder sees": _ENCODED.get(told["encode"], told["encode"]),
        **{_capital(role): part["class"] for role, part in told["components"].items()},
    }
    shown = [blocks.facts(rows), _fields(told["fields"]), _drawn(told)]
    if lines := [*coupling_lines(told), *history_lines(told["provenance"])]:
        shown.append(blocks.source("\n".join(lines)))
    return Section("Model", shown)


def _fields(fields: list[dict]) -> blocks.Block:
    rows = [
        (
            f["name"].replace("_", " ") + ("" if f["predicted"] else " (input only)"),
            ", ".join(f"{level:g}" if level else "surface" for level in f["levels"]),
            f"{times(f['window']['shape'])}, {f['window']['step_hours']:g} h steps",
            times(f["num_tokens"]),
            times(f["token_size"]),
            f["embed_dim"],
            {"text": f"{f['weights']:,}", "beside": origin_text(f)},
            frozen_text(f),
        )
        for f in fields
    ]
    return blocks.table("Fields; sizes are time x latitude x longitude", _HEADS, rows)


def _drawn(told: dict) -> blocks.Block:
    names = ", ".join(f["name"].replace("_", " ") for f in told["fields"])
    alt = f"Diagram of the model: tokenizer, encoder, decoder and tail of {names}"
    return blocks.folded("Diagram", [blocks.pictures([Picture.of_figure(diagram(told), alt)])])


def _capital(role: str) -> str:
    return role.replace("_", " ").capitalize()
