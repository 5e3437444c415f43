"""Files of models that older versions wrote."""

from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops
from saved_models import edit_config

import atmorep_k
from atmorep_k.errors import UserError
from atmorep_k.model.keras_file import FORMAT
from atmorep_k.saved.file import SavedFile
from atmorep_k.saved.fingerprints import differences, fingerprints

pytestmark = pytest.mark.backend

FORMAT_1 = Path(__file__).parents[2] / "files" / "format_1"


def _predict(model):
    with np.load(FORMAT_1 / "inputs.npz") as inputs:
        return model({k: ops.convert_to_tensor(inputs[k]) for k in inputs}, training=False)


def _expect(members):
    # Other backends, and other versions of a compiler, sum in another order.
    with np.load(FORMAT_1 / "members.npz") as expected:
        assert set(members) == set(expected)
        for name in expected:
            values = ops.convert_to_numpy(members[name])
            np.testing.assert_allclose(values, expected[name], rtol=0, atol=2e-6)


@pytest.mark.parametrize("load", [keras.saving.load_model, atmorep_k.load_model])
def test_a_file_of_format_1_opens_and_predicts_the_same(load):
    _expect(_predict(load(FORMAT_1 / "model.keras")))


def test_a_file_of_format_1_is_saved_in_the_format_of_today(tmp_path):
    path = tmp_path / "new.keras"
    old = atmorep_k.load_model(FORMAT_1 / "model.keras")
    old.save(path)
    model = atmorep_k.load_model(path)
    _expect(_predict(model))
    names = [f.name for f in model.fields]
    assert differences(FORMAT_1 / "model.keras", path, names) == []
    assert fingerprints(FORMAT_1 / "model.keras") == fingerprints(path)
    with SavedFile(path) as saved:
        assert saved.config["format"] == FORMAT
    assert [w.path for w in model.weights] == [w.path for w in old.weights]
    assert [w.trainable for w in model.weights] == [w.trainable for w in old.weights]


def test_a_later_format_is_refused_by_a_sentence(tmp_path):
    path = tmp_path / "later.keras"
    path.write_bytes((FORMAT_1 / "model.keras").read_bytes())
    edit_config(path, format=FORMAT + 1)
    for load in (keras.saving.load_model, atmorep_k.load_model):
        with pytest.raises(UserError, match=f"file format {FORMAT + 1}.* up to {FORMAT}"):
            load(path)
