import math

import keras
import pytest

from atmorep_k.distribution.torch.split import Split

if keras.backend.backend() != "torch":
    pytest.skip("of the PyTorch backend", allow_module_level=True)

SIZE = (2, 3)
PLACES = [(r, m) for r in range(2) for m in range(3)]


@pytest.mark.parametrize(
    ("split", "share"),
    [
        (Split((4, 6)), 1),
        (Split((4, 6), model=1), 3),
        (Split((4, 6), model=1).shared(SIZE), 6),
        (Split((6, 4), model=0).shared(SIZE), 6),
        (Split((12,), model=0).shared(SIZE), 6),
        (Split((3, 5)).shared(SIZE), 1),
        (Split(()).shared(SIZE), 1),
    ],
)
def test_first_holders_hold_everything_once(split, share):
    counted = {}
    for place in PLACES:
        block = split.block(SIZE, place)
        size = math.prod(s.stop - s.start for s in block)
        assert size * share == math.prod(split.shape)
        if split.is_first(place):
            assert str(block) not in counted
            counted[str(block)] = size
    assert sum(counted.values()) == math.prod(split.shape)
    assert len(counted) == share


def test_the_axis_of_the_model_comes_first():
    split = Split((12,), model=0, samples=0)
    assert split.block(SIZE, (1, 2)) == (slice(10, 12),)
