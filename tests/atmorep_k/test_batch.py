import numpy as np
import pytest

from atmorep_k.batch import TOKEN_INFO, detokenize, input_specs, tokenize

SIZE = (2, 3, 4)


def test_a_token_holds_its_cuboid_in_row_major_order():
    values = np.arange(4 * 6 * 12).reshape(4, 6, 12)
    tokens = tokenize(values, SIZE)
    assert tokens.shape == (2, 2, 3, 24)
    for t, y, x in np.ndindex(2, 2, 3):
        cuboid = values[2 * t : 2 * t + 2, 3 * y : 3 * y + 3, 4 * x : 4 * x + 4]
        np.testing.assert_array_equal(tokens[t, y, x], cuboid.ravel())


@pytest.mark.parametrize("lead", [(), (5,), (2, 3)])
@pytest.mark.parametrize("size", [SIZE, (1, 1, 1), (4, 6, 12)])
def test_detokenize_undoes_tokenize(lead, size):
    values = np.random.default_rng(0).random((*lead, 4, 6, 12))
    np.testing.assert_array_equal(detokenize(tokenize(values, size), size), values)


def test_inputs_of_a_model(make_field):
    fields = [make_field(), make_field("2m_temperature", [0], token_size=(4, 4, 4))]
    assert input_specs(fields, {"temperature": 3, "2m_temperature": 1}) == {
        "temperature/tokens": ((2, 2, 2, 4, 8), "float32"),
        "temperature/token_info": ((2, 2, 2, 4, 8), "float32"),
        "temperature/masked_index": ((2, 3), "int32"),
        "2m_temperature/tokens": ((1, 1, 1, 2, 64), "float32"),
        "2m_temperature/token_info": ((1, 1, 1, 2, 8), "float32"),
        "2m_temperature/masked_index": ((1, 1), "int32"),
    }


def test_eight_numbers_describe_a_token():
    assert len(TOKEN_INFO) == 8
    assert TOKEN_INFO[3] == TOKEN_INFO[6] == "level"
