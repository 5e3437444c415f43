"""Commands are thin: what they call is tested on every backend beside them."""

import pytest


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
