"""The backend of a machine on which nobody has named one."""

import pytest

from atmorep_k.backend import installed


@pytest.mark.parametrize(
    ("packages", "expected"),
    [
        ({"jax"}, "jax"),
        ({"jax", "torch", "tensorflow"}, "torch"),
        ({"jax", "jax_plugins", "torch"}, "jax"),  # jax[cuda12]
        ({"jax", "libtpu", "torch"}, "jax"),
    ],
)
def test_it_is_the_fastest_of_those_installed(packages, expected, monkeypatch):
    monkeypatch.setattr(installed, "find_spec", lambda name: name in packages or None)
    assert installed.default_backend() == expected
