import numpy as np
import pytest
import xarray as xr

from atmorep_k.errors import UserError
from atmorep_k.evaluation.held_out.scoring import TASKS
from atmorep_k.figures import plots

pytestmark = pytest.mark.rendered


def records():
    values = {"ensemble": 0.1, "climatology": 0.9, "persistence": 0.5}
    common = {"field": "temperature", "level": "all", "metric": "normalised_mse"}
    found = [
        {"task": task, **common, "model": model, "value": value}
        for task in ("masked", "forecast")
        for model, value in values.items()
    ]
    found.append({**found[0], "model": "linear_interpolation", "value": None})
    found.append({**found[0], "level": 500, "value": 7.0})
    found.append({**found[3], "lead_time_hours": 1.0, "value": 8.0})
    return found


def png_size(path):
    data = path.read_bytes()
    assert data.startswith(b"\x89PNG") and data.endswith(b"IEND\xaeB`\x82")
    return int.from_bytes(data[16:20]), int.from_bytes(data[20:24])


def test_pictures_are_whole_and_readable(tmp_path):
    width, height = png_size(plots.save(plots.score_bars(records()), tmp_path / "scores.png"))
    assert width > 700 and height > 300
    assert [p.name for p in tmp_path.iterdir()] == ["scores.png"]


def test_a_place_that_is_not_writable_is_named(tmp_path):
    with pytest.raises(UserError, match="cannot write"):
        plots.save(plots.score_bars(records()), tmp_path / "nowhere" / "scores.png")


def test_every_task_and_model_has_its_words_and_colour():
    assert tuple(plots.TASK_TITLES) == TASKS
    assert len(set(plots.COLOURS.values())) == len(plots.COLOURS) == 5


def test_bars_show_the_scores_over_all_levels_and_lead_times():
    figure = plots.score_bars(records())
    assert [a.get_title() for a in figure.axes] == ["Random tokens masked", "Forecast"]
    for axes in figure.axes:
        heights = [bar.get_height() for bar in axes.patches]
        assert [h for h in heights if not np.isnan(h)] == [0.1, 0.9, 0.5]


def test_rank_histogram_is_relative_to_a_flat_one():
    flat = xr.DataArray(
        np.full((2, 5), 0.2), {"level": [1, 2], "rank": range(5)}, ("level", "rank")
    )
    figure = plots.rank_histograms({"masked": flat, "infill": flat}, "temperature")
    for axes in figure.axes:
        np.testing.assert_allclose([bar.get_height() for bar in axes.patches], 1)
    assert len(figure.axes) == 2
    assert len(figure.legends[0].get_texts()) == 3


def test_lead_times_leave_out_what_was_visible():
    hours = np.array([-1.0, 0.0, 1.0, 2.0])
    rmse = [[np.nan, np.nan, 1.0, 2.0], [np.nan, np.nan, 3.0, 4.0]]
    scores = xr.Dataset(
        {
            "rmse": (("model", "time"), rmse),
            "spread_skill": (("model", "time"), [[np.nan, np.nan, 0.5, 0.9], [np.nan] * 4]),
        },
        {"model": ["ensemble", "persistence"], "lead_time_hours": ("time", hours)},
        {"long_name": "temperature", "units": "K"},
    )
    axes = plots.lead_times(scores).axes[0]
    curves = [(line.get_xdata().tolist(), line.get_ydata().tolist()) for line in axes.lines]
    assert curves == [([1, 2], [1, 2]), ([1, 2], [3, 4]), ([1, 2], [0.5, 1.8])]
    assert "[K]" in axes.get_ylabel()


@pytest.mark.parametrize("width", [1, 2, 5, 9])
def test_running_mean_of_a_line_is_the_line_away_from_the_ends(width):
    line = np.arange(20.0)
    mean = plots.running_mean(line, width)
    assert mean.shape == line.shape
    inner = slice(width, -width)
    np.testing.assert_allclose(mean[inner], line[inner] - (width % 2 == 0) / 2)
    np.testing.assert_allclose(plots.running_mean(np.full(7, 3.0), width), 3)


@pytest.mark.parametrize("steps", [0, 1, 200])
def test_loss_curve(tmp_path, steps):
    history = tmp_path / "history.csv"
    rows = ["step,epoch,loss,val_loss,learning_rate,samples_per_second,seconds"]
    for step in range(1, steps + 1):
        held_out = "0.5" if step % 50 == 0 else ""
        rows.append(f"{step},0,{1 / step},{held_out},0.001,10,1")
    history.write_text("\n".join(rows) + "\n")
    plots.draw_history(history, tmp_path / "plots")
    png_size(tmp_path / "plots" / "loss.png")
    axes = plots.loss_curve(history).axes[0]
    assert len(axes.lines[0].get_xdata()) == steps
    if steps == 200:
        assert axes.lines[2].get_xdata().tolist() == [50, 100, 150, 200]
        assert axes.get_yscale() == "log"
