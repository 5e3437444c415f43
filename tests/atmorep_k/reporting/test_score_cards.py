"""Cards say by how much a model is better or worse, in three ways: sign, colour and mark."""

import math

import pytest

from atmorep_k.reporting.score import Score
from atmorep_k.reporting.score_cards import by_lead, by_task, card, cards, some_leads, values

NAN = math.nan


def score(model, value, name="rmse", ends=(NAN, NAN), level="500", lead=None, field="temperature"):
    return Score("forecast", field, level, lead, "", model, name, value, *ends, "K")


def cells(made):
    """Returns group, row and column -> cell."""
    return {
        (group, level, column): cell
        for group, levels in made["groups"]
        for level, row in levels
        for column, cell in zip(made["columns"], row, strict=True)
    }


@pytest.mark.parametrize(
    ("own", "text", "tone", "shade"),
    [
        (1.0, "\u221250 %", "better", 4),
        (1.9, "\u22125 %", "better", 1),
        (1.98, "\u22121 %", "same", 0),
        (1.999, "0 %", "same", 0),
        (2.6, "+30 %", "worse", 3),
    ],
)
def test_a_cell_is_the_change_relative_to_the_baseline(own, text, tone, shade):
    made = card([score("ensemble", own), score("persistence", 2.0)], "rmse", by_task)
    (cell,) = cells(made).values()
    assert (cell["text"], cell["tone"], cell["shade"]) == (text, tone, shade)
    assert cell["title"] == f"{own:.3g} against 2 K"
    assert made["heads"] == [("Forecast", 1)] and made["columns"] == ["persistence"]


def test_scores_that_are_good_where_they_are_high_are_subtracted():
    made = card([score("prediction", 0.9, "acc"), score("climatology", 0.5, "acc")], "acc", by_task)
    (cell,) = cells(made).values()
    assert (cell["text"], cell["tone"], cell["shade"]) == ("+0.40", "better", 3)
    assert "above 0 the model is better" in made["caption"]


@pytest.mark.parametrize(("ends", "sure"), [((0.9, 1.1), True), ((0.9, 1.6), False)])
def test_intervals_that_overlap_are_told(ends, sure):
    pair = [score("ensemble", 1.0, ends=ends), score("persistence", 2.0, ends=(1.5, 2.5))]
    made = card(pair, "rmse", by_task)
    (cell,) = cells(made).values()
    assert cell["sure"] is sure and made["with_intervals"]
    (cell,) = cells(card([pair[0], score("persistence", 2.0)], "rmse", by_task)).values()
    assert cell["sure"] is None


def test_a_row_per_level_and_a_column_per_lead_time():
    scores = [
        score(model, value * lead, level=level, lead=lead)
        for model, value in (("ensemble", 1.0), ("climatology", 2.0), ("persistence", 4.0))
        for level in ("500", "surface")
        for lead in (1.0, 3.0)
    ]
    made = card(scores, "rmse", by_lead)
    found = cells(made)
    assert made["columns"] == ["1 h", "3 h"] and len(found) == 8
    assert found["temperature, against climatology", "level 500", "3 h"]["text"] == "\u221250 %"
    assert found["temperature, against persistence", "surface", "1 h"]["text"] == "\u221275 %"


def test_what_cannot_be_compared_has_no_cell():
    assert card([score("ensemble", 1.0)], "rmse", by_task) is None
    assert cards([score("ensemble", 1.0)], ["rmse", "crps"], by_task) == []
    for other in (0.0, NAN):
        made = card([score("ensemble", 1.0), score("persistence", other)], "rmse", by_task)
        assert list(cells(made).values()) == [None]


def test_all_levels_of_a_field_with_one_are_left_out():
    models = ("ensemble", "persistence")
    scores = [score(m, 1.0, level=n) for m in models for n in ("500", "all levels")]
    assert [k[1] for k in cells(card(scores, "rmse", by_task))] == ["level 500"]
    scores += [score(m, 1.0, level="850") for m in models]
    levels = [k[1] for k in cells(card(scores, "rmse", by_task))]
    assert levels == ["level 500", "all levels", "level 850"]


def test_lead_times_are_thinned_from_the_first_to_the_last():
    shown = some_leads([score("ensemble", 1.0, lead=float(n)) for n in range(1, 61)])
    assert len(shown) == 8
    assert (shown[0].lead, shown[-1].lead) == (1, 60)
    assert some_leads([score("ensemble", 1.0)]) == []


def test_the_best_is_marked():
    scores = [
        score(model, value, name)
        for name, found in (
            ("rmse", (1.0, 2.0)),
            ("acc", (0.8, 0.9)),
            ("bias", (-0.1, 0.05)),
            ("spread_skill", (0.8, NAN)),
        )
        for model, value in zip(("ensemble", "persistence"), found, strict=True)
    ]
    made = values("all", scores)
    best = [[cell["best"] for cell in row[1:]] for row in made["rows"]]
    assert best == [[True, False], [False, True], [False, True], [False, False]]
    assert made["heads"] == ["", "ensemble mean", "persistence"]
    assert [row[0]["text"] for row in made["rows"]] == [
        "RMSE [K]",
        "ACC [K]",
        "bias [K]",
        "spread/skill [K]",
    ]
