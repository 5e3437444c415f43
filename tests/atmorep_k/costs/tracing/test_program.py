"""How much of a program is stored at once."""

from atmorep_k.costs.tracing.program import Operation, Program, Value


def chain(*kinds, nbytes=8):
    """Returns a program whose operations each read the result of the one before."""
    values = [Value(nbytes) for _ in range(len(kinds) + 1)]
    operations = [
        Operation(kind, [values[n]], [values[n + 1]], flops=1.0) for n, kind in enumerate(kinds)
    ]
    return Program(operations, values[:1], values[-1:])


def test_results_of_products_are_stored_until_they_are_read():
    assert chain("product", "product", "product", "product").peak_bytes() == 16
    assert chain("product").peak_bytes() == 0  # an output is not counted
    assert chain("product", "product").flops == 2


def test_what_is_fused_or_viewed_has_no_memory():
    assert chain("fused", "view", "fused", "kept").peak_bytes() == 0
    assert chain("kept", "fused", "fused", "kept").peak_bytes() == 8


def test_what_a_product_reads_is_stored():
    assert chain("fused", "view", "product").peak_bytes() == 8
    assert chain("fused", "fused", "fused", "product").peak_bytes() == 8


def test_what_is_read_again_at_the_end_is_held():
    start, states = Value(1), [Value(8) for _ in range(5)]
    forward = [Operation("product", [a], [b]) for a, b in zip([start, *states], states)]  # noqa: B905
    backward, gradient = [], states[-1]
    for state in reversed(states[:-1]):
        new = Value(8)
        backward.append(Operation("product", [gradient, state], [new]))
        gradient = new
    program = Program([*forward, *backward], [start], [gradient])
    # Five states, and the first gradient before the last state is gone.
    assert program.peak_bytes() == 48


def test_what_nobody_reads_is_not_run():
    program = chain("product", "product")
    large = Operation("product", program.inputs, [Value(10**6)])
    assert Program([large, *program.operations], program.inputs, program.outputs).peak_bytes() == 8
