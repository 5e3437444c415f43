"""A step traced by JAX, as a program."""

import math
from collections.abc import Callable
from typing import Any

import jax
from jax.extend import core

from atmorep_k.costs.tracing.program import Kind, Operation, Program, Value

# Calls whose body is part of the program.
_CALLS = {"jit", "pjit", "closed_call", "core_call", "checkpoint", "remat2", "remat"}
_CALLS |= {"custom_jvp_call", "custom_vjp_call", "custom_vjp_call_jaxpr"}
_VIEWS = {"reshape", "squeeze", "expand_dims", "stop_gradient", "copy", "copy_p"}
_VIEWS |= {"random_wrap", "random_unwrap"}
_LOOPS = {"scan", "while", "cond"}
# XLA gives these a kernel of their own, which reads its operands from memory.
_PRODUCTS = {"dot_general", "gather", "scatter", "scatter-add", "sort", "top_k", "cumsum"}
_PRODUCTS |= {"conv_general_dilated", "dynamic_slice", "dynamic_update_slice", "random_bits"}
# XLA computes these once, as sums and transcendental functions are costly.
_KEPT = {"reduce_sum", "reduce_max", "reduce_min", "reduce_prod", "argmax", "argmin"}
_KEPT |= {"exp", "erf", "erfc", "erf_inv", "log", "log1p", "expm1", "tanh", "logistic"}
_KEPT |= {"rsqrt", "sqrt", "div", "pow", "sin", "cos", "cbrt"}
_NAMES: dict[Kind, set[str]] = {"view": _VIEWS, "product": _PRODUCTS, "kept": _KEPT}


def trace_jax(step: Callable, *arguments: Any) -> Program:
    """Return the program of a step.

    Args:
        step: a function of arrays.
        arguments: pytrees of `jax.ShapeDtypeStruct`.
    """
    jaxpr = jax.make_jaxpr(step)(*arguments).jaxpr
    return _program(jaxpr, {})


def _program(jaxpr, values: dict) -> Program:
    operations: list[Operation] = []
    _add(jaxpr, values, operations)
    inputs, outputs = (
        [values[v] for v in variables if not _is_literal(v) and v in values]
        for variables in ((*jaxpr.constvars, *jaxpr.invars), jaxpr.outvars)
    )
    return Program(operations, inputs, outputs)


def _is_literal(variable) -> bool:
    return isinstance(variable, core.Literal)


def _value(variable, values: dict) -> Value:
    if variable not in values:
        values[variable] = Value(_nbytes(variable.aval))
    return values[variable]


def _nbytes(aval) -> int:
    itemsize = getattr(getattr(aval, "dtype", None), "itemsize", 4)
    return math.prod(getattr(aval, "shape", ())) * itemsize


def _add(jaxpr, values, operations) -> None:
    for equation in jaxpr.eqns:
        name = equation.primitive.name
        if name in _CALLS:
            _add_call(equation, values, operations)
            continue
        inputs = [_value(v, values) for v in equation.invars if not _is_literal(v)]
        outputs = [_value(v, values) for v in equation.outvars]
        if name == "dot_general":
            operations += _product(equation, values, outputs)
        elif name in _LOOPS:
            flops, inner = _loop(equation)
            operations.append(Operation("product", inputs, outputs, flops, inner))
        elif name == "optimization_barrier":
            pairs = zip(inputs, outputs, strict=True)
            operations += [Operation("view", [a], [b]) for a, b in pairs]
        else:
            if (
                name == "random_bits"
            ):  # two halves of a counter's cipher, joined where they are read
                outputs[0].nbytes *= 2
            operations.append(Operation(_kind(name), inputs, outputs))


def _kind(name: str) -> Kind:
    return next((kind for kind, names in _NAMES.items() if name in names), "fused")


def _bodies(equation) -> list:
    found = []
    for parameter in equation.params.values():
        several = parameter if isinstance(parameter, tuple) else (parameter,)
        found += [
            getattr(p, "jaxpr", p) for p in several if hasattr(p, "eqns") or hasattr(p, "jaxpr")
        ]
    return found


def _add_call(equation, values, operations) -> None:
    body = _bodies(equation)[0]
    inner = {
        theirs: _value(ours, values)
        for theirs, ours in zip(body.invars, equation.invars, strict=True)
        if not _is_literal(ours)
    }
    _add(body, inner, operations)
    for theirs, ours in zip(body.outvars, equation.outvars, strict=True):
        if not _is_literal(theirs):
            values[ours] = _value(theirs, inner)


def _loop(equation) -> tuple[float, int]:
    """Return the operations of all rounds of a loop and the memory of one."""
    bodies = [_program(body, {}) for body in _bodies(equation)]
    rounds = equation.params.get("length", 1)
    flops = rounds * max(body.flops for body in bodies)
    return flops, max(body.peak_bytes() for body in bodies)


def _product(equation, values, outputs) -> list[Operation]:
    contracted, batches = equation.params["dimension_numbers"]
    shape = equation.invars[0].aval.shape
    summed = math.prod(shape[axis] for axis in contracted[0])
    flops = 2 * math.prod(equation.outvars[0].aval.shape) * summed
    copies, inputs, inner = [], [], 0
    for side, variable in enumerate(equation.invars):
        if _is_literal(variable):
            continue
        value, batch = _value(variable, values), tuple(batches[side])
        if batch != tuple(range(len(batch))):
            # XLA brings batch axes to the front, once for all products that want the same.
            if (variable, batch) not in values:
                values[variable, batch] = Value(value.nbytes)
                copies.append(Operation("product", [value], [values[variable, batch]]))
            value = values[variable, batch]
        elif _is_turned(len(variable.aval.shape), contracted[side], len(batch), side):
            inner = max(inner, value.nbytes)
        inputs.append(value)
    return [*copies, Operation("product", inputs, outputs, flops, inner)]


def _is_turned(rank, contracted, num_batch, side) -> bool:
    """Return whether XLA turns an operand first: a left one sums over its last axes."""
    start = rank - len(contracted) if side == 0 else num_batch
    return sorted(contracted) != list(range(start, start + len(contracted)))
