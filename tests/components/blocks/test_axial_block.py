import functools

import numpy as np
import pytest
from keras import ops

from atmorep_k.components.blocks import AxialBlock
from atmorep_k.components.blocks.axial_block import along
from atmorep_k.components.couplers import CrossFieldAttention
from atmorep_k.errors import UserError
from atmorep_k.registry import clone

pytestmark = pytest.mark.backend


def random(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def numpy(array):
    return ops.convert_to_numpy(array)


def norm(x):
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)


X = random(2, 2, 3, 4, 8)
AXES = {"space": 3, "time": 2, "level": 1}


def rows(axis, layer, x, *others):
    """What `along` computes, row by row, for arrays with the same numbers of tokens."""
    arrays = [np.moveaxis(a, axis, -2) for a in (x, *others)]
    shape = arrays[0].shape
    flat = [a.reshape(-1, *a.shape[-2:]) for a in arrays]
    results = [numpy(layer(*(a[i : i + 1] for a in flat))) for i in range(len(flat[0]))]
    return np.moveaxis(np.concatenate(results).reshape(*shape[:-1], -1), -2, axis)


def attend(block, x, context=None, **others):
    """Returns the state after the attention, for arrays as they are."""
    tensors = [None if a is None else ops.convert_to_tensor(a) for a in (x, context)]
    others = {name: ops.convert_to_tensor(a) for name, a in others.items()}
    return numpy(block.attend(*tensors, others=others))


def built(*arguments, coupled=None, **options):
    block = AxialBlock(*arguments, **options)
    if coupled:
        template = CrossFieldAttention(num_heads=2)
        block.couple(coupled, functools.partial(clone, template))
    block.build(X.shape)
    return block


@pytest.mark.parametrize("parallel", [False, True])
def test_one_axis_after_the_other_or_side_by_side(parallel, randomize):
    block = randomize(built(2, parallel=parallel), scale=0.3)
    state, total = norm(X), 0.0
    for name, axis in AXES.items():
        heads, project = getattr(block, f"{name}_self"), getattr(block, f"{name}_project")
        change = numpy(project(rows(axis, heads, state)))
        total, state = total + change, state if parallel else change
    expected = X + (total if parallel else state)
    np.testing.assert_allclose(attend(block, X), expected, atol=1e-5)


def test_heads_that_look_at_the_context(randomize):
    block, context = randomize(built(4, cross_heads=3, parallel=True)), random(*X.shape, seed=1)
    expected = X.copy()
    for name, axis in AXES.items():
        own = rows(axis, getattr(block, f"{name}_self"), norm(X))
        cross = rows(axis, getattr(block, f"{name}_cross"), norm(X), norm(context))
        assert (own.shape[-1], cross.shape[-1]) == (2, 6)
        expected += numpy(getattr(block, f"{name}_project")(np.concatenate([own, cross], -1)))
    np.testing.assert_allclose(attend(block, X, context), expected, atol=1e-5)


@pytest.mark.parametrize(
    "grid",
    [
        pytest.param((2, 3, 4), marks=pytest.mark.slow),
        pytest.param((1, 3, 8), marks=pytest.mark.slow),
        (4, 1, 2),
        pytest.param((2, 6, 1), marks=pytest.mark.slow),
    ],
)
def test_coupled_fields_with_fewer_or_more_tokens(grid, randomize):
    other = random(2, *grid, 6, seed=1)
    block = randomize(built(2, parallel=True, coupled={"u": (None, *grid, 6)}))
    change = attend(block, X, u=other) - numpy(
        sum(along(axis, getattr(block, f"{n}_project"), _own(block, n)) for n, axis in AXES.items())
    )
    expected = X.copy()
    for name, axis in AXES.items():
        ours, theirs = norm(X), other
        for rest in {1, 2, 3} - {axis}:
            factor = ours.shape[rest] / theirs.shape[rest]
            theirs = np.repeat(theirs, max(1, int(factor)), axis=rest)
            ours = np.repeat(ours, max(1, int(1 / factor)), axis=rest)
        result = rows(axis, getattr(block, f"{name}_coupled_u"), ours, theirs)
        for rest in {1, 2, 3} - {axis}:
            shape = list(result.shape)
            shape[rest : rest + 1] = [X.shape[rest], shape[rest] // X.shape[rest]]
            result = result.reshape(shape).mean(rest + 1)
        expected += result
    np.testing.assert_allclose(change, expected, atol=1e-5)


def _own(block, name):
    return ops.convert_to_tensor(rows(AXES[name], getattr(block, f"{name}_self"), norm(X)))


def test_reserved_heads_make_all_heads_smaller():
    block = built(3, reserved_heads=1)
    assert block.space_self.head_dim == 2
    assert block.space_project.kernel.shape == (6, 8)


def test_tokens_must_be_multiples_of_each_other():
    with pytest.raises(
        UserError, match=r"multiples of each other, not \(2, 3, 4\) and \(2, 2, 4\)"
    ):
        built(2, coupled={"u": (None, 2, 2, 4, 8)})


def test_tokens_must_lie_in_a_grid():
    with pytest.raises(UserError, match=r"with AtmoRep\.encode = 'all'; given 1 axes of tokens"):
        AxialBlock(2).build((None, 24, 8))
