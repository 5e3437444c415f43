"""Samples over devices and processes on TensorFlow, by `tf.distribute`."""

import contextlib
import functools
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from atmorep_k.backend import replicas
from atmorep_k.backend.internals.keras import put_value, renew
from atmorep_k.backend.internals.optimizers import take_sums
from atmorep_k.backend.replicas import SEED_STEP, is_random_state
from atmorep_k.distribution.engine import Block
from atmorep_k.distribution.launch import BROKEN
from atmorep_k.distribution.tensorflow import steps, workers
from atmorep_k.distribution.tensorflow.engine import TensorFlowEngine
from atmorep_k.errors import UserError


class TensorFlowReplicas(TensorFlowEngine):
    """Each device has the whole model and some rows of each batch.

    Of one process the replicas are its devices (MirroredStrategy), of several the devices of all
    (MultiWorkerMirroredStrategy).
    """

    _distributed = False

    def start(self) -> None:
        """Finds devices, or joins the other processes."""
        cluster = workers.resolver()
        if cluster is None:
            super().start()
            self._strategy = tf.distribute.MirroredStrategy(self._devices)
            return
        self._strategy = workers.strategy()
        self.process, self.num_processes = self.part = workers.workers_place(cluster)
        devices = self._strategy.num_replicas_in_sync
        self.size = self.mesh.resolved(devices, self.num_processes)

    def check(self, model: Any, optimizer: Any, rules: dict[str, tuple]) -> None:
        """Also refuses to split weights."""
        super().check(model, optimizer, rules)
        steps.check_steps(optimizer)
        for path in rules:
            raise UserError(
                f"Mesh.layout splits {path!r} over the axis of samples, {self.mesh.axes[0]!r}; on "
                f"TensorFlow weights are split over {self.mesh.axes[1]!r}, as by Mesh.shape = "
                f"(1, {self.size[0]})."
            )

    @contextlib.contextmanager
    def scope(self) -> Iterator[None]:
        """Makes variables on all replicas, and lets losses be those of the whole batch."""
        # In the scope of the strategy, `fit` would distribute what it is fed. That takes iterators
        # which wait for seconds when they are deleted; the steps find their rows themselves.
        distributing = contextlib.nullcontext() if self._distributed else self._strategy.scope()
        with _told(), distributing, replicas.summing(self._strategy.num_replicas_in_sync, _sum):
            yield

    def distribute(self, model: Any) -> None:
        """Puts on all replicas what was made before the scope; takes over the steps."""
        optimizer = model.optimizer
        for variable in (*model.variables, *model.metrics_variables, *optimizer.variables):
            if is_random_state(variable):
                self._spread_seed(variable, variable.numpy())
            elif not isinstance(variable.value, tf.distribute.DistributedValues):
                renew(variable, variable.numpy())
        take_sums(optimizer)
        self._distributed = True
        steps.install(model, self._compiled, lambda gradients, weights: _sum(gradients))

    def _spread_seed(self, variable, value: np.ndarray) -> None:
        """Let each replica draw its own random numbers, the first those of a single device."""
        with self._strategy.scope():
            # ON_READ lets each replica hold a value of its own; outside of a step it is the first.
            made = tf.Variable(
                value,
                trainable=False,
                synchronization=tf.VariableSynchronization.ON_READ,
                aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
            )
            put_value(variable, made)
        here = self._strategy.experimental_local_results(variable.value)
        for number, own in enumerate(here, self.process * len(here)):
            own.assign(value + np.array([number * SEED_STEP, 0], value.dtype))

    def _compiled(self, step):
        function = tf.function(lambda rows: self._strategy.run(step, (rows,)), autograph=False)

        def run(batch):
            logs = function(self._rows(batch))
            return {name: self._first(value) for name, value in logs.items()}

        return run

    def _rows(self, batch):
        """Returns the rows of each replica of this process, in order."""
        number = self._strategy.num_replicas_in_sync // self.num_processes
        # Replicas are numbered over all processes, but this one reads only its own rows.
        first = self.process * number

        def own(context):
            place = int(context.replica_id_in_sync_group) - first
            return tf.nest.map_structure(lambda array: _part(array, place, number), batch)

        return self._strategy.experimental_distribute_values_from_function(own)

    def _first(self, value):
        # Logs are of the whole batch on every replica.
        return self._strategy.experimental_local_results(value)[0]

    def feed(self, batches: Iterable) -> Iterable:
        """Return a dataset without autotuning.

        Keras's dataset tunes itself, and deleting it waits for the tuner, which sleeps twice as
        long each time: ten seconds and more by the time a step has been traced.
        """
        first, again = _peeked(batches)
        spec = tf.nest.map_structure(lambda a: tf.TensorSpec(a.shape, a.dtype), first)
        options = tf.data.Options()
        options.autotune.enabled = False
        dataset = tf.data.Dataset.from_generator(again, output_signature=spec)
        return dataset.prefetch(2).with_options(options)

    def any(self, flag: bool) -> bool:
        """Returns whether the flag is set in any process."""
        return flag if self.num_processes == 1 else self._total(float(flag)) > 0

    def barrier(self) -> None:
        """Waits for all processes."""
        if self.num_processes > 1:
            self._total(0.0)

    def _total(self, value: float) -> float:
        with _told():
            return float(self._first(self._added(tf.constant(value))))

    @functools.cached_property
    def _added(self):
        def added(value):
            # A sum is made where its value is, which an argument of a function does not tell.
            return _sum(tf.identity(value))

        return tf.function(lambda value: self._strategy.run(added, (value,)), autograph=False)

    def pieces(self, variable: Any) -> list[tuple[Block, np.ndarray]]:
        """Returns the whole value in the main process, which has what all have."""
        return super().pieces(variable) if self.is_main else []

    def fill(self, variable: Any, read: Callable[[Block], np.ndarray]) -> None:
        """Sets the variable on all replicas."""
        with self._strategy.scope():
            super().fill(variable, read)
        if is_random_state(variable):
            self._spread_seed(variable, variable.numpy())

    def held_bytes(self, variables: Iterable) -> int:
        """Returns the bytes of all, as each device has all."""
        return sum(self._whole(variable).nbytes for variable in variables)


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Turn the error of a lost process, noticed within two minutes, into a `UserError`."""
    try:
        yield
    except (tf.errors.UnavailableError, tf.errors.AbortedError) as error:
        raise UserError(BROKEN) from error


def _sum(value):
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, value)


def _part(array, place: int, number: int):
    return array[place * len(array) // number : (place + 1) * len(array) // number]


def _peeked(batches) -> tuple[Any, Callable[[], Iterable]]:
    """Returns the first batch, and what returns all: of a `PyDataset` each time it is asked."""
    if isinstance(batches, keras.utils.PyDataset):
        return batches[0], lambda: (batches[n] for n in range(len(batches)))
    first = next(batches)
    return first, lambda: chain([first], batches)
