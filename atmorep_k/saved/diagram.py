"""A picture of a model: a column of parts per field, couplings between them, what is frozen."""

import itertools
import textwrap
from pathlib import Path

from atmorep_k.files import check_output, write_whole
from atmorep_k.saved.description import component_of, file_name, origin_text
from atmorep_k.saved.table import share_text, times

ENDINGS = (".svg", ".png", ".pdf")
# Okabe & Ito (2008), as in `plots`; without the yellow, which is pale on white.
_LINES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_HATCHED = {"facecolor": "0.91", "edgecolor": "0.76", "hatch": "////"}
_SMALL, _TINY = 8, 7
# Inches: a column, its boxes, the space between boxes and that of each coupled field's line.
_COLUMN, _WIDTH, _GAP, _LANE = 2.9, 2.4, 0.3, 0.17
_HEADER, _LEGEND, _MARGIN = 2.1, 0.65, 0.3
_HEIGHTS = {"tokenizer": 0.8, "encoder": 1.35, "decoder": 1.2, "tail": 0.8}
# Small parts of a field that are drawn with its tokenizer.
_WITH_TOKENIZER = ("token_info", "position")


def draw_model(description: dict, path: Path) -> Path:
    """Draws a model into a file, whole or not at all.

    Args:
        description: what `saved.describe` returned.
        path: its ending (.svg, .png, .pdf) chooses the format.

    Raises:
        UserError: if the name has another ending, or the file cannot be written.
    """
    check_output(path, True, ENDINGS, "a diagram", any_case=True)
    figure = diagram(description)
    form = Path(path).suffix.lower()[1:]
    return write_whole(path, lambda partial: figure.savefig(partial, format=form, dpi=150))


def diagram(description: dict):
    """Returns the figure of a model, data coordinates in inches, y upwards."""
    from matplotlib.figure import Figure

    fields = description["fields"]
    sources = _sources(description)
    tops = _tops(len(sources))
    width = max(len(fields) * _COLUMN, 5.2) + 2 * _MARGIN
    bottom = tops["tail"] - _HEIGHTS["tail"] - _LEGEND
    figure = Figure(figsize=(width, -bottom))
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(bottom, 0))
    axes.set_axis_off()
    left = (width - len(fields) * _COLUMN) / 2
    for role, top in tops.items():
        options = {"rotation": 90, "ha": "center", "va": "center", "color": "0.45"}
        axes.text(left, top - _HEIGHTS[role] / 2, role, fontsize=_SMALL + 1, **options)
    centres = {f["name"]: left + (i + 0.5) * _COLUMN for i, f in enumerate(fields)}
    _title(axes, description)
    for field in fields:
        _header(axes, field, centres[field["name"]], sources)
        _Column(axes, description, field, centres[field["name"]], tops).draw()
    _draw_couplings(axes, description["couplings"], sources, centres, tops)
    _legend(figure, description)
    return figure


def _sources(description: dict) -> dict[str, str]:
    """Returns the fields that others attend to, in the order of the columns, with their colours."""
    read = {c["attends_to"] for c in description["couplings"]}
    names = [f["name"] for f in description["fields"] if f["name"] in read]
    return {name: _LINES[i % len(_LINES)] for i, name in enumerate(names)}


def _tops(lanes: int) -> dict[str, float]:
    """Returns where the boxes of each role begin; lines of couplings run above the encoders."""
    tops, y = {}, -_HEADER
    for role, height in _HEIGHTS.items():
        if role == "encoder" and lanes:
            y -= (lanes + 1) * _LANE
        tops[role] = y
        y -= height + _GAP
    return tops


def _title(axes, description: dict) -> None:
    name = file_name(Path(description["path"]))
    axes.text(0.2, -0.18, name, va="top", fontsize=13, weight="bold")
    rest = f"{description['weights']:,} weights, {description['dtype']}"
    if description["encode"] != "all":
        rest += ", encoders see visible tokens only"
    axes.text(0.2, -0.46, rest, va="top", fontsize=_SMALL + 1, color="0.35")


