"""`atmorep-k bench-data` as a user calls it."""

import collections
import json

import pytest
from click.testing import CliRunner

from atmorep_k.cli import main
from atmorep_k.costs import loading
from atmorep_k.errors import UserError


@pytest.fixture
def call(tmp_path, monkeypatch, tiny_config):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "top.gin").write_text(tiny_config())
    return lambda *options: CliRunner().invoke(main, ["bench-data", "top.gin", *options])


def test_it_measures_and_leaves_nothing(call, tmp_path):
    result = call("--steps", "3", "--json")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["samples_per_second"] > 0 and found["peak_memory_mib"] > 10
    assert 0 <= found["wait_ms"] <= found["step_ms"]
    assert found["wait_share"] == pytest.approx(found["wait_ms"] / found["step_ms"])
    assert found["limit"] == loading.limit(found)
    assert [p.name for p in tmp_path.iterdir()] == ["top.gin"]


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        ("loader", "the loader is the limit: "),
        ("step", "the step is the limit: "),
        ("processors", "loader and step share the processors, "),
    ],
)
def test_what_the_limit_is_is_said(limit, said):
    text = loading.loading_text(collections.defaultdict(float, limit=limit))
    assert text.splitlines()[-1].startswith(said)


@pytest.mark.parametrize(
    ("rate", "step", "wait", "wanted"),
    [(1000, 100, 4, "step"), (100, 100, 50, "loader"), (1000, 100, 8, "processors")],
)
def test_what_the_limit_is(rate, step, wait, wanted):
    found = {"samples_per_second": rate, "batch_size": 16, "step_ms": step, "wait_ms": wait}
    assert loading.limit(found | {"wait_share": wait / step}) == wanted


def test_a_task_without_training():
    with pytest.raises(UserError, match="bench-data measures a training, not dict"):
        loading.measure({}, 1)
