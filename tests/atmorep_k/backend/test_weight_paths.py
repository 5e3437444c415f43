"""Patterns over paths of weights."""

import pytest

from atmorep_k.backend.weight_paths import check_patterns, last_match, matches, path_in_model
from atmorep_k.errors import UserError

PATHS = [
    "encoder/vorticity/block_0/project/kernel",
    "encoder/vorticity/block_0/mlp/widen/bias",
    "encoder/temperature/block_0/coupled_vorticity/project/kernel",
    "tail/temperature/kernel",
]


def chosen(*patterns):
    return [PATHS.index(path) for path in PATHS if matches(path, patterns)]


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        ([], []),
        (["*"], [0, 1, 2, 3]),
        (["encoder/vorticity/*"], [0, 1]),
        (["*/coupled_*"], [2]),
        (["*/kernel"], [0, 2, 3]),
        (["encoder"], []),
        (["ENCODER/*"], []),
        (["tail/temperature/kernel"], [3]),
        (["encoder/*", "tail/*"], [0, 1, 2, 3]),
        (["encoder/*", "!*/bias"], [0, 2]),
        (["!*/bias", "encoder/*"], [0, 1, 2]),
        (["encoder/*", "!encoder/vorticity/*", "*/widen/*"], [1, 2]),
        (["!encoder/*"], []),
    ],
)
def test_the_last_pattern_that_fits_decides(patterns, expected):
    assert chosen(*patterns) == expected


def test_the_decisive_pattern_is_told():
    assert last_match(PATHS[0], ["*", "tail/*", "encoder/*", "!x"]) == "encoder/*"
    assert last_match(PATHS[0], ["*", "!*/kernel"]) == "!*/kernel"
    assert last_match(PATHS[0], ["tail/*"]) is None


def test_the_name_of_the_model_is_left_out():
    assert path_in_model("atmorep/tail/temperature/kernel") == "tail/temperature/kernel"
    assert path_in_model("kernel") == "kernel"


def test_patterns_that_fit_pass():
    check_patterns(["*/kernel", "!encoder/vorticity/*"], PATHS, "weight")


@pytest.mark.parametrize(
    ("pattern", "suggestion"),
    [
        ("encoder/vortcity/*", "encoder/vorticity/*"),
        ("!encoder/temprature/*", "encoder/temperature/*"),
        ("*/coupled_vortcity/*", "*/coupled_vorticity/*"),
        ("tail/temperature/kernl", "tail/temperature/kernel"),
        ("Tail/*", "tail/*"),
    ],
)
def test_a_pattern_that_fits_nothing_is_told_with_the_nearest(pattern, suggestion):
    with pytest.raises(UserError) as error:
        check_patterns(["*", pattern], PATHS, "weight")
    said = str(error.value)
    assert said == f"no weight has a path like {pattern!r}; did you mean {suggestion!r}?"


def test_a_pattern_that_is_like_nothing_has_no_suggestion():
    with pytest.raises(UserError, match=r"no weight has a path like 'qqqq'\.$"):
        check_patterns(["qqqq"], PATHS, "weight")
