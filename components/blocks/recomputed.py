"""Blocks whose inner state is computed again in the backward pass instead of being kept."""

import keras
from keras import ops

from atmorep_k.backend.replicas import is_random_state


def run_block(block, remat: bool, *inputs, training=False, **named):
    """Calls a block; with `remat`, where there will be a backward pass, by `recomputed`."""
    if remat and training:
        return recomputed(block, *inputs, training=training, **named)
    return block(*inputs, training=training, **named)


def recomputed(block, *inputs, training=False, **named):
    """Returns `block(*inputs, training=training, **named)`, keeping only the inputs.

    The backward pass runs the block once more (Chen et al. 2016, arXiv:1604.06174): a third of its
    operations again, for the memory of all that its layers keep. Both runs draw the same dropout:
    the states of random draws are values that go in and come out.

    Args:
        block: a built layer with one output.
        inputs: arrays, or None.
        training: whether dropout acts.
        named: arrays, dicts of arrays, or None.
    """
    weights, others = block.trainable_variables, block.non_trainable_variables
    drawn = [n for n, v in enumerate(others) if is_random_state(v)]
    # PyTorch assigns in place, and the second run needs the states of before the first.
    fixed = [ops.copy(v.value) if n in drawn else v.value for n, v in enumerate(others)]
    leaves = keras.tree.flatten((inputs, named))

    def run(values, arrays, fixed):
        rest = iter(arrays)
        filled = [None if leaf is None else next(rest) for leaf in leaves]
        inputs_, named_ = keras.tree.pack_sequence_as((inputs, named), filled)
        state = [*zip(weights, values, strict=True), *zip(others, fixed, strict=True)]
        with keras.StatelessScope(state_mapping=state) as scope:
            output = block(*inputs_, training=training, **named_)
        return output, [scope.get_current_value(others[n]) for n in drawn]

    backend = {"jax": _on_jax, "torch": _on_torch, "tensorflow": _on_tensorflow}
    output, after = backend[keras.backend.backend()](
        run, [w.value for w in weights], [leaf for leaf in leaves if leaf is not None], fixed
    )
    for number, state in zip(drawn, after, strict=True):
        others[number].assign(state)
    return output


def _on_jax(run, values, arrays, fixed):
    """Does what `jax.checkpoint` does, but for a tie of the second run to the gradient.

    XLA for CPUs drops the barriers that keep the two runs apart, and makes them one again.
    """
    import jax

    function = jax.custom_vjp(run)

    def backward(given, change):
        *given, fixed = given
        change = change[0]
        # 0, but only known when the gradient is: the second run cannot begin before.
        zero = jax.numpy.minimum(jax.numpy.abs(change[(0,) * change.ndim]), 0.0)
        tied = jax.tree.map(lambda x: x + zero.astype(x.dtype), given)
        gradients = jax.vjp(lambda *again: run(*again, fixed)[0], *tied)[1](change)
        return *gradients, None

    function.defvjp(lambda *given: (run(*given), given), backward)
    return function(values, arrays, fixed)


def _on_torch(run, values, arrays, fixed):
    from torch.utils.checkpoint import checkpoint

    return _inline(lambda f: lambda *given: checkpoint(f, *given, use_reentrant=False))(
        run, values, arrays, fixed
    )


def _on_tensorflow(run, values, arrays, fixed):
    import tensorflow as tf

    # As values, not variables: of these the backward pass could not tell which the block reads.
    values = [tf.convert_to_tensor(v) for v in values]
    return _inline(tf.recompute_grad)(run, values, arrays, fixed)


def _inline(checkpoint):
    """Returns the first run's states past `checkpoint`, which takes one output with gradients."""

    def function(run, values, arrays, fixed):
        states = []

        def output(*given):
            result, after = run(given[: len(values)], given[len(values) :], fixed)
            states.append(after)
            return result

        return checkpoint(output)(*values, *arrays), states[0]

    return function