def _header(axes, field: dict, x: float, sources: dict[str, str]) -> None:
    """Writes name, tokens, window and origin of a field above its column."""
    name = textwrap.fill(field["name"].replace("_", " "), 26).replace(" ", "_")
    lines = [
        _levels(field["levels"]),
        f"{times(field['num_tokens'])} tokens of {times(field['token_size'])}",
        f"window {times(field['window']['shape'])}, {field['window']['step_hours']:g} h steps",
    ]
    small = [
        textwrap.shorten(origin_text(field), 48, placeholder=" ..."),
        f"fingerprint {field['fingerprint'][:12]}",
    ]
    options = {"ha": "center", "va": "bottom"}
    colour = sources.get(field["name"], "0.1")
    axes.text(x, 0.95 - _HEADER, name, fontsize=11, weight="bold", color=colour, **options)
    axes.text(x, 0.4 - _HEADER, "\n".join(lines), fontsize=_SMALL, linespacing=1.35, **options)
    axes.text(x, 0.09 - _HEADER, "\n".join(small), fontsize=_TINY, color="0.4", **options)


def _levels(levels: list[float]) -> str:
    if levels == [0]:
        return "surface"
    shown = [f"{level:g}" for level in levels]
    if len(shown) > 6:
        return f"{len(shown)} levels, {shown[0]} to {shown[-1]}"
    return f"level{'s' if len(shown) > 1 else ''} {', '.join(shown)}"


class _Column:
    """The boxes of one field, from its tokenizer down to its tail."""

    def __init__(self, axes, description: dict, field: dict, x: float, tops: dict[str, float]):
        self.axes, self.description, self.field = axes, description, field
        self.left, self.x, self.tops = x - _WIDTH / 2, x, tops

    def draw(self) -> None:
        predicted = self.field["predicted"]
        roles = list(_HEIGHTS) if predicted else ["tokenizer", "encoder"]
        for role in roles:
            self._box(role)
        for above, below in itertools.pairwise(roles):
            self._arrow(self.tops[above] - _HEIGHTS[above], self.tops[below])
        if not predicted:
            y = self.tops["encoder"] - _HEIGHTS["encoder"] - 0.12
            options = {"ha": "center", "va": "top", "style": "italic", "color": "0.4"}
            self.axes.text(self.x, y, "input only", fontsize=_SMALL, **options)

    def _arrow(self, start: float, end: float) -> None:
        style = {"arrowstyle": "-|>", "color": "0.3", "shrinkA": 0, "shrinkB": 0, "lw": 1.2}
        self.axes.annotate("", (self.x, end), (self.x, start), arrowprops=style, zorder=3)

    def _box(self, role: str) -> None:
        weights, frozen = self._weights(role)
        top, height = self.tops[role], _HEIGHTS[role]
        self._rectangle(top, height, 0, 1, facecolor="white")
        if frozen:
            self._rectangle(top, height, 0, frozen / weights, linewidth=0, **_HATCHED)
        self._rectangle(top, height, 0, 1, fill=False, edgecolor="0.2", linewidth=1.2)
        component = component_of(self.description, self.field, role)
        lines = [component["class"], *self._details(role, component)]
        share = f", {share_text(frozen, weights)} frozen" if frozen else ""
        lines.append(f"{short(weights)} weights{share}")
        self._label(role, lines, self._blocks(component, top, height))

    def _weights(self, role: str) -> tuple[int, int]:
        """Returns how many weights a box stands for, and how many of them are frozen."""
        roles = (role, *_WITH_TOKENIZER) if role == "tokenizer" else (role,)
        parts = [self.field["parts"][r] for r in roles if r in self.field["parts"]]
        frozen = 0 if self.field["frozen"] is None else sum(part["frozen"] for part in parts)
        return sum(part["weights"] for part in parts), frozen

    def _rectangle(self, top, height, begin, end, **options) -> None:
        from matplotlib.patches import Rectangle

        corner = (self.left + begin * _WIDTH, top - height)
        self.axes.add_patch(Rectangle(corner, (end - begin) * _WIDTH, height, zorder=2, **options))

    def _blocks(self, component: dict, top: float, height: float) -> float:
        """Draws a bar for each of the first 12 blocks; returns the width that they take."""
        number = component.get("num_layers")
        if not isinstance(number, int) or number < 1:
            return 0.0
        shown = min(number, 12)
        step = (height - 0.2) / max(shown, 4)
        begin = top - (height - shown * step) / 2
        for i in range(shown):
            self._rectangle(
                begin - i * step - 0.15 * step, 0.7 * step, 0.05, 0.19, facecolor="0.45"
            )
        return 0.2 * _WIDTH

    def _label(self, role: str, lines: list[str], blocks: float) -> None:
        x, y = self.x + blocks / 2, self.tops[role] - _HEIGHTS[role] / 2
        behind = {"facecolor": "white", "edgecolor": "none", "pad": 1.5, "alpha": 0.85}
        options = {"ha": "center", "va": "center", "fontsize": _SMALL, "linespacing": 1.3}
        self.axes.text(x, y, "\n".join(lines), bbox=behind, zorder=4, **options)

    def _details(self, role: str, component: dict) -> list[str]:
        counts = [("num_layers", "layer"), ("num_heads", "head"), ("num_members", "member")]
        options = {**component.get("block", {}), **component}
        words = [
            f"{options[key]} {word}{'' if options[key] == 1 else 's'}"
            for key, word in counts
            if isinstance(options.get(key), int)
        ]
        lines = [", ".join(words)] if words else []
        if role == "tokenizer":
            others = [component_of(self.description, self.field, r) for r in _WITH_TOKENIZER]
            lines.append(", ".join(other["class"] for other in others))
        if role in ("encoder", "decoder"):
            lines.append(f"width {self.field['embed_dim']}")
        if role == "encoder":
            lines += self._couplings()
        return lines

    def _couplings(self) -> list[str]:
        mine = [c for c in self.description["couplings"] if c["field"] == self.field["name"]]
        if not mine:
            return []
        number, heads = len(mine), mine[0]["num_heads"]
        of = "" if heads is None else f" of {heads} head{'' if heads == 1 else 's'}"
        return [f"{number} coupling{'' if number == 1 else 's'}{of}"]


