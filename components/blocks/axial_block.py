"""A transformer block whose attention goes along space, time and level, one axis at a time."""

import functools

import keras
import numpy as np
from keras import ops

from atmorep_k.backend import attention_record
from atmorep_k.components.blocks.attention_heads import AttentionHeads
from atmorep_k.components.blocks.coupled_block import CoupledBlock
from atmorep_k.components.blocks.materialized import materialized
from atmorep_k.components.blocks.mlp import seeded_dropout
from atmorep_k.components.blocks.transformer_block import head_size
from atmorep_k.errors import UserError
from atmorep_k.registry import component

# Axes of (batch, level, time, space, channel), in the order in which the original attends to them.
_AXES = {"space": 3, "time": 2, "level": 1}
_NAMES = {number: name for name, number in _AXES.items()}


@component("block")
class AxialBlock(CoupledBlock):
    """Pre-norm block with attention along one axis at a time (Ho et al. 2019, arXiv:1912.12180).

    In turn, the result of one axis is what the next attends with; in parallel, the results of the
    axes are added. Where a field that is attended to has fewer tokens along the other axes, each
    of its tokens serves several of ours; where it has more, ours are repeated and averaged. The
    residual and the MLP follow as in `TransformerBlock`.

    Args:
        num_heads: heads per axis, those of couplings not counted.
        cross_heads: how many of them attend to the context instead of to `x` itself.
        reserved_heads: heads that the channels are divided among besides `num_heads`: the original
            reserves room for the heads of one coupling, coupled or not.
        parallel: whether the axes are attended to in parallel.
        mlp_ratio: see `MLP`.
        mlp_layers: see `MLP.num_layers`; 0 for no MLP.
        dropout: rate of dropout behind the attention and in the MLP.
        mlp_norm: whether the input of the MLP is normalised.
        output_activation: see `MLP`.

    Shapes:
        input: x (batch, level, time, space, channel), space being all tokens of a time; context
            and others {field: ...} likewise, with their own numbers of tokens
        output: as x

    Raises:
        UserError: if channels are not divisible by the heads, an input has a different number of
            axes, or numbers of tokens are not multiples of each other.
    """

    def __init__(
        self,
        num_heads: int = 4,
        cross_heads: int = 0,
        reserved_heads: int = 0,
        parallel: bool = False,
        mlp_ratio: float = 2.0,
        mlp_layers: int = 2,
        dropout: float = 0.0,
        mlp_norm: bool = True,
        output_activation: bool = False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.num_heads = num_heads
        self.cross_heads = cross_heads
        self.reserved_heads = reserved_heads
        self.parallel = parallel
        self.mlp_ratio = mlp_ratio
        self.mlp_layers = mlp_layers
        self.dropout = dropout
        self.mlp_norm = mlp_norm
        self.output_activation = output_activation

    def build(self, x_shape, context_shape=None):
        """Makes norms, heads, projection and couplers of every axis, and the MLP."""
        _check(x_shape, *self.coupled.values())
        self.x_norm = self.built_norm("norm", x_shape)
        if self.cross_heads:
            self.context_norm = self.built_norm("context_norm", context_shape or x_shape)
        for axis in _AXES:
            self._build_axis(axis, x_shape[-1])
        self.drop = seeded_dropout(self.dropout, self.dtype_policy)
        self.mlp = self.built_mlp(x_shape)

    def _build_axis(self, axis, channels):
        head_dim = head_size(channels, self.num_heads + self.reserved_heads)
        sequence = (None, None, channels)
        for kind, number in (
            ("self", self.num_heads - self.cross_heads),
            ("cross", self.cross_heads),
        ):
            heads = None
            if number:
                name, dtype = f"{axis}_{kind}_heads", self.dtype_policy
                heads = AttentionHeads(number, head_dim, kind == "cross", dtype=dtype, name=name)
                heads.build(sequence, sequence)
            setattr(self, f"{axis}_{kind}", heads)
        project = keras.layers.Dense(channels, dtype=self.dtype_policy, name=f"{axis}_project")
        project.build((None, None, self.num_heads * head_dim))
        setattr(self, f"{axis}_project", project)
        for name, shape in self.coupled.items():
            other = (None, None, shape[-1])
            changes = {"head_dim": head_dim, "norm": True}
            self.add_coupler(f"{axis}_coupled_{name}", sequence, other, **changes)

    def _along(self, axis, x, context, others):
        """Returns what attention along one axis makes of `x`."""
        number, project = _AXES[axis], getattr(self, f"{axis}_project")
        own, cross = getattr(self, f"{axis}_self"), getattr(self, f"{axis}_cross")
        heads = [along(number, own, x)] if own else []
        if cross:
            heads.append(along(number, cross, x, context))
        result = project(ops.concatenate(heads, axis=-1))
        for name in self.coupled:
            coupler = getattr(self, f"{axis}_coupled_{name}")
            result = result + along(number, coupler, x, others[name])
        return result

    def attend(self, x, context=None, others=None, training=False):
        """Returns the state after the attention, its residual included."""
        normed = self.x_norm(x)
        if self.cross_heads:
            context = normed if context is None else self.context_norm(context)
        if self.parallel:
            change = sum(self._along(axis, normed, context, others) for axis in _AXES)
        else:
            change = normed
            for axis in _AXES:
                change = self._along(axis, change, context, others)
        return x + self.drop(change, training=training)

    def call(self, x, context=None, others=None, training=False):
        """Returns the block's output."""
        x = materialized(self.attend(x, context, others, training))
        return materialized(self.mlp(x, training=training)) if self.mlp else x


def along(axis: int, layer, x, other=None):
    """Applies a layer of sequences to every row of tokens along one axis.

    Args:
        axis: 1 (level), 2 (time) or 3 (space).
        layer: maps (row, token, channel), with `other` also (row, other, channel').
        x: (batch, level, time, space, channel).
        other: likewise; its numbers of tokens along the axes that are not attended to divide those
            of `x` or are multiples of them.

    Returns:
        (batch, level, time, space, channel'').
    """
    order, rows, parts = _cut(axis, x, other)
    with attention_record.arranged(_NAMES[axis], functools.partial(_names, axis, x, other)):
        result = layer(*rows)
    result = ops.mean(ops.reshape(result, (-1, *parts, result.shape[-1])), axis=(2, 4))
    return ops.transpose(result, [order.index(a) for a in range(5)])


def _cut(axis: int, x, other):
    """Returns the order of axes, the rows of tokens of `x` and `other`, and what `x` was before.

    The last is (first, copies, second, copies, token): the two axes that are not attended to, and
    how often each of their tokens is repeated.
    """
    order = [0, *(a for a in (1, 2, 3) if a != axis), axis, 4]
    x, repeats, rows = ops.transpose(x, order), (1, 1), []
    shape = x.shape
    if other is not None:
        x, other, repeats = _match(x, ops.transpose(other, order))
        rows = [_rows(other)]
    parts = (shape[1], repeats[0], shape[2], repeats[1], shape[3])
    return order, [_rows(x), *rows], parts


def _names(axis: int, x, other):
    """Returns the queries (row, token) and the keys of each row, as indices of tokens."""
    _, rows, _ = _cut(axis, *(None if a is None else _numbered(a.shape) for a in (x, other)))
    rows = [ops.convert_to_numpy(row)[..., 0] for row in rows]
    return rows[0], rows[-1]


def _numbered(shape):
    numbers = np.arange(np.prod(shape[1:4]), dtype="int32")
    return ops.convert_to_tensor(numbers.reshape(1, *shape[1:4], 1))


def _match(x, other):
    """Repeats tokens along the first two axes behind the batch until both have as many."""
    repeats = []
    for axis in (1, 2):
        ours, theirs = x.shape[axis], other.shape[axis]
        other = ops.repeat(other, max(1, ours // theirs), axis=axis)
        repeats.append(max(1, theirs // ours))
        x = ops.repeat(x, repeats[-1], axis=axis)
    return x, other, repeats


def _rows(x):
    return ops.reshape(x, (-1, *x.shape[-2:]))


def _check(*shapes) -> None:
    if any(len(shape) != 5 for shape in shapes):
        raise UserError(
            "axial attention needs tokens in (level, time, space), as with AtmoRep.encode = 'all'; "
            f"given {len(shapes[0]) - 2} axes of tokens."
        )
    for shape in shapes[1:]:
        for ours, theirs in zip(shapes[0][1:4], shape[1:4], strict=True):
            if max(ours, theirs) % min(ours, theirs):
                raise UserError(
                    f"axial attention couples fields whose numbers of tokens (level, time, space) "
                    f"are multiples of each other, not {shapes[0][1:4]} and {shape[1:4]}."
                )
