"""Optimizers of PyTorch that update only this process's shard of the weights.

Slots are sharded over the samples' axis as in ZeRO stage 1 (Rajbhandari et al. 2020,
arXiv:1910.02054): gradients are reduce-scattered, each process updates its shard, and weights are
all-gathered. Any optimizer of Keras that works element by element runs unchanged on a shard.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import keras
import torch
import torch.distributed as dist
from torch.distributed.tensor import DTensor

from atmorep_k.backend.internals.keras import give_shape, held_value, put_value
from atmorep_k.backend.internals.optimizers import become, weights_of
from atmorep_k.distribution.torch.layers import held
from atmorep_k.distribution.torch.split import Split
from atmorep_k.distribution.weights import slots

# What a mixin of optimizers is mixed into: its methods override and call these.
if TYPE_CHECKING:
    from keras.optimizers import Optimizer as _Optimizer
else:
    _Optimizer = object

# Optimizers whose update is element-wise: a shard is updated as it would be within the whole.
ELEMENTWISE = ("SGD", "Adam", "AdamW", "Adamax", "Nadam", "Lion", "RMSprop", "Adagrad", "Adadelta")


@dataclasses.dataclass
class ShardedSlots:
    """What a process updates of each weight.

    Attributes:
        groups: the processes along the axes of samples and model.
        size: their numbers.
        place: of this process on both.
        splits: weight -> what this process updates of it, by the identity of the variable.
        weights: all that are trained, where some are not updated as a whole.
        slots: of them.
        updated: the weights of the step that is being made.
    """

    groups: tuple[dist.ProcessGroup, dist.ProcessGroup]
    size: tuple[int, int]
    place: tuple[int, int]
    splits: Mapping[int, Split]
    weights: Sequence[keras.Variable] = ()
    slots: Sequence[keras.Variable] = ()
    updated: Sequence[keras.Variable] = ()

    def of(self, variable) -> Split:
        """Returns what this process updates of a weight."""
        return self.splits[id(variable)]

    @property
    def anything_split(self) -> bool:
        """Whether some weight is not updated as a whole."""
        return any(s.model is not None or s.samples is not None for s in self.splits.values())

    def cut(self, value: torch.Tensor, variable) -> torch.Tensor:
        """Returns this process's share, a view of what it holds of a weight or its like."""
        return self._cut(value, variable, self.place[0])

    def _cut(self, value, variable, number):
        dimension = self.of(variable).samples
        if dimension is None:
            return value
        length = value.shape[dimension] // self.size[0]
        return value.narrow(dimension, number * length, length)

    def _all_cuts(self, values, variables) -> list:
        """Returns the shares of all processes along the samples, one process after the other."""
        return [
            self._cut(value, variable, number)
            for number in range(self.size[0])
            for value, variable in zip(values, variables, strict=True)
        ]

    def reduce(self, gradients: list, variables: list) -> list:
        """Returns the shares of gradients, summed over the samples."""
        local = [_local(g, v) for g, v in zip(gradients, variables, strict=True)]
        shared = [self.of(v).samples is not None for v in variables]
        result = _merge(
            shared,
            self._scatter(*_chosen(shared, local, variables)),
            _together(_without(shared, local), self._sum(0)),
        )
        if self.size[1] > 1:
            # Processes that hold the same weight got the same gradient but for rounding: kernels
            # add in any order. Their mean keeps the replicas of a weight equal to the bit.
            split = [self.of(v).model is not None for v in variables]
            means = _together(_without(split, result), self._mean_over_model)
            result = _merge(split, _chosen(split, result)[0], means)
        return result

    def _sum(self, axis) -> Callable:
        def add(flat):
            if self.size[axis] > 1:
                dist.all_reduce(flat, group=self.groups[axis])
            return flat

        return add

    def _mean_over_model(self, flat):
        return self._sum(1)(flat).div_(self.size[1])

    def _scatter(self, gradients, variables) -> list:
        """Returns the shares of gradients, each summed where it is needed."""
        shares = [self.cut(g, v) for g, v in zip(gradients, variables, strict=True)]
        # In the order of the processes: `reduce_scatter` gives process n the n-th part.
        parts = self._all_cuts(gradients, variables)

        def scatter(flat):
            result = flat.new_empty(flat.numel() // self.size[0])
            dist.reduce_scatter(result, list(flat.chunk(self.size[0])), group=self.groups[0])
            return result

        return _together(parts, scatter, like=shares)

    def gather(self) -> None:
        """Complete the weights after each process has updated its shard."""
        weights = [v for v in self.weights if self.of(v).samples is not None]
        values = [held(v) for v in weights]
        shares = [self.cut(h, v) for h, v in zip(values, weights, strict=True)]
        places = self._all_cuts(values, weights)

        def collect(flat):
            result = flat.new_empty(flat.numel() * self.size[0])
            dist.all_gather(list(result.chunk(self.size[0])), flat, group=self.groups[0])
            return result

        for place, value in zip(places, _together(shares, collect, like=places), strict=True):
            place.copy_(value)

    def squares(self, gradients: Sequence[torch.Tensor], variables: Sequence) -> torch.Tensor:
        """Returns the sum of squares of each whole gradient, given this process's shares."""
        # A gradient that is whole along an axis is the same on its devices: it counts once.
        squares = torch.stack([g.square().sum() for g in gradients])
        for axis, name in ((0, "samples"), (1, "model")):
            split = [getattr(self.of(v), name) is not None for v in variables]
            split = torch.tensor(split, device=squares.device)
            summed = self._sum(axis)(torch.where(split, squares, 0.0))
            squares = torch.where(split, summed, squares)
        return squares

    @contextlib.contextmanager
    def updating(self) -> Iterator[None]:
        """Let variables hold only this process's shards; at the end weights are complete."""
        # Shards are views of the weights, so an update in place reaches them. Shapes change with
        # the values, as optimizers of Keras look at `variable.shape`.
        kept = [(v, held_value(v), v.shape) for v in (*self.weights, *self.slots)]
        for weight in self.weights:
            put_value(weight, self.cut(held(weight), weight))
        for variable, _, _ in kept:
            give_shape(variable, tuple(held_value(variable).shape))
        try:
            yield
        finally:
            for variable, value, shape in kept:
                put_value(variable, value)
                give_shape(variable, shape)
        if self.size[0] > 1:
            self.gather()


class _Spread(_Optimizer):
    """Mixin that gives an optimizer only this process's shard."""

    _shares: ShardedSlots

    def apply(self, grads, trainable_variables=None):
        """Update the weights by gradients of this process's samples."""
        variables = trainable_variables or weights_of(self)
        pairs = [(g, v) for g, v in zip(grads, variables, strict=True) if g is not None]
        with torch.no_grad():
            gradients = self._shares.reduce([g for g, _ in pairs], [v for _, v in pairs])
            # Not in the optimiser itself: Keras would track these as its slots.
            self._shares.updated = [v for _, v in pairs]
            with self._shares.updating():
                super().apply(gradients, self._shares.updated)

    def _clip_gradients(self, grads):
        bound = self.clipnorm or self.global_clipnorm
        if not bound or not self._shares.anything_split:
            return super()._clip_gradients(grads)
        squares = self._shares.squares(grads, self._shares.updated)
        norms = torch.sqrt(squares.sum() if self.global_clipnorm else squares)
        # Adds NaN if a norm is infinite, which would otherwise scale the gradients to 0 unseen.
        scales = bound / torch.clamp(norms, min=bound) + (norms - norms)
        return [g * s for g, s in zip(grads, scales.expand(len(grads)), strict=True)]

    def finalize_variable_values(self, var_list):
        """Ends a training: weights may become their moving averages."""
        with torch.no_grad(), self._shares.updating():
            super().finalize_variable_values(var_list)


def spread_optimizer(optimizer: keras.optimizers.Optimizer, shares: ShardedSlots) -> None:
    """Let a built optimizer update only this process's shards, and cut its slots to them."""
    shares.weights = list(weights_of(optimizer)) if shares.anything_split else []
    shares.slots = []
    for slot, weight in slots(optimizer):
        if shares.anything_split:
            block = shares.of(weight).block(shares.size, shares.place)
            put_value(slot, held_value(slot).detach()[block].clone())
            shares.slots.append(slot)
    become(optimizer, _Spread)
    optimizer._shares = shares


def _local(gradient, variable) -> torch.Tensor:
    if isinstance(gradient, DTensor):
        gradient = gradient.redistribute(placements=held_value(variable).placements).to_local()
    return gradient


def _together(tensors: Sequence, function: Callable, like: Sequence | None = None) -> list:
    """Apply a function of one flat tensor to many tensors, those of each type at once."""
    # One exchange per type: hundreds of small ones would wait for the network hundreds of times.
    like = tensors if like is None else like
    result: list = [None] * len(like)
    for kind in dict.fromkeys(t.dtype for t in like):
        flat = function(torch.cat([t.reshape(-1) for t in tensors if t.dtype == kind]))
        places = [n for n, t in enumerate(like) if t.dtype == kind]
        pieces = flat.split([like[n].numel() for n in places])
        for place, piece in zip(places, pieces, strict=True):
            result[place] = piece.view(like[place].shape)
    return result


def _chosen(flags, *lists) -> list[list]:
    return [[x for x, flag in zip(values, flags, strict=True) if flag] for values in lists]


def _without(flags, values) -> list:
    return [x for x, flag in zip(values, flags, strict=True) if not flag]


def _merge(flags: Iterable[bool], chosen: Iterable, others: Iterable) -> list:
    """Returns one list of two, as the flags say."""
    chosen, others = iter(chosen), iter(others)
    return [next(chosen) if flag else next(others) for flag in flags]
