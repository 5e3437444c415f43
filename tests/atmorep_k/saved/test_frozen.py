"""How many weights patterns freeze, told from a configuration alone."""

import math

import keras
import pytest
from saved_models import FREEZE

from atmorep_k import components
from atmorep_k.saved.frozen import frozen_weights

pytestmark = pytest.mark.backend


@pytest.fixture
def model(make_model, make_field):
    fields = [
        make_field("temperature", couplings=["2m_temperature"]),
        make_field("2m_temperature", levels=[0], predicted=False),
    ]
    encoder = components.encoders.Encoder(
        num_layers=2, block=components.blocks.TransformerBlock(num_heads=2, dropout=0.1)
    )
    coupler = components.couplers.CrossFieldAttention(num_heads=2)
    return make_model(fields, encoder=encoder, coupler=coupler, name="another")


def count(variables):
    return sum(math.prod(v.shape) for v in variables)


def test_without_patterns_nothing_is_built(model, monkeypatch):
    config = model.get_config()
    monkeypatch.setattr(type(model), "build", None)
    assert frozen_weights(config) == {}
    assert frozen_weights({**config, "freeze": []}) == {}


def test_everything_frozen_is_all_that_is_trained(model):
    found = frozen_weights({**model.get_config(), "freeze": ["*"]})
    model.build()
    assert sum(found.values()) == count(model.trainable_variables)  # states of dropout are none
    assert found["2m_temperature", "encoder"] == count(
        model.part("encoder", "2m_temperature").trainable_variables
    )


def test_a_coupling_is_left_out(model):
    found = frozen_weights({**model.get_config(), "freeze": FREEZE})
    model.build()
    encoder = model.part("encoder", "temperature").trainable_variables
    coupled = [v for v in encoder if "/coupled_2m_temperature/" in v.path]
    assert count(coupled) > 0
    assert found["temperature", "encoder"] == count(encoder) - count(coupled)
    tail = model.part("tail", "temperature").trainable_variables
    assert found["temperature", "tail"] == count(tail)
    assert found["2m_temperature", "encoder"] == 0


def test_nothing_is_allocated(model, monkeypatch):
    """Neither in the scope nor when it ends."""
    made = []
    initialize = keras.Variable._initialize

    def note(self, value):
        made.append(self.path)
        return initialize(self, value)

    config = {**model.get_config(), "freeze": ["*"]}
    monkeypatch.setattr(keras.Variable, "_initialize", note)
    assert sum(frozen_weights(config).values()) > 0
    assert not [path for path in made if "kernel" in path or "bias" in path]
    model.build()
    assert [path for path in made if "kernel" in path]
