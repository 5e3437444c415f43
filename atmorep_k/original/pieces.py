"""Where each weight of the original lies in a model of ours."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from atmorep_k.earth.variables import canonical_name
from atmorep_k.model import AtmoRep
from atmorep_k.original.architecture import WeightLayout
from atmorep_k.original.settings import Settings

# The order in which the original's axial attention goes along the axes, and its names of them.
_AXES = ("space", "time", "level")


@dataclasses.dataclass(frozen=True)
class WeightPiece:
    """A part of an array of the original that is (a part of) one of our variables.

    Args:
        key: name of the array in the original's file.
        shape: shape of the whole array.
        part: index of the part within it.
        variable: our variable.
        view: returns, of an array like our variable, the view that holds the part's values in
            their order; changing the view changes the array.
    """

    key: str
    shape: tuple[int, ...]
    part: Any
    variable: Any
    view: Callable[[np.ndarray], np.ndarray]


def pieces(model: AtmoRep, settings: Settings, layout: WeightLayout) -> list[WeightPiece]:
    """Returns the pieces of all weights of a built model.

    Every variable is covered by its pieces; of the arrays, all parts that are not empty.
    """
    found: list[WeightPiece] = []
    for number, field in enumerate(settings.fields):
        name = canonical_name(field.name)
        linear = model.part("tokenizer", name).linear
        found += _linear(f"embeds.{number}", linear)
        found += _linear(f"embeds_token_info.{number}", model.part("token_info", name).net[-1])
        others = [canonical_name(other) for other in field.couplings]
        for i, block in enumerate(model.part("encoder", name).blocks):
            heads = f"encoders.{number}.heads.{i}"
            found += _encoder_attention(heads, block, others, settings, layout)
            found += _mlp(f"encoders.{number}.mlps.{i}", block.mlp)
    for number, name in enumerate(map(canonical_name, settings.weights)):
        decoder, depth = model.part("decoder", name), settings.encoder_num_layers
        found += _decoder(f"decoders.{number}.blocks", decoder, depth, layout)
        found += _tail(f"tails.{number}.tail_nets", model.part("tail", name))
    return found


def _whole(key: str, variable, view=lambda array: array, shape=None) -> WeightPiece:
    """Returns the piece that is a whole array; its shape follows from the view."""
    if shape is None:
        # A broadcast array has the variable's shape and takes no memory.
        shape = view(np.broadcast_to(np.float32(0), tuple(variable.shape))).shape
    return WeightPiece(key, shape, ..., variable, view)


def _linear(name: str, layer) -> Iterator[WeightPiece]:
    yield _whole(f"{name}.weight", layer.kernel, np.transpose)
    if layer.use_bias:
        yield _whole(f"{name}.bias", layer.bias)


def _mlp(name: str, mlp) -> Iterator[WeightPiece]:
    # Between two linear maps lie an activation and a dropout.
    for number, layer in enumerate((mlp.widen, *mlp.hidden, mlp.narrow)):
        yield from _linear(f"{name}.blocks.{3 * number}", layer)


def _heads(kernel, num_heads: int, kinds: int, first: int = 0, last: int | None = None):
    """Returns the view (head, kind, head channel, channel) of a fused projection's kernel."""
    channels, width = kernel.shape
    size = width // (num_heads * kinds)

    def view(array):
        heads = array.reshape(channels, num_heads, kinds, size)
        return np.transpose(heads, (1, 2, 3, 0))[:, first:last]

    return view


def _encoder_attention(name, block, others, settings, layout) -> Iterator[WeightPiece]:
    if settings.encoder_att_type != "dense":
        yield from _axial(name, block, others)
        return
    couplers = [getattr(block, f"coupled_{other}") for other in others]
    if layout.per_head:
        yield from _per_head(f"{name}.heads_self", block.self_heads)
        for number, coupler in enumerate(couplers):
            first = number * coupler.num_heads
            yield from _per_head(f"{name}.heads_coupling", coupler.heads, first)
    else:
        yield from _linear(f"{name}.proj_heads", block.self_heads.query_key_value)
        queries = [coupler.heads.query.kernel for coupler in couplers]
        yield from _stacked(f"{name}.proj_heads_other.0.weight", queries, axis=0)
        for number, coupler in enumerate(couplers):
            layer = coupler.heads.key_value
            yield from _linear(f"{name}.proj_heads_other.{number + 1}", layer)
    outputs = [block.project.kernel, *(coupler.project.kernel for coupler in couplers)]
    yield from _stacked(f"{name}.proj_out.weight", outputs, axis=1)


def _stacked(key: str, kernels: list, axis: int) -> Iterator[WeightPiece]:
    """Yields the pieces of an array that has our kernels, transposed, one after the other."""
    shapes = [tuple(kernel.shape)[::-1] for kernel in kernels]
    total, start = sum(shape[axis] for shape in shapes), 0
    for kernel, shape in zip(kernels, shapes, strict=True):
        whole = (total, shape[1]) if axis == 0 else (shape[0], total)
        part = slice(start, start + shape[axis])
        start += shape[axis]
        index = (part, slice(None)) if axis == 0 else (slice(None), part)
        yield WeightPiece(key, whole, index, kernel, np.transpose)


