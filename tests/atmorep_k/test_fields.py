import pytest

from atmorep_k.errors import UserError
from atmorep_k.fields import FieldSpec, Window


def test_the_published_window():
    window = Window()
    assert (window.shape, window.step_hours) == ((36, 54, 108), 1.0)
    field = FieldSpec("vorticity", [96, 105, 114, 123, 137], (3, 9, 9), window)
    assert field.num_tokens == (12, 6, 12)
    assert field.tokens_per_level == 864
    assert field.token_values == 243


@pytest.mark.parametrize(
    ("given", "name"),
    [("t", "temperature"), ("velocity_u", "u_component_of_wind"), ("my_field", "my_field")],
)
def test_a_field_goes_by_its_canonical_name(given, name):
    assert FieldSpec(given, [850], (2, 2, 2), Window((4, 4, 8))).name == name


@pytest.mark.parametrize(
    ("shape", "size", "fitting"),
    [
        ((36, 54, 108), (3, 10, 9), r"\(3, 9, 9\)"),
        ((36, 54, 108), (5, 9, 24), r"\(6, 9, 27\)"),
        ((4, 4, 8), (3, 5, 2), r"\(4, 4, 2\)"),
        ((7, 4, 8), (2, 2, 2), r"\(1, 2, 2\)"),
    ],
)
def test_tokens_that_do_not_tile_name_the_nearest_that_do(shape, size, fitting):
    with pytest.raises(UserError, match=rf"do not tile the window .* nearest that do: {fitting}"):
        FieldSpec("temperature", [850], size, Window(shape))


@pytest.mark.parametrize(
    ("shape", "step"), [((4, 4), 1), ((4, 0, 8), 1), ((4, 4, 8), 0), ((4, 4, 8), -3)]
)
def test_a_window_has_three_positive_sizes(shape, step):
    with pytest.raises(UserError, match="three positive sizes"):
        Window(shape, step)


@pytest.mark.parametrize("levels", [[], [500, 500], [850, 850.0]])
def test_levels_differ(levels):
    with pytest.raises(UserError, match="field 'temperature' needs one or more levels"):
        FieldSpec("temperature", levels, (2, 2, 2), Window((4, 4, 8)))


@pytest.mark.parametrize("size", [(2, 2), (2, 0, 2), (2, 2, 2, 2)])
def test_a_token_has_three_positive_sizes(size):
    with pytest.raises(UserError, match="a token needs three positive sizes"):
        FieldSpec("temperature", [850], size, Window((4, 4, 8)))


def test_windows_are_equal_where_they_show_the_same():
    assert Window((4, 4, 8)) == Window([4, 4, 8], 1)
    assert hash(Window((4, 4, 8))) == hash(Window([4, 4, 8], 1))
    assert Window((4, 4, 8)) != Window((4, 4, 8), 3)
    assert Window((4, 4, 8)) != Window((4, 8, 4))
    assert Window((4, 4, 8)) != (4, 4, 8)


def test_fields_of_a_model_see_the_same_hours(make_model, make_field):
    window = Window((2, 3, 5), step_hours=2)
    coarse = FieldSpec("vorticity", [500], (1, 3, 5), window, embed_dim=16)
    assert window.hours == make_field().window.hours == 4
    model = make_model([make_field(), coarse])
    assert [f.name for f in model.fields] == ["temperature", "vorticity"]
    with pytest.raises(UserError) as error:
        make_model([make_field(), make_field("vorticity", window=(6, 4, 8))])
    assert str(error.value) == (
        "all fields of a model see the same hours, but 'temperature' sees 4 h and 'vorticity' 6 h "
        "(6 times every 1 h); 4 times every 1 h would fit."
    )
    uneven = FieldSpec("vorticity", [500], (1, 3, 5), Window((2, 3, 5), step_hours=3))
    with pytest.raises(UserError, match=r"\(2 times every 3 h\); 1 times every 4 h would fit"):
        make_model([make_field(), uneven])
