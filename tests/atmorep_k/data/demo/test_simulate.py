"""The store of the embedded demo."""

import re
import subprocess
import sys
from importlib import resources

import numpy as np
import pytest

from atmorep_k.data.demo import simulate as demo
from atmorep_k.data.opening import open_store
from atmorep_k.errors import UserError


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    steps = []
    path = tmp_path_factory.mktemp("demo") / "demo.zarr"
    assert demo.demo_store(path, days=1, progress=steps.append) == path
    assert steps[-1] == 24
    return open_store(path)


def test_importing_loads_nothing_heavy():
    code = (
        "import sys, atmorep_k.data.demo.simulate;"
        "print([m for m in ('jax', 'dinosaur', 'keras', 'zarr', 'xarray') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == "[]", result.stderr


def test_two_simulations_give_the_same_bytes():
    first, second = (next(demo.simulate(3)) for _ in range(2))
    assert list(first) == list(demo.VARIABLES)
    for name, values in first.items():
        assert values.dtype == np.float32
        assert values.shape == (3, 5, 48, 96)
        assert values.tobytes() == second[name].tobytes()
        assert not np.array_equal(values[0], values[1])


def test_blocks_join(store):
    """The hours of a day are those of a simulation cut elsewhere."""
    blocks = list(demo.simulate(26))
    assert [len(block["vorticity"]) for block in blocks] == [24, 2]
    stored = store.dataset()
    for name in demo.VARIABLES:
        np.testing.assert_array_equal(stored[name].values, blocks[0][name])


def test_coordinates(store):
    assert store.is_global
    assert store.time[0] == np.datetime64("2000-01-01T00")
    assert np.all(np.diff(store.time) == np.timedelta64(1, "h"))
    np.testing.assert_allclose(store.level, [100, 300, 500, 700, 900])
    np.testing.assert_allclose(store.longitude, np.arange(96) * 3.75)
    nodes = np.polynomial.legendre.leggauss(48)[0]
    np.testing.assert_allclose(store.latitude, np.rad2deg(np.arcsin(nodes))[::-1], atol=1e-6)


def test_north_is_up(store):
    """Vorticity of the mean westerly jet changes sign across it: cyclonic on the poleward side."""
    vorticity = store.dataset()["vorticity"].sel(level=300).mean(("time", "longitude"))
    assert vorticity.sel(latitude=slice(75, 60)).mean() > 0
    assert vorticity.sel(latitude=slice(-60, -75)).mean() < 0


def test_it_says_plainly_that_it_is_simulated(store):
    assert store.attributes["simulated"] is True
    assert "Simulated" in store.attributes["title"]
    assert "neither an observation nor a reanalysis" in store.attributes["source"]
    comment = store.attributes["comment"]
    assert "no seasons" in comment and "nominal" in comment and "toy" in comment
    assert "toy" in store.variables["specific_humidity"].comment


def test_units(store):
    units = {name: info.units for name, info in store.variables.items()}
    assert units == {
        "vorticity": "s-1",
        "divergence": "s-1",
        "temperature": "K",
        "u_component_of_wind": "m s-1",
        "v_component_of_wind": "m s-1",
        "vertical_velocity": "Pa s-1",
        "specific_humidity": "kg kg-1",
    }


def test_cost_is_documented():
    assert re.search(r"\d s and \d+ MB of disk for each day", demo.demo_store.__doc__)


def test_no_day_is_a_mistake(tmp_path):
    with pytest.raises(UserError, match="at least 1 day, not 0"):
        demo.demo_store(tmp_path / "demo.zarr", days=0)
    assert not list(tmp_path.iterdir())


def test_existing_output_is_refused_before_any_work(store, monkeypatch):
    def simulate(hours):
        raise AssertionError("it was simulated before the output was checked")

    monkeypatch.setattr(demo, "simulate", simulate)
    with pytest.raises(UserError, match="exists"):
        demo.demo_store(store.path)


def test_shipped_state_is_small_and_says_how_it_was_made():
    file = resources.files("atmorep_k.data.demo").joinpath("demo_state.npz")
    assert len(file.read_bytes()) < 1_000_000
    with file.open("rb") as opened, np.load(opened) as arrays:
        assert "tools/make_demo_state.py" in str(arrays["note"])


def test_saved_state_reads_back(tmp_path):
    state = demo.initial_state()
    demo.save_state(tmp_path / "state.npz", state, "a note")
    again = demo.initial_state(tmp_path / "state.npz")
    np.testing.assert_array_equal(again.vorticity, state.vorticity)
    np.testing.assert_array_equal(
        again.tracers["specific_humidity"], state.tracers["specific_humidity"]
    )
