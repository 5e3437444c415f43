"""The pieces of a training step, each by itself: what `train_step.py --pieces` prints.

A piece is a function of arrays; forward and backward are compiled together where the backend
compiles. `blocks` are whole blocks of encoder and decoder less their attention: norms, projections,
MLP, dropout. What is left of the step is its `rest`: embedding, gathering of masked tokens, Keras.
"""

import statistics

import numpy as np
from train_step import seconds


def piece_times(task, batch, repeats: int) -> dict[str, float]:
    """Returns piece -> median seconds of all cores; the model has one field, encodes all."""
    model = task.model
    pieces = {**_block_pieces(model, task.schedule.batch_size), **_ending_pieces(task, batch)}
    calls = {name: (count, _differentiated(f, x)) for name, (count, f, x) in pieces.items()}
    calls["optimiser"] = (1, _update(model))
    times = {name: [] for name in calls}
    for _ in range(repeats):
        for name, (_, call) in calls.items():
            times[name].append(seconds(call)[1])
    total = {name: calls[name][0] * statistics.median(t) for name, t in times.items()}
    attention = sum(t for name, t in total.items() if name.startswith("attention"))
    blocks = sum(t for name, t in total.items() if name.endswith("block")) - attention
    ending = {name: total[name] for name in ("tails", "loss", "optimiser")}
    return {"attention": attention, "blocks": blocks, **ending}


def _block_pieces(model, batch_size):
    """Returns name -> (how often it occurs, function, arrays)."""
    from atmorep_k.components.blocks.attention_heads import attend

    (field,) = model.fields
    encoder, decoder = model.part("encoder", field.name), model.part("decoder", field.name)
    tokens, dim = len(field.levels) * field.tokens_per_level, field.embed_dim
    x = _random(batch_size, tokens, dim)
    pieces = {
        "encoder block": (encoder.num_layers, encoder.blocks[0], [x]),
        "decoder block": (decoder.num_layers, decoder.blocks[0], [x, x]),
    }
    block = decoder.blocks[0]
    own, cross = block.num_heads - block.cross_heads, block.cross_heads
    uses = {encoder.blocks[0].num_heads: encoder.num_layers}
    for heads in (own, cross):
        uses[heads] = uses.get(heads, 0) + decoder.num_layers
    for heads, count in uses.items():
        shape = (batch_size, tokens, heads, dim // block.num_heads)
        pieces[f"attention of {heads}"] = (count, attend, [_random(*shape)] * 3)
    return pieces


def _ending_pieces(task, batch):
    (field,) = task.model.fields
    targets, weights = batch[1][field.name], batch[2][field.name]
    tail = task.model.part("tail", field.name)
    members = _random(*targets.shape[:3], tail.num_members, field.token_values)

    def loss(members):
        return task.loss(targets, members, weights)

    masked = _random(*targets.shape[:3], field.embed_dim)
    return {"tails": (1, tail, [masked]), "loss": (1, loss, [members])}


def _random(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype("float32")


def _differentiated(function, arrays):
    """Returns a call of forward and backward pass, with respect to arrays and weights."""
    import keras

    backend = {"jax": _on_jax, "torch": _on_torch, "tensorflow": _on_tensorflow}
    call = backend[keras.backend.backend()](function, arrays)
    call()
    return call


def _on_jax(function, arrays):
    import jax

    weights = list(getattr(function, "trainable_variables", ()))
    state = list(getattr(function, "non_trainable_variables", ()))

    def total(values, arrays):
        if not hasattr(function, "stateless_call"):
            return function(*arrays).sum()
        return function.stateless_call(values, [v.value for v in state], *arrays)[0].sum()

    step = jax.jit(jax.value_and_grad(total, argnums=(0, 1)))
    arguments = [w.value for w in weights], [jax.numpy.asarray(a) for a in arrays]
    return lambda: jax.block_until_ready(step(*arguments))


def _on_torch(function, arrays):
    import torch

    arrays = [torch.tensor(a, requires_grad=True) for a in arrays]
    weights = [w.value for w in getattr(function, "trainable_variables", ())]

    def step():
        for array in (*arrays, *weights):
            array.grad = None
        function(*arrays).sum().backward()

    return step


def _on_tensorflow(function, arrays):
    import tensorflow as tf

    weights = [w.value for w in getattr(function, "trainable_variables", ())]

    @tf.function(jit_compile=True)
    def step(*arrays):
        with tf.GradientTape() as tape:
            tape.watch(arrays)
            total = tf.reduce_sum(function(*arrays))
        return tape.gradient(total, [*arrays, *weights])

    arrays = [tf.constant(a) for a in arrays]
    return lambda: step(*arrays)[0].numpy()


def _update(model):
    """Returns a call of the optimiser with gradients of ones."""
    import keras

    optimizer, weights = model.optimizer, model.trainable_variables
    gradients = [keras.ops.ones(w.shape) for w in weights]
    if keras.backend.backend() == "torch":
        return lambda: optimizer.apply(gradients, weights)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.function(lambda: optimizer.apply(gradients, weights), jit_compile=True)
    import jax

    slots = [v.value for v in optimizer.variables]
    step = jax.jit(optimizer.stateless_apply)
    values = [w.value for w in weights]
    return lambda: jax.block_until_ready(step(slots, gradients, values))
