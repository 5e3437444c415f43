"""Commands are thin: what they call is tested on every backend beside them."""

import pytest

from told_once import skip_on_other_backends


def pytest_collection_modifyitems(items):
    """Tests of commands run once, with JAX."""
    skip_on_other_backends(items, __file__, "commands know no backend")


@pytest.fixture(scope="module")
def model(tmp_path_factory, make_model, tiny_store):
    """The path of a saved model, untrained, that fits the tiny store."""
    from atmorep_k.components.datasets import WindowDataset

    made = make_model()
    WindowDataset(str(tiny_store)).open(made.fields, made.normalizers)
    made.build()
    path = tmp_path_factory.mktemp("run") / "model.keras"
    made.save(path)
    return path
