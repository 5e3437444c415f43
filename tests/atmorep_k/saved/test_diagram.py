"""The picture of a model."""

import matplotlib.colors
import numpy as np
import pytest
from matplotlib.patches import Rectangle
from saved_models import save_extended

from atmorep_k.errors import UserError
from atmorep_k.figures.plots import COLOURS
from atmorep_k.saved.description import describe_model
from atmorep_k.saved.diagram import diagram, draw_model, short

pytestmark = pytest.mark.rendered


@pytest.fixture(scope="module")
def description(make_model, make_field, tmp_path_factory):
    """Of a frozen model with a coupling that is not, and an input-only field."""
    path = tmp_path_factory.mktemp("diagram") / "new.keras"
    save_extended(path, make_model, make_field)
    return describe_model(path)


def many(description, number):
    """A description of many fields, each of which attends to all others."""
    first = description["fields"][2]
    fields = [{**first, "name": f"a_field_with_a_long_name_{i}"} for i in range(number)]
    names = [field["name"] for field in fields]
    couplings = [
        {"field": a, "attends_to": b, "component": "Some", "num_heads": None}
        for a in names
        for b in names
        if a != b
    ]
    return {**description, "fields": fields, "couplings": couplings}


def texts(figure):
    return [text.get_text() for text in figure.axes[0].texts if text.get_text()]


def arrows(figure):
    """Returns (start, end) of all arrows, in inches."""
    return [(a.xyann, a.xy) for a in figure.axes[0].texts if not a.get_text()]


@pytest.mark.parametrize("ending", ["svg", "png", "pdf", "PNG"])
def test_a_file_is_of_the_kind_that_its_ending_says(description, tmp_path, ending):
    path = tmp_path / f"model.{ending}"
    assert draw_model(description, path) == path
    begin = {"svg": b"<?xml", "png": b"\x89PNG", "pdf": b"%PDF"}[ending.lower()]
    assert path.read_bytes().startswith(begin)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_other_endings_are_refused(description, tmp_path):
    for name in ("model.keras", "model", "model.jpg"):
        with pytest.raises(UserError, match=r"to .*model.*must end in \.svg, \.png or \.pdf"):
            draw_model(description, tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_every_part_has_a_box_with_its_label(description):
    shown = texts(diagram(description))
    assert sum(text.startswith("Encoder\n2 layers, 2 heads\nwidth 16") for text in shown) == 3
    assert sum(text.startswith("UNetDecoder") for text in shown) == 2  # one is input only
    assert sum(text.startswith("LinearEnsemble\n3 members") for text in shown) == 2
    assert sum(text.startswith("CuboidTokenizer\nTokenInfo, Harm") for text in shown) == 3
    assert shown.count("input only") == 1
    assert sum("2 couplings of 2 heads" in text for text in shown) == 1
    for field in description["fields"]:
        assert field["name"] in shown
        assert any(f"fingerprint {field['fingerprint'][:12]}" in text for text in shown)
    assert any("from base/model.keras abababababab" in text for text in shown)


def test_the_weights_of_the_boxes_are_all_weights(description):
    from atmorep_k.saved.diagram import _Column

    figure = diagram(description)
    total = 0
    for field in description["fields"]:
        column = _Column(figure.axes[0], description, field, 0.0, {})
        roles = ("tokenizer", "encoder", "decoder", "tail")
        total += sum(column._weights(role)[0] for role in roles)
    assert total == description["weights"]


def test_an_arrow_leads_from_who_is_read_to_who_reads(description):
    figure = diagram(description)
    position = {t.get_text(): t.get_position()[0] for t in figure.axes[0].texts}
    vertical = [start for start, end in arrows(figure) if start[0] == end[0]]
    assert len(vertical) == len(arrows(figure))
    tops = sorted(line.get_ydata()[0] for line in figure.axes[0].lines if line.get_marker() == "o")
    into = [end[0] for start, end in arrows(figure) if np.isclose(end[1], tops[0])]
    half = 1.2
    reading = [x for x in into if abs(x - position["temperature"]) < half]
    assert len(reading) == 3  # its own tokens and two fields
    assert len([x for x in into if abs(x - position["vorticity"]) < half]) == 1
    dots = [line.get_xdata()[0] for line in figure.axes[0].lines if line.get_marker() == "o"]
    near = {n: sum(abs(x - position[n]) < half for x in dots) for n in ("temperature", "vorticity")}
    assert near == {"temperature": 0, "vorticity": 1}


def test_the_hatched_width_is_the_frozen_share(description):
    figure = diagram(description)
    hatched = [p for p in figure.axes[0].patches if isinstance(p, Rectangle) and p.get_hatch()]
    full = max(p.get_width() for p in hatched)
    shares = sorted(p.get_width() / full for p in hatched)
    encoder = description["fields"][0]["parts"]["encoder"]
    assert shares == pytest.approx([encoder["frozen"] / encoder["weights"], 1, 1, 1, 1, 1])
    labels = [t.get_text() for t in figure.legends[0].get_texts()]
    assert "frozen (the share of the box)" in labels


def test_without_frozen_weights_nothing_is_hatched(description):
    fields = [{**field, "frozen": None} for field in description["fields"]]
    unknown = {**description, "fields": fields, "frozen_unknown": "no such class"}
    figure = diagram(unknown)
    assert not [p for p in figure.axes[0].patches if p.get_hatch()]
    assert "unknown" in figure.legends[0].get_texts()[0].get_text()


@pytest.mark.parametrize("number", [1, 2, 6, 8])
def test_nothing_overlaps(description, number):
    """Neither words with words, nor words with the ends of boxes or of the picture."""
    figure = diagram(many(description, number))
    renderer = figure.canvas.get_renderer() if hasattr(figure.canvas, "get_renderer") else None
    shown = [t for t in figure.axes[0].texts if t.get_text()]
    boxes = [t.get_window_extent(renderer) for t in shown]
    boxes.append(figure.legends[0].get_window_extent(renderer))
    for i, box in enumerate(boxes):
        assert figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= box.y0 and box.y1 <= figure.bbox.y1
        for other in boxes[i + 1 :]:
            assert not box.overlaps(other)


def test_lines_of_couplings_have_colours_that_all_tell_apart(description):
    figure = diagram(many(description, 5))
    colours = {matplotlib.colors.to_hex(line.get_color()).upper() for line in figure.axes[0].lines}
    assert len(colours) == 5
    assert {COLOURS["ensemble"], COLOURS["persistence"]} <= colours


@pytest.mark.parametrize(
    ("number", "text"), [(7, "7"), (1234, "1.23 k"), (117_656_192, "118 M"), (2 * 10**9, "2 G")]
)
def test_numbers_are_short(number, text):
    assert short(number) == text
