"""Where a token looks: closed forms, the fused result, and what is refused."""

import functools
import os

import keras
import numpy as np
import pytest
import xarray as xr

from atmorep_k import components
from atmorep_k.backend.attention_record import AttentionRecord, Look
from atmorep_k.components.blocks import AttentionHeads, blockwise_attention
from atmorep_k.components.blocks.attention_heads import attend
from atmorep_k.components.blocks.axial_block import along
from atmorep_k.components.encoders.encoder import Encoder
from atmorep_k.errors import UserError
from atmorep_k.registry import Configured, component
from atmorep_k.tasks.attention import attention
from atmorep_k.tasks.attention_data import labelled
from atmorep_k.tasks.attention_maps import attention_maps, draw_attention

from known_truth import write

TOKENS = ["level", "time", "latitude", "longitude"]
TIME = "2020-01-03T06"


@pytest.fixture(scope="module")
def store(tmp_path_factory, write_tiny_store):
    path = tmp_path_factory.mktemp("store") / "two.zarr"
    return str(write_tiny_store(path, ("temperature", "vorticity")))


@pytest.fixture(scope="module")
def make(make_model, make_field, randomize, store):
    """Function (changes of the model) -> two fields, the first coupled to the second.

    A model is made once and not to be changed.
    """

    @functools.cache
    def build(axial=False, **options):
        fields = [make_field("temperature", couplings=["vorticity"]), make_field("vorticity")]
        if axial:
            options["encoder"] = components.encoders.Encoder(
                num_layers=1, block=components.blocks.AxialBlock(num_heads=2, reserved_heads=2)
            )
            options["decoder"] = components.decoders.UNetDecoder(
                2,
                block=components.blocks.AxialBlock(num_heads=2),
                self_block=components.blocks.TransformerBlock(num_heads=2),
                self_attention=True,
            )
        coupler = components.couplers.CrossFieldAttention(num_heads=2)
        model = make_model(fields, coupler=coupler, **options)
        components.datasets.WindowDataset(store).open(model.fields, model.normalizers)
        keras.utils.set_random_seed(0)
        model.build()
        return randomize(model)

    return build


def weights_of(found):
    return {name: w for name, w in found.data_vars.items() if "head" in w.dims}


@pytest.mark.backend
@pytest.mark.parametrize("most", [blockwise_attention.MAX_SCORES, 1000])
def test_weights_times_values_are_what_the_layer_returns(monkeypatch, most):
    monkeypatch.setattr(blockwise_attention, "MAX_SCORES", most)
    rng = np.random.default_rng(0)
    x = keras.ops.convert_to_tensor(rng.standard_normal((1, 50, 12)).astype("float32"))
    heads = AttentionHeads(num_heads=3, head_dim=4)
    heads.build((None, 50, 12))
    names = np.arange(50)[None]
    record = AttentionRecord(7, lambda path: (names, names))
    with record.recording():
        attended = np.asarray(keras.ops.convert_to_numpy(heads(x)))
    heads(x)  # is not recorded
    (look,) = record.looks
    kernel = keras.ops.convert_to_numpy(heads.query_key_value.kernel).reshape(12, 3, 3, 4)
    value = np.einsum("kc,chd->khd", keras.ops.convert_to_numpy(x)[0], kernel[:, :, 2])
    expected = np.einsum("hk,khd->hd", look.weights, value)
    np.testing.assert_allclose(attended[0, 7], expected.ravel(), atol=1e-5)
    assert look.weights.min() >= 0 and look.difference < 1e-5
    np.testing.assert_allclose(look.weights.sum(axis=-1), 1)
    assert look.path == heads.path and list(look.keys) == list(range(50))


@pytest.mark.parametrize(("axis", "other"), [(1, (1, 6, 2)), (2, (4, 1, 8)), (3, (1, 6, 8))])
def test_tokens_keep_their_names_along_an_axis(axis, other):
    shapes, seen = [(2, 3, 4), other], []
    x, y = (
        keras.ops.convert_to_tensor(np.arange(np.prod(s), dtype="float32").reshape(1, *s, 1))
        for s in shapes
    )
    record = AttentionRecord(0, lambda path: None)

    def layer(rows, others):
        seen.extend([rows, others])
        return rows

    with record.recording():
        original, record.arranged = record.arranged, lambda *names: told(original, *names)

        def told(arranged, axis, names):
            seen.extend(names)
            return arranged(axis, names)

        along(axis, layer, x, y)
    queries, keys, rows, others = seen
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(rows)[..., 0], queries)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(others)[..., 0], keys)


