"""The mesh: what its rules split, and the mistakes that are told before anything is built."""

import keras
import numpy as np
import pytest

from atmorep_k import components
from atmorep_k.backend.weight_paths import path_in_model
from atmorep_k.components.distributions import Mesh
from atmorep_k.errors import UserError
from atmorep_k.model.declared import declared


@pytest.fixture
def model(make_model, make_field):
    return make_model(
        [make_field("temperature", embed_dim=16), make_field("vorticity", embed_dim=16)],
        encoder=components.encoders.Encoder(
            num_layers=2, block=components.blocks.TransformerBlock(num_heads=2)
        ),
        decoder=components.decoders.UNetDecoder(
            num_layers=2, block=components.blocks.TransformerBlock(num_heads=2)
        ),
        tail=components.tails.LinearEnsemble(num_members=4),
    )


def test_the_shipped_rules_split_what_is_large(model):
    rules = Mesh((1, 2)).rules(model)
    sizes = {path_in_model(w.path): int(np.prod(w.shape)) for w in declared(model).weights}
    inside = {p: n for p, n in sizes.items() if p.startswith(("encoder", "decoder", "tail"))}
    whole = set(inside) - set(rules)
    # Only the biases behind rows that are summed are whole.
    assert {path.rpartition("/")[2] for path in whole} == {"bias"}
    assert all("narrow" in path for path in whole)
    # What goes into heads and wide layers is split by columns, what comes back by rows.
    by_axis = {axes for path, axes in rules.items() if path.endswith("kernel")}
    assert by_axis == {(None, "model"), ("model", None), (None, "model", None)}


@keras.saving.register_keras_serializable("tests")
class _Other(components.tails.LinearEnsemble):
    """A tail with one weight more, as that of a plug-in."""

    def build(self, input_shape):
        super().build(input_shape)
        self.mean = self.add_weight((input_shape[-1], 3), name="mean_kernel")


def test_shipped_rules_leave_alone_what_only_looks_alike(make_model):
    rules = Mesh((1, 2)).rules(make_model(tail=_Other(num_members=4)))
    assert "tail/temperature/kernel" in rules
    assert "tail/temperature/mean_kernel" not in rules


def test_a_mesh_of_samples_splits_no_weight(model):
    assert Mesh((4, 1)).rules(model) == {}


def test_rules_of_the_user_decide_by_the_last_that_fits(model):
    layout = {"*/kernel": (None, None), "*mlp/widen/kernel": (None, "model")}
    rules = Mesh((1, 2), layout={"*mlp/widen/kernel": (None, "model")}).rules(model)
    assert rules and all("widen" in path for path in rules)
    with pytest.raises(UserError, match=r"give an axis or None for each dimension"):
        Mesh((1, 2), layout=layout).rules(model)  # kernels of tails have three dimensions


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layout": {"*widen/kernal": (None, "model")}}, r"no weight to split .*did you mean"),
        ({"layout": {"*widen/kernel": (None, "modle")}}, "did you mean 'model'"),
        ({"layout": {"*widen/kernel": ("model",)}}, "give an axis or None for each dimension"),
        (
            {"shape": (1, 3)},
            r"cannot be split over 3 devices of the axis 'model': \d+ is not divisible",
        ),
    ],
)
def test_rules_that_cannot_be(options, message, model):
    with pytest.raises(UserError, match=message):
        Mesh(**{"shape": (1, 2), **options}).rules(model)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shape": (2,)}, "has two axes"),
        ({"shape": (0, 1)}, "give numbers of devices"),
        ({"shape": (-1, -1)}, "-1 at most once"),
        ({"axes": ("a", "a")}, "has two axes"),
        ({"layout": {"*": (None,)}, "fields": "spread"}, "either a layout or fields"),
    ],
)
def test_a_mesh_that_cannot_be(options, message):
    with pytest.raises(UserError, match=message):
        Mesh(**options)


def test_as_many_devices_as_there_are():
    assert Mesh((-1, 2)).resolved(8) == (4, 2)
    assert Mesh((2, 2)).resolved(8) == (2, 2)
    with pytest.raises(UserError, match=r"Mesh.shape is \(4, 1\), but there is 1 device"):
        Mesh((4, 1)).resolved(1)
    with pytest.raises(UserError, match=r"Mesh.shape is \(-1, 3\), but there are 4 devices"):
        Mesh((-1, 3)).resolved(4)


def test_several_processes_leave_no_device_out():
    assert Mesh((2, 2)).resolved(4, processes=2) == (2, 2)
    assert Mesh((-1, 1)).resolved(4, processes=4) == (4, 1)
    with pytest.raises(UserError, match=r"2 processes have 4 devices together"):
        Mesh((2, 1)).resolved(4, processes=2)


def test_a_batch_that_does_not_divide():
    Mesh((2, 1)).check_batch(4, (2, 1))
    with pytest.raises(UserError, match="a batch of 3 cannot be spread over 2 devices"):
        Mesh((2, 1)).check_batch(3, (2, 1))


def test_places_of_fields(model):
    assert Mesh((1, 2), fields="spread").places(model) == {"temperature": 0, "vorticity": 1}
    given = {"temperature": 1, "vorticity": 1}
    assert Mesh((1, 2), fields=given).places(model) == given
    with pytest.raises(UserError, match="did you mean 'vorticity'"):
        Mesh((1, 2), fields={"vorticty": 0}).places(model)
    with pytest.raises(UserError, match=r"on place 2, but the axis 'model' has 2 \(0 to 1\)"):
        Mesh((1, 2), fields={**given, "vorticity": 2}).places(model)
    with pytest.raises(UserError, match="gives 'vorticity' no place"):
        Mesh((1, 2), fields={"temperature": 0}).places(model)