def _draw_couplings(axes, couplings, sources, centres, tops) -> None:
    """Draws a line for each field that others attend to: up from its encoder, down to theirs."""
    top = tops["encoder"]
    for number, (source, colour) in enumerate(sources.items()):
        y = top + (len(sources) - number) * _LANE
        shift = _slot(number, len(sources))
        ends = [centres[c["field"]] + shift for c in couplings if c["attends_to"] == source]
        start = centres[source] + shift
        axes.plot([start, start], [top, y], color=colour, lw=1.5, zorder=1)
        axes.plot([min(start, *ends), max(start, *ends)], [y, y], color=colour, lw=1.5, zorder=1)
        axes.plot([start], [top], "o", color=colour, markersize=4, zorder=3)
        style = {"arrowstyle": "-|>", "color": colour, "shrinkA": 0, "shrinkB": 0, "lw": 1.5}
        for end in ends:
            axes.annotate("", (end, top), (end, y), arrowprops=style, zorder=3)


def _slot(number: int, total: int) -> float:
    """Returns where a line meets the encoders, from their middle, which is left to the tokens."""
    half = (total + 1) // 2
    step = 0.42 * _WIDTH / half
    return -step * (half - number) if number < half else step * (number - half + 1)


def _legend(figure, description: dict) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles = [Patch(facecolor="white", edgecolor="0.2", label="trainable")]
    if description["freeze"] and not description["frozen_unknown"]:
        handles.append(Patch(label="frozen (the share of the box)", **_HATCHED))
    elif description["frozen_unknown"]:
        handles = [Patch(facecolor="white", edgecolor="0.2", label="frozen or not: unknown")]
    handles.append(Patch(facecolor="0.45", label="block"))
    if description["couplings"]:
        label = "coupling: the field at the arrow attends to that at the dot"
        handles.append(Line2D([], [], color=_LINES[0], marker="o", markersize=4, label=label))
    columns = len(handles) if len(description["fields"]) > 2 else 2
    figure.legend(
        handles=handles, loc="lower center", ncols=columns, fontsize=_SMALL, frameon=False
    )


def short(number: int) -> str:
    """Returns a number of weights in three digits: `"812"`, `"1.23 k"`, `"118 M"`."""
    for unit, size in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if number >= size:
            return f"{number / size:.3g} {unit}"
    return str(number)
