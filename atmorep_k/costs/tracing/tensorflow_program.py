"""A step traced by TensorFlow, as a program."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from atmorep_k.backend.internals.tensorflow import loop_body
from atmorep_k.costs.tracing.program import Kind, Operation, Program, Value

_VIEWS = {"Reshape", "Squeeze", "ExpandDims", "Identity", "StopGradient", "IdentityN", "Snapshot"}
_PRODUCTS = {"MatMul", "BatchMatMulV2", "BatchMatMul", "Einsum", "GatherV2", "GatherNd", "TopKV2"}
_LOOPS = {"While", "StatelessWhile"}
_PRODUCTS |= {"ScatterNd", "TensorScatterUpdate", "UnsortedSegmentSum", "TensorScatterAdd"}
_KEPT = {"Sum", "Mean", "Max", "Min", "Prod", "ArgMax", "ArgMin", "Exp", "Erf", "Erfc", "Log"}
_KEPT |= {"Tanh", "Sigmoid", "Softmax", "Rsqrt", "Sqrt", "RealDiv", "Pow", "Sin", "Cos", "Expm1"}
_NAMES: dict[Kind, set[str]] = {"view": _VIEWS, "product": _PRODUCTS, "kept": _KEPT}


def trace_tensorflow(loss: Callable, weights: Sequence, others: Sequence, batch: Any) -> Program:
    """Return the program of a loss and its gradients.

    Args:
        loss: function of the values of weights, those of other variables, and a batch.
        weights: shape and dtype (`Spec`) of each weight that is trained.
        others: likewise of the other variables.
        batch: pytree of such leaves.
    """
    specs = tf.nest.map_structure(
        lambda s: tf.TensorSpec(s.shape, s.dtype), (list(weights), list(others), batch)
    )

    @tf.function
    def step(weights, others, batch):
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(weights)
            value = loss(weights, others, batch)
        return value, [g for g in tape.gradient(value, weights) if g is not None]

    return _program(step.get_concrete_function(*specs).graph)


def _program(graph) -> Program:
    values: dict[str, Value] = {}

    def value(tensor):
        if tensor.name not in values:
            values[tensor.name] = Value(_nbytes(tensor))
        return values[tensor.name]

    operations = []
    for node in graph.get_operations():
        if node.type in ("Placeholder", "Const"):
            continue
        # Axes and shapes are constants for the compiler.
        read = [value(t) for t in node.inputs if t.op.type != "Const"]
        made = [value(t) for t in node.outputs]
        if node.type in _LOOPS:
            operations.append(Operation("product", read, made, *_loop(node)))
        else:
            operations.append(Operation(_kind(node.type), read, made, _flops(node)))
    inputs, outputs = ([value(t) for t in part] for part in (graph.inputs, graph.outputs))
    return Program(operations, inputs, outputs)


def _loop(node) -> tuple[float, int]:
    """Returns the operations of all rounds of a loop and the memory of one."""
    body = _program(loop_body(node))
    # Its first two inputs are where it begins to count and how many rounds there are.
    rounds = tf.get_static_value(node.inputs[1])
    return float(rounds or 1) * body.flops, body.peak_bytes()


def _kind(name: str) -> Kind:
    if "Random" in name:
        return "product"
    return next((kind for kind, names in _NAMES.items() if name in names), "fused")


def _nbytes(tensor) -> int:
    if tensor.shape.rank is None or None in tensor.shape:
        return 0
    return math.prod(tensor.shape) * tensor.dtype.size


def _flops(node) -> float:
    if node.type not in ("MatMul", "BatchMatMulV2", "BatchMatMul", "Einsum"):
        return 0.0
    made = math.prod(node.outputs[0].shape)
    if node.type == "Einsum":
        letters, result = node.get_attr("equation").decode().split("->")
        sizes: dict[str, int] = {}
        for names, operand in zip(letters.split(","), node.inputs, strict=True):
            sizes |= dict(zip(names, operand.shape, strict=True))
        return 2.0 * made * math.prod(n for name, n in sizes.items() if name not in result)
    transposed = node.get_attr("transpose_a" if node.type == "MatMul" else "adj_x")
    return 2.0 * made * node.inputs[0].shape[-2 if transposed else -1]
