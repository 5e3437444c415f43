"""Which tests a call of pytest runs, and how long all of them may take.

The fast tier is what `pytest` runs. `--full` adds the tests marked `slow`, as CI does, and
`--exhaustive` all others. On another backend than JAX only those marked `backend` run. A test that
is asked for by its name (`pytest file.py::test`) always runs.
"""

import os
import time

import pytest


def pytest_addoption(parser):
    """Adds the options."""
    group = parser.getgroup("tiers of tests")
    group.addoption("--full", action="store_true", help="run the tests marked slow, too")
    group.addoption(
        "--exhaustive", action="store_true", help="run all tests, also those marked exhaustive"
    )
    group.addoption(
        "--budget-minutes", type=float, help="fail if the run takes longer than this (used by CI)"
    )


def pytest_collection_modifyitems(config, items):
    """Deselects the tests that belong to another tier or need no other backend than JAX."""
    if any("::" in argument for argument in config.args):
        return
    left_out = set()
    if not config.option.exhaustive:
        left_out.add("exhaustive")
        if not config.option.full:
            left_out.add("slow")
    needed = {"backend"} if os.environ["KERAS_BACKEND"] != "jax" else set()
    chosen, others = [], []
    for item in items:
        marks = {mark.name for mark in item.iter_markers()}
        wanted = needed <= marks and not marks & left_out
        (chosen if wanted else others).append(item)
    if others:
        config.hook.pytest_deselected(items=others)
        items[:] = chosen


def pytest_sessionstart(session):
    """Notes the time."""
    session.config.started = time.monotonic()


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session, exitstatus):
    """Fails a run that took longer than its budget, however its tests ended."""
    if _over_budget(session.config) and exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter, config):
    """Says by how much the budget was missed, as no test says so."""
    if minutes := _over_budget(config):
        terminalreporter.section("over budget", red=True)
        terminalreporter.line(
            f"the run took {minutes:.1f} minutes; --budget-minutes allows "
            f"{config.option.budget_minutes:g}. The slowest tests are listed by --durations=25."
        )


def _over_budget(config) -> float:
    """Returns the minutes that the run took if they are too many, otherwise 0."""
    budget = config.option.budget_minutes
    if budget is None or hasattr(config, "workerinput"):
        return 0.0
    minutes = (time.monotonic() - config.started) / 60
    return minutes if minutes > budget else 0.0
