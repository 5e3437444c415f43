"""The model of scaling, against closed forms."""

import runpy
from pathlib import Path

import pytest

MODEL = Path(__file__).parents[1] / "tools" / "scaling_model.py"


@pytest.fixture
def machine():
    return runpy.run_path(str(MODEL))["Machine"](peak=100.0, mfu=0.5, bandwidth=10.0, latency=0.0)


def test_one_replica_exchanges_nothing(machine):
    assert machine.step(flops=300.0, nbytes=40.0, replicas=1) == (6.0, 6.0)


def test_a_ring_sends_nearly_twice_what_is_summed(machine):
    assert machine.exchanging(40.0, 4) == 6.0
    assert machine.exchanging(40.0, 10**9) == pytest.approx(8.0)


def test_the_backward_pass_hides_what_it_can(machine):
    assert machine.step(flops=300.0, nbytes=20.0, replicas=4) == (9.0, 6.0)
    assert machine.step(flops=300.0, nbytes=40.0, replicas=4) == (12.0, 8.0)