def test_a_field_of_other_tokens_has_coordinates_of_its_own():
    centres = {"t": _centres([500, 850], 3), "q": _centres([700], 2)}
    paths = ["m/encoder/t/block_1/self_heads", "m/encoder/t/block_0/time_coupled_q/heads"]
    looks = [
        Look(paths[0], None, np.arange(12), np.full((1, 12), 1 / 12), 0.0),
        Look(paths[1], "time", np.array([1, 3]), np.array([[0.25, 0.75], [1.0, 0.0]]), 0.0),
    ]
    found = labelled(looks, centres, "t")
    assert found.sizes["layer"] == found.sizes["head"] == 2
    own, other = found["encoder_self"], found["encoder_q_time"]
    assert own.dims[2:] == tuple(TOKENS) and own.attrs["looks_at"] == "t"
    assert other.dims[2:] == tuple(f"{d}_q" for d in TOKENS) and other.attrs["looks_at"] == "q"
    np.testing.assert_array_equal(own.notnull().any(own.dims[2:]), [[False, False], [True, False]])
    first = other.isel(layer=0, head=0, level_q=0, latitude_q=0)
    np.testing.assert_array_equal(first, [[np.nan, 0.25], [np.nan, 0.75]])
    assert list(found["level_q"]) == [700]


def _centres(levels, columns):
    times = np.array(["2020-01-01T00", "2020-01-01T02"], "datetime64[ns]")
    places = {"latitude": np.array([10.0]), "longitude": np.arange(float(columns))}
    return {"level": np.array(levels, float), "time": times, **places}


CASES = {
    "dense": ({}, 0),
    "axial": ({"axial": True}, 0),
    "visible": ({"encode": "visible"}, 1),
    "apart": ({"encode": "apart"}, 1),
}


@pytest.mark.backend
@pytest.mark.parametrize("case", CASES)
def test_weights_sum_to_one_in_every_layer_and_head(make, store, case):
    options, hide = CASES[case]
    found = attention(make(**options), store, TIME, (40, 100), level=850, hide=hide)
    assert found.attrs["largest_difference_from_kernel"] < 1e-5
    dense = ["encoder_self", "encoder_vorticity", "decoder_self", "decoder_encoder"]
    hidden = ["decoder_self", "decoder_encoder"]  # the token is not encoded
    axes = ("space", "time", "level")
    expected = {
        "dense": dense,
        "axial": [f"{name}_{axis}" for name in dense for axis in axes]
        + ["decoder_before", "decoder_self"],
        "visible": hidden,
        "apart": hidden,
    }
    weights = weights_of(found)
    assert set(weights) == set(expected[case])
    for w in weights.values():
        there = w.notnull()
        assert float(w.min()) >= 0
        sums = w.sum(w.dims[2:]).values[there.any(w.dims[2:])]
        assert len(sums)
        np.testing.assert_allclose(sums, 1, atol=1e-5)
    assert found["hidden"].isel(time=-1).all() == (hide > 0)
    looked = weights["decoder_encoder" if hide else next(iter(weights))].isel(layer=0, head=0)
    if hide:  # the hidden tokens are not encoded: they cannot be looked at there
        assert looked.isel(time=-1).isnull().all() and looked.isel(time=0).notnull().all()


@pytest.mark.backend
def test_a_block_of_somebody_elses_is_recorded(make_model, store, scratch_registry):
    @component("block")
    class Mean(Configured, keras.layers.Layer):
        """Attends with zeros: to all tokens alike."""

        def call(self, x, others=None, training=False):
            rows = keras.ops.reshape(x, (-1, 32, 1, 16))
            return x + keras.ops.reshape(attend(0 * rows, rows, rows), (-1, *x.shape[1:]))

    model = make_model(encoder=Encoder(2, Mean()))
    components.datasets.WindowDataset(store).open(model.fields, model.normalizers)
    model.build()
    found = attention(model, store, TIME, (0, 0))["encoder_self"]
    assert found.sizes["layer"] == 2
    np.testing.assert_allclose(found.isel(head=0), 1 / 32, rtol=1e-6)


