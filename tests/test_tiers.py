"""Which tests a call of pytest runs, see tests/support/tiers.py."""

import os

import compiled_programs
import pytest

FILE = """
import pytest

def test_fast(): pass

@pytest.mark.backend
def test_backend(): pass

@pytest.mark.slow
def test_slow(): pass

@pytest.mark.slow
@pytest.mark.backend
def test_slow_backend(): pass

@pytest.mark.exhaustive
def test_exhaustive(): pass
"""


@pytest.fixture
def call(pytester, monkeypatch):
    """Function (backend, arguments) that runs pytest on a file with tests of every tier."""
    pytester.makepyfile(test_all=FILE)

    def run(backend, *arguments):
        monkeypatch.setenv("KERAS_BACKEND", backend)
        return pytester.runpytest_inprocess("-p", "tiers", "-n", "0", "-v", *arguments)

    return run


def passed(result):
    lines = [line.partition("::")[2] for line in result.outlines if "PASSED" in line]
    return [line.split()[0].removeprefix("test_") for line in lines]


@pytest.mark.parametrize(
    ("backend", "arguments", "names"),
    [
        ("jax", [], "fast backend"),
        ("jax", ["--full"], "fast backend slow slow_backend"),
        ("jax", ["--full", "-m", "slow"], "slow slow_backend"),
        ("jax", ["--exhaustive"], "fast backend slow slow_backend exhaustive"),
        ("torch", [], "backend"),
        ("torch", ["--full"], "backend slow_backend"),
        ("torch", ["test_all.py::test_exhaustive"], "exhaustive"),
    ],
)
def test_tiers_and_backends_choose_the_tests(backend, arguments, names, call):
    assert passed(call(backend, *arguments)) == names.split()


def test_a_run_over_its_budget_fails(call):
    assert call("jax", "--budget-minutes", "5").ret == pytest.ExitCode.OK
    result = call("jax", "--budget-minutes", "0")
    assert len(passed(result)) == 2
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["the run took 0.0 minutes; --budget-minutes allows 0*"])


def test_programs_that_were_not_read_for_longest_are_removed(tmp_path):
    for age, name in enumerate("cab"):
        (tmp_path / name).write_bytes(bytes(10))
        os.utime(tmp_path / name, (1000 - age, 2000))
    compiled_programs.shrink(tmp_path, 25)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a", "c"]
    compiled_programs.shrink(tmp_path, 25)
    assert len(list(tmp_path.iterdir())) == 2
