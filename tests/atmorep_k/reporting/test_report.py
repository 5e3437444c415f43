"""What a page tells, what it does with names from anybody, and what is said of broken files."""

import json
import os
import shutil
from html.parser import HTMLParser

import pytest
from click.testing import CliRunner

import atmorep_k
from atmorep_k import cli
from atmorep_k.errors import UserError
from atmorep_k.reporting.picture import MOST_PIXELS, Picture


class Page(HTMLParser):
    """Tags with their attributes, and the text, of a page."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.words = [], []
        self.feed(path.read_text(encoding="utf-8"))
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words.append(data)

    def all(self, tag, name):
        return [attrs[name] for found, attrs in self.tags if found == tag and name in attrs]


def page(paths, **options):
    return Page(atmorep_k.report(paths, **options))


def call(*words):
    return CliRunner().invoke(cli.main, ["report", *map(str, words)])


def test_a_run_that_has_ended(finished):
    result = call(finished.path)
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{finished.path}/report.html\n"
    found = Page(finished.path / "report.html")
    assert "Step 200 of 200, finished. Its error is below that of every baseline in 0 of 2" in (
        found.text
    )
    assert "better \u221250 %" in found.text and "worse +25 %" in found.text
    assert "STEPS = 200" in found.text and "atmorep-k run x.gin" in found.text
    assert "2.5 min" in found.text and "keras 3.15.1" in found.text
    assert "MonthlyNormalizer" in found.text
    alts = found.all("img", "alt")
    assert "Maps of target, prediction, error and spread: temperature, forecast" in alts
    assert len(alts) == len(found.all("img", "src")) == 7  # four in plots/, two curves, a diagram


def test_nothing_is_fetched_and_names_are_no_markup(finished):
    found = page(finished.path)
    assert "run <img src=x onerror=alert(1)>" in found.text and "a<b>.zarr" in found.text
    assert not {"script", "iframe", "b"} & {tag for tag, _ in found.tags}
    assert not [name for _, attrs in found.tags for name in attrs if name.startswith("on")]
    assert all(source.startswith("data:image/png;base64,") for source in found.all("img", "src"))
    ids = {attrs["id"] for _, attrs in found.tags if "id" in attrs}
    links = found.all("a", "href")
    assert len(links) > 6 and {link[1:] for link in links} <= ids
    assert found.all("link", "href") == ["data:,"]


def test_a_run_that_goes_on(make_run):
    run = make_run()
    found = page(run.path)
    assert "Step 60 of 200, not finished when this page was made." in found.text
    assert f"atmorep-k run --resume {run.path}" in found.text
    assert "0.5 (step 60)" in found.text and "8 samples/s" in found.text
    assert "No scores: they come at the end of a run" in found.text
    assert len(found.all("img", "src")) == 2
    assert "No steps have been written yet." in page(make_run("new", steps=0).path).text


def test_several_are_chapters_of_one_page(finished, evaluation, tmp_path):
    found = page([evaluation, finished.path], output=tmp_path / "two.html")
    assert [tag for tag, _ in found.tags].count("h1") == 1
    assert found.text.index("Evaluation: ") < found.text.index("Run: ")
    assert "Scores beside baselines: region 0 90 0 180" in found.text
    assert "temperature, against climatology" in found.text
    alts = found.all("img", "alt")
    for what in ("Maps of truth, prediction, error", "Rank of the truth", "Power by zonal"):
        assert any(alt.startswith(what) for alt in alts)


def test_an_evaluation_whose_prediction_has_gone(evaluation, tmp_path):
    moved = shutil.copytree(evaluation, tmp_path / "moved")
    about = json.loads((moved / "summary.json").read_text())
    (moved / "summary.json").write_text(json.dumps(about | {"prediction": "gone.nc"}))
    found = page(moved)
    assert "Maps need the prediction, but gone.nc no longer exists." in found.text
    assert "energy score [K]" in found.text


def test_the_output_of_a_task_and_its_pictures(finished, evaluation, tmp_path):
    shutil.copy(evaluation.with_name("forecast.nc"), tmp_path)
    plots = tmp_path / "forecast_plots"
    plots.mkdir()
    (finished.path / "plots" / "scores.png").rename(plots / "map_forecast_temperature.png")
    found = page(tmp_path / "forecast.nc")
    assert found.all("img", "alt") == ["Maps: forecast temperature"]
    assert "8 time, 1 prediction_timedelta, 3 number" in found.text
    assert (tmp_path / "forecast_report.html").exists()


def test_a_store_shows_places_and_attention(finished, tiny_store, tmp_path):
    time, at = "2020-01-03T11", ("--at", 11.25, 90)
    result = call(finished.path, "--store", tiny_store, "--time", time, *at)
    assert result.exit_code == 0, result.output
    found = Page(finished.path / "report.html")
    alts = found.all("img", "alt")
    assert "Members at places by hour, and the store: temperature" in alts
    assert any(alt.startswith("Attention of one token, by head") for alt in alts)
    command = f"--store {tiny_store} --time {time} --at 11.25 90"
    assert f"atmorep-k point {finished.path} {command} --output places.nc" in found.text
    assert f"atmorep-k attention {finished.path} {command} --level 850 --hide 1" in found.text


def test_an_existing_page_is_kept_unless_it_may_be_replaced(make_run):
    run = make_run()
    (run.path / "report.html").write_text("mine")
    result = call(run.path)
    assert result.exit_code == 1 and "report.html already exists" in result.stderr
    assert (run.path / "report.html").read_text() == "mine"
    assert call(run.path, "--overwrite").exit_code == 0
    assert "Step 60 of 200" in (run.path / "report.html").read_text()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"output": "page.pdf"}, "a report to page.pdf: the name must end in .html or .htm"),
        ({"time": "2020-01-03"}, "a time and places need a store"),
        ({"store": "demo"}, "a store is used only with a finished run, and no run is given"),
    ],
)
def test_options_that_do_not_fit(make_run, options, sentence):
    with pytest.raises(UserError, match=sentence):
        atmorep_k.report(make_run().path, **options)


@pytest.mark.parametrize(
    ("file", "content", "sentence"),
    [
        ("history.csv", "step,loss\n1,0.5\n", "history.csv lacks the column 'val_loss'"),
        (
            "history.csv",
            "step,loss,val_loss\nx,1,\n",
            "is not a complete run: invalid literal for int()",
        ),
        ("run.json", "[1]", "is not a complete run: cannot convert"),
        ("scores.json", '[{"task": "masked"}]', "scores.json cannot be read: it has no 'field'"),
        ("scores.json", "{", "scores.json cannot be read: Expecting"),
        ("plots/scores.png", "no picture", "scores.png cannot be read as a picture"),
    ],
)
def test_a_broken_file_is_one_sentence(finished, file, content, sentence):
    (finished.path / file).write_text(content)
    before = sorted(os.listdir(finished.path))
    result = call(finished.path)
    assert result.exit_code == 1 and result.stdout == ""
    assert sentence in result.stderr and len(result.stderr.splitlines()) == 1
    assert sorted(os.listdir(finished.path)) == before


def test_what_is_nothing_to_report(make_run, tmp_path):
    make_run("first")
    for name, sentence in (
        ("firsst", "did you mean 'first'?"),
        ("first/checkpoints", "cannot be reported: it is not a run (no config.gin)"),
    ):
        result = call(tmp_path / name)
        assert result.exit_code == 1 and sentence in result.stderr
    with pytest.raises(UserError, match="nothing to report"):
        atmorep_k.report([])


def test_a_large_picture_is_made_smaller():
    import io

    from PIL import Image

    stream = io.BytesIO()
    Image.new("RGB", (2 * MOST_PIXELS, 60)).save(stream, "PNG")
    found = Picture.of_bytes(stream.getvalue(), "black")
    assert (found.width, found.height) == (MOST_PIXELS, 30)
