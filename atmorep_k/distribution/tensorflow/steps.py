"""The steps that `fit` and `evaluate` run where TensorFlow's devices share the work.

Keras's own steps multiply the loss by the number of replicas, clip gradients before they are summed
over them, and decide within a condition whether to update weights or to accumulate further, where
TensorFlow lets no device wait for another.
"""

import functools
import itertools
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from atmorep_k.backend.internals import optimizers
from atmorep_k.backend.internals.keras import record_loss
from atmorep_k.errors import UserError

Step = Callable[[Any], dict]


def check_steps(optimizer: Any) -> None:
    """Raises a `UserError` for an optimiser that these steps do not know how to handle."""
    if optimizer.use_ema:
        raise UserError(
            f"TensorFlow keeps no moving average of weights where devices share samples or split "
            f"weights: leave {type(optimizer).__name__}.use_ema out, or choose Mesh.fields or one "
            f"device."
        )


def install(model: Any, compiled: Callable[[Step], Step], settle: Callable[[list, list], list]):
    """Lets a compiled model train and be evaluated with these steps, until it is compiled again.

    Args:
        model: whose `compute_loss` returns the loss of the whole batch.
        compiled: turns a step (one batch -> logs, on a device) into a function of what the data's
            iterator yields.
        settle: takes gradients and their weights; returns gradients of the whole batch.
    """

    def training(update):
        return compiled(lambda batch: _train(model, functools.partial(update, settle), batch))

    number = model.optimizer.gradient_accumulation_steps
    if number:
        train = _alternating(model.optimizer, training(_keep), training(_update_by_mean), number)
    else:
        train = training(_update)
    model.train_function = _repeated(model, train)
    model.test_function = _repeated(model, compiled(lambda batch: _test(model, batch)))


def _repeated(model, step):
    def function(iterator):
        logs = step(next(iterator))
        for batch in itertools.islice(iterator, model.steps_per_execution - 1):
            logs = step(batch)
        return logs

    return function


def _alternating(optimizer, keep, update, number):
    def step(batch):
        # Chosen in Python: two compiled steps in place of a condition in one.
        done = optimizers.steps_made(optimizer) + 1
        return keep(batch) if done % number else update(batch)

    return step


def _train(model, update, batch):
    inputs, targets, weights = batch
    with tf.GradientTape() as tape:
        predicted = model(inputs, training=True)
        loss = model.compute_loss(inputs, targets, predicted, weights, training=True)
    gradients = tape.gradient(loss, model.trainable_weights)
    pairs = zip(gradients, model.trainable_weights, strict=True)
    # Weights that the loss does not depend on have no gradient.
    reached = [(g, w) for g, w in pairs if g is not None]
    update(model.optimizer, [g for g, _ in reached], [w for _, w in reached])
    return _logs(model, loss)


def _test(model, batch):
    inputs, targets, weights = batch
    predicted = model(inputs, training=False)
    loss = model.compute_loss(inputs, targets, predicted, weights, training=False)
    return _logs(model, loss)


def _logs(model, loss):
    record_loss(model, loss)
    return model.get_metrics_result()


def _update(settle, optimizer, gradients, weights) -> None:
    optimizer.apply(settle(gradients, weights), weights)


def _keep(settle, optimizer, gradients, weights) -> None:
    held = optimizers.accumulators(optimizer, weights)
    optimizers.accumulate(optimizer, settle(gradients, weights), held)
    optimizers.count_step(optimizer)


def _update_by_mean(settle, optimizer, gradients, weights) -> None:
    """Updates the weights by the mean of kept gradients and these, and keeps zeros."""
    number = optimizer.gradient_accumulation_steps
    held = optimizers.accumulators(optimizer, weights)
    # Read before anything is added; adding the negative then leaves exactly 0.
    before = [tf.identity(slot.value) for slot in held]
    gradients = settle(gradients, weights)
    mean = [(g + h) / number for g, h in zip(gradients, before, strict=True)]
    optimizers.update(optimizer, mean, weights)
    optimizers.accumulate(optimizer, [-h for h in before], held)
    optimizers.count_step(optimizer)
