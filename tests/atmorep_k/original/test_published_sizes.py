"""Numbers of weights of the published models, counted from their settings without allocating."""

import pytest

from atmorep_k import config
from atmorep_k.model.declared import count_parameters
from atmorep_k.original.architecture import WeightLayout, build_model
from atmorep_k.original.settings import parse_settings

LEVELS = (96, 105, 114, 123, 137)
FINE = {"tokens": (12, 6, 12), "size": (3, 9, 9)}
WIDE = {"tokens": (12, 3, 6), "size": (3, 18, 18)}
WIDEST = {"tokens": (12, 2, 4), "size": (3, 27, 27)}
U, V, W, Q = "velocity_u", "velocity_v", "velocity_z", "specific_humidity"
T, TP, VO, D = "temperature", "total_precip", "vorticity", "divergence"
# Each file holds a net of token information that nothing reads once the fields have their own.
UNREAD = 8 * 16 + 16

# Name -> channels, couplings. The published sizes: reference of the original, section 1.7.
VORTICITY = {
    VO: (2048, [D, T]),
    W: (1536, [VO, D]),
    D: (2048, [VO, T]),
    Q: (2048, [VO, D, W]),
    T: (1024, [VO, D]),
    TP: (1536, [VO, D, Q]),
}
VELOCITY = {
    U: (2048, [V, T]),
    V: (2048, [U, T]),
    Q: (2048, [U, V, T]),
    W: (1024, [U, V, T]),
    T: (1024, [U, V, Q]),
    TP: (1536, [U, V, W, Q]),
}


def count(original, fields, year, **changes):
    """Returns the weights as the original counts them."""
    return count_parameters(build(original, fields, year, **changes)) + UNREAD


def build(original, fields, year, **changes):
    """Returns the model of published settings, not built."""
    depth = 6 if year == 2024 else 10
    values = original.options(
        fields,
        encoder_num_layers=depth,
        decoder_num_layers=depth,
        encoder_num_heads=16,
        decoder_num_heads=16,
        net_tail_num_nets=16,
        size_token_info_net=16,
        **changes,
    )
    settings = parse_settings(values, "the published settings")
    heads = settings.coupling_num_heads_per_field
    return build_model(settings, WeightLayout(year == 2023, heads, heads))


def single(original, year, name=VO, dim=2048, **tiling):
    return count(original, [original.field(name, (), LEVELS, **tiling, dim=dim)], year)


def several(original, year, sizes, tilings, heads=1):
    fields = coupled(original, sizes, tilings)
    return count(original, fields, year, coupling_num_heads_per_field=heads)


def coupled(original, sizes, tilings):
    return [
        original.field(n, others, (0,) if n == TP else LEVELS, **tilings.get(n, FINE), dim=dim)
        for n, (dim, others) in sizes.items()
    ]


def of_2024(names):
    kept = {n: (1024, [o for o in VELOCITY[n][1] if o in names]) for n in names}
    return kept, {**dict.fromkeys(names, WIDE), T: WIDEST, TP: FINE}


@pytest.mark.parametrize(
    ("dim", "tiling", "total"),
    [
        pytest.param(2048, FINE, 679_739_664, marks=pytest.mark.slow),
        pytest.param(1536, FINE, 383_975_696, marks=pytest.mark.slow),
        (1024, FINE, 172_097_808),
        pytest.param(1536, WIDEST, 434_737_424, marks=pytest.mark.slow),
    ],
)
def test_single_fields_of_2023(dim, tiling, total, original):
    assert single(original, 2023, dim=dim, **tiling) == total


@pytest.mark.parametrize(
    ("name", "tiling", "total"), [(U, WIDE, 117_656_336), (T, WIDEST, 138_807_056)]
)
def test_single_fields_of_2024(name, tiling, total, original):
    assert single(original, 2024, name, 1024, **tiling) == total


@pytest.mark.slow
def test_several_fields_of_2024(original):
    sizes, tilings = of_2024([U, V, Q, W, T])
    assert several(original, 2024, sizes, tilings) == 629_879_056
    sizes, tilings = of_2024([U, V, Q, W, T, TP])
    assert several(original, 2024, sizes, tilings) == 741_136_272


WIND_AND_TEMPERATURE = {U: (2048, [V, T]), V: (2048, [U, T]), T: (1024, [U, V])}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sizes", "tilings", "totals"),
    [
        (WIND_AND_TEMPERATURE, {}, (1.576, 1.621)),
        (VORTICITY, {}, (3.088, 3.198)),
        (VELOCITY, {}, (2.881, 2.994)),
    ],
)
def test_several_fields_of_2023_in_billions(sizes, tilings, totals, original):
    for heads, total in enumerate(totals, 1):
        found = several(original, 2023, sizes, tilings, heads)
        assert found / 1e9 == pytest.approx(total, abs=5.01e-4)


PUBLISHED = {
    "multi3_2023": (2023, WIND_AND_TEMPERATURE, {}),
    "multi_velocity_2023": (2023, VELOCITY, {}),
    "multi_vorticity_2023": (2023, VORTICITY, {}),
    "multi6_2024": (2024, *of_2024([U, V, Q, W, T, TP])),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", PUBLISHED)
def test_the_published_files_wire_what_is_imported(name, original):
    year, sizes, tilings = PUBLISHED[name]
    heads = {"coupling_num_heads_per_field": 2 if year == 2023 else 1, "with_qk_lnorm": True}
    imported = build(original, coupled(original, sizes, tilings), year, **heads)
    ours = config.load([f"published/{name}.gin"]).build().model
    assert [field_of(f) for f in ours.fields] == [field_of(f) for f in imported.fields]
    for role, part in imported.templates.items():
        assert type(ours.templates[role]) is type(part)
        if part is None:  # the original knows no such role
            continue
        # The decoders are as deep as the encoders: no block is without the encoder's layers.
        assert options_of(ours.templates[role]) == options_of(part), role


def field_of(field):
    tiling = field.window.shape, field.levels, field.token_size
    return field.name, *tiling, field.embed_dim, set(field.couplings), field.predicted


def options_of(part):
    left_out = ("name", "self_block")
    return {key: value for key, value in part.get_config().items() if key not in left_out}