@pytest.mark.backend
def test_a_query_of_zeros_looks_at_all_tokens_alike(make, store):
    model = make(axial=True)
    block = model.part("encoder", "temperature").blocks[0]
    kept = block.get_weights()
    for axis in ("space", "time", "level"):
        kernel = getattr(block, f"{axis}_self").query_key_value.kernel
        kernel.assign(np.zeros(kernel.shape))
    found = attention(model, store, TIME, (-40, 200), level=500, hour=-3).isel(layer=0, head=0)
    block.set_weights(kept)
    own = {d: found[f"query_{d}"] for d in TOKENS}
    along = {"level": ["level"], "time": ["time"], "space": ["latitude", "longitude"]}
    for axis, dims in along.items():
        w = found[f"encoder_self_{axis}"]
        line = w.sel({d: v for d, v in own.items() if d not in dims})
        np.testing.assert_allclose(line, 1 / line.size, rtol=1e-6)
        assert w.notnull().sum() == line.size


@pytest.mark.backend
def test_the_token_holds_place_level_and_hour(make, store):
    found = attention(make(), store, TIME, (40, -175), level=850, hour=-2)
    # Tokens of 2 x 22.5 degrees and 2 h; the window ends at the time.
    assert abs(found["query_latitude"] - 40) <= 22.5
    assert abs((found["query_longitude"] + 175 + 180) % 360 - 180) <= 22.5
    assert found["query_level"] == 850
    assert found["query_time"] == np.datetime64("2020-01-03T03:30")
    middles = np.array(["2020-01-03T03:30", "2020-01-03T05:30"], "datetime64[ns]")
    np.testing.assert_array_equal(found["time"], middles)
    pole = attention(make(), store, TIME, (89, 1))
    assert pole["query_latitude"] == pole["latitude"][0]
    forecast = attention(make(), store, TIME, (40, -175), hide=1)
    assert forecast["query_time"] == np.datetime64("2020-01-03T07:30")


MISTAKES = [
    ({"field": "vorticty"}, "unknown field of the model 'vorticty'; did you mean 'vorticity'?"),
    ({"level": 700}, "the model has 'temperature' at level 500, 850, not at 700."),
    ({"at": (95, 0)}, "a place is a latitude of -90 to 90"),
    ({"hour": 1}, "the hour must be -3 to 0 after the time"),
    ({"hide": 1, "hour": -2}, "the hour must be -1 to 2 after the time"),
    ({"hide": 2}, "hide must be 0 to 1, for this model, not 2."),
    ({"layer": 2}, "the layer must be 0 to 1, for 'temperature', not 2."),
    ({"time": "2021-01-01"}, "2021-01-01T00:00 is not in"),
    ({"output": "a.zarr"}, "the name must end in .nc."),
]


@pytest.mark.parametrize(("change", "sentence"), MISTAKES, ids=lambda case: str(case)[:30])
def test_mistakes_are_one_sentence(make, store, change, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = {"time": TIME, "at": (40, 100), **change}
    with pytest.raises(UserError) as error:
        attention(make(), store, **options)
    assert sentence in str(error.value) and "\n" not in str(error.value)
    assert not os.listdir(tmp_path)


def test_a_place_outside_a_region_is_refused(make_model, tmp_path):
    path = str(write(tmp_path / "part.zarr", longitude=18.0 * np.arange(10)))
    model = make_model()
    model.build()
    sentence = r"the place 40, 300 .* latitudes -90 to 90 and longitudes 0 to 162\."
    with pytest.raises(UserError, match=sentence):
        attention(model, path, "2020-02-01T00", (40, 300))


def test_attention_along_time_has_bars_and_no_maps(make, store):
    found = attention(make(axial=True), store, TIME, (40, 100))
    weights = found["encoder_self_time"].isel(layer=0)
    figure = attention_maps(found, weights, ["head 0", "head 1"], "a title")
    assert [axes.get_title() for axes in figure.axes] == ["by time, %", ""]
    bars = [bar.get_height() for bar in figure.axes[1].patches]
    shares = weights.isel(head=1).sum(["level", "latitude", "longitude"])
    np.testing.assert_allclose(bars, 100 * shares, rtol=1e-5)


def test_the_result_is_written_and_drawn(make, store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    place = {"time": TIME, "at": (40, 100), "field": "t"}
    made = attention(make(), store, **place, output="a.nc")
    with xr.open_dataset("a.nc") as written:
        xr.testing.assert_allclose(written.load(), made)
    with pytest.raises(UserError, match=r"a\.nc already exists"):
        attention(make(), store, **place, output="a.nc")
    kept = made.drop_vars([n for n in weights_of(made) if n != "encoder_vorticity"])
    paths = draw_attention(kept, 0, [], tmp_path / "plots")
    names = ["layers_encoder_vorticity.png", "heads_encoder_vorticity_layer_0.png"]
    assert [p.name for p in paths] == names and sorted(os.listdir("plots")) == sorted(names)