def _per_head(name: str, heads, first: int = 0) -> Iterator[WeightPiece]:
    """Yields the projections of each head of `AttentionHeads`; the file counts from `first` on."""
    for number in range(heads.num_heads if heads else 0):
        for kind, word in enumerate(("qs", "ks", "vs")):
            if heads.cross:
                layer, kinds = (heads.key_value, 2) if kind else (heads.query, 1)
                at = max(0, kind - 1)
            else:
                layer, kinds, at = heads.query_key_value, 3, kind
            every = _heads(layer.kernel, heads.num_heads, kinds)
            yield _whole(
                f"{name}.{first + number}.proj_{word}.weight",
                layer.kernel,
                lambda array, every=every, n=number, at=at: every(array)[n, at],
            )


def _axial(name: str, block, others=()) -> Iterator[WeightPiece]:
    for number, axis in enumerate(_AXES):
        place = f"{name}.axial_attentions.{number}"
        own, cross = getattr(block, f"{axis}_self"), getattr(block, f"{axis}_cross")
        couplers = [getattr(block, f"{axis}_coupled_{other}") for other in others]
        if own:
            yield from _axial_self(f"{place}.0.fn", own)
        attending = [cross] if cross else [coupler.heads for coupler in couplers]
        for at, heads in enumerate(attending, 1):
            yield from _linear(f"{place}.{at}.fn.to_q", heads.query)
            yield _axial_keys(f"{place}.{at}.fn", heads.key_value.kernel, heads.num_heads, 2, 0)
        project = getattr(block, f"{axis}_project")
        outputs = [project.kernel, *(coupler.project.kernel for coupler in couplers)]
        yield from _stacked(f"{name}.to_outs.{number}.weight", outputs, axis=1)
        yield _whole(f"{name}.to_outs.{number}.bias", project.bias)


def _axial_self(name: str, heads) -> Iterator[WeightPiece]:
    kernel = heads.query_key_value.kernel
    queries = _heads(kernel, heads.num_heads, 3, 0, 1)
    shape = (kernel.shape[1] // 3, kernel.shape[0])
    yield _whole(f"{name}.to_q.weight", kernel, queries, shape)
    yield _axial_keys(name, kernel, heads.num_heads, 3, 1)


def _axial_keys(name: str, kernel, num_heads: int, kinds: int, first: int) -> WeightPiece:
    # The original has the keys of all heads, then the values of all heads.
    by_head = _heads(kernel, num_heads, kinds, first)
    shape = (kernel.shape[1] // kinds * 2, kernel.shape[0])
    view = lambda array: np.swapaxes(by_head(array), 0, 1)  # noqa: E731
    return _whole(f"{name}.to_kv.weight", kernel, view, shape)


def _decoder(
    name: str, decoder, num_encoder_layers: int, layout: WeightLayout
) -> Iterator[WeightPiece]:
    # One list of attentions and nets; an attention before the block's own comes first.
    number = 0
    for i, block in enumerate(decoder.blocks):
        looks_back = decoder.encoder_layer(i, num_encoder_layers) is not None
        if looks_back and decoder.self_attention:
            yield from _dense(f"{name}.{number}", decoder.self_blocks[i], layout)
            number += 1
        if looks_back and hasattr(block, "space_project"):
            yield from _axial(f"{name}.{number}", block)
        else:
            yield from _dense(f"{name}.{number}", block, layout)
        yield from _mlp(f"{name}.{number + 1}", block.mlp)
        number += 2


def _dense(name: str, block, layout: WeightLayout) -> Iterator[WeightPiece]:
    if layout.per_head:
        yield from _per_head(f"{name}.heads", block.self_heads)
        yield from _per_head(f"{name}.heads_other", block.cross)
    else:
        if block.self_heads:
            yield from _linear(f"{name}.proj_heads", block.self_heads.query_key_value)
        if block.cross:
            yield from _linear(f"{name}.proj_heads_o_q", block.cross.query)
            yield from _linear(f"{name}.proj_heads_o_kv", block.cross.key_value)
        for short, norm in (("ln_q", block.query_norm), ("ln_k", block.key_norm)):
            if block.qk_norm == "affine":
                yield _whole(f"{name}.{short}.weight", norm.gamma)
                yield _whole(f"{name}.{short}.bias", norm.beta)
    yield from _linear(f"{name}.proj_out", block.project)


def _tail(name: str, tail) -> Iterator[WeightPiece]:
    maps = [*getattr(tail, "hidden", ()), (tail.kernel, tail.bias)]
    for member in range(tail.num_members):
        net = f"{name}.{member}"
        column = lambda array, m=member: array[:, m]  # noqa: E731
        yield _whole(f"{net}.0.weight", tail.scale, column)
        yield _whole(f"{net}.0.bias", tail.shift, column)
        for number, (kernel, bias) in enumerate(maps):
            place = f"{net}.{1 + 2 * number}"
            yield _whole(f"{place}.weight", kernel, lambda array, m=member: array[:, m].T)
            yield _whole(f"{place}.bias", bias, lambda array, m=member: array[m])


def original_arrays(
    found: list[WeightPiece], values: Callable[[Any], np.ndarray]
) -> Iterator[tuple[str, np.ndarray]]:
    """Yields (key, array) of the original, put together from arrays that are like our variables.

    Args:
        found: pieces that cover what they are part of.
        values: returns the array of a variable: its value, or its gradient.
    """
    by_key: dict[str, list[WeightPiece]] = {}
    for piece in found:
        by_key.setdefault(piece.key, []).append(piece)
    for key, group in by_key.items():
        array = np.empty(group[0].shape, np.float32)
        for piece in group:
            part = piece.view(np.asarray(values(piece.variable)))
            array[piece.part] = part.reshape(array[piece.part].shape)
        yield key, array
