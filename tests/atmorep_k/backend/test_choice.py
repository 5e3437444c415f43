"""The backend of a machine on which nobody has named one."""

import pytest

from atmorep_k.backend import choice


@pytest.mark.parametrize(
    ("installed", "expected"),
    [
        ({"jax"}, "jax"),
        ({"jax", "torch", "tensorflow"}, "torch"),
        ({"jax", "jax_plugins", "torch"}, "jax"),  # jax[cuda12]
        ({"jax", "libtpu", "torch"}, "jax"),
    ],
)
def test_it_is_the_fastest_of_those_installed(installed, expected, monkeypatch):
    monkeypatch.setattr(choice, "find_spec", lambda name: name in installed or None)
    assert choice.default_backend() == expected
