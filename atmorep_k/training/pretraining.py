"""Pretraining: a model, a dataset and a masking become a saved, scored model."""

import functools
import inspect
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import keras

from atmorep_k.backend.versions import versions
from atmorep_k.console import print_table
from atmorep_k.distribution import Engine, engine_for
from atmorep_k.errors import Interrupted, UserError, unknown
from atmorep_k.evaluation.held_out.scoring import Scoring, check_tasks
from atmorep_k.extension.source import ModelSource
from atmorep_k.figures import plots
from atmorep_k.files import write_whole
from atmorep_k.model import AtmoRep
from atmorep_k.registry import Component, component
from atmorep_k.runs.callback import RunCallback, telling
from atmorep_k.runs.checkpoints import clean
from atmorep_k.runs.directory import RunDirectory, environment
from atmorep_k.training.learning_rates import copied, with_factors
from atmorep_k.training.loop import Loop
from atmorep_k.training.profiling.profile import check_profile
from atmorep_k.training.watch import figures
from atmorep_k.training.watch.watch import Watch

_POSITIVE = (
    "steps",
    "batch_size",
    "steps_per_epoch",
    "steps_per_execution",
    "checkpoint_every",
    "keep_checkpoints",
)


@component("task")
class Pretraining(Component):
    """Trains a model on masked windows of a dataset, saves it, scores it, draws the scores.

    Args:
        model: the model, not yet built, or what makes one of saved models.
        dataset: where windows come from.
        masking: what is hidden of a window.
        loss: an ensemble loss.
        optimizer: a Keras optimiser.
        steps: training steps in total.
        minutes: time after which the training ends, even if there are steps left; None: never.
        batch_size: samples of a step.
        steps_per_epoch: steps between validations.
        steps_per_execution: steps between two looks at them (history, progress, signals); 1 on
            PyTorch.
        checkpoint_every: steps between checkpoints.
        keep_checkpoints: how many of the last checkpoints are kept.
        best: the score by which one more checkpoint is kept, which becomes the model at the end:
            `val_loss`, `loss` or one that is watched, `<task>.<field>.<metric>`, at ends of epochs.
            None, or where no epoch ends with it: the model is what the last step left.
        validation_batches: held-out batches whose loss is taken after each epoch.
        adapters: low-rank changes to train in place of chosen kernels; None: none.
        learning_rates: pattern of paths of weights -> factor of the learning rate, see
            `atmorep_k.backend.weight_paths`.
        callbacks: further Keras callbacks, in all processes; a `RunCallback` in the main one only.
        watch: what to score on the way, a `Watch`; nothing where None.
        scoring: what to score at the end; nothing where None.
        mesh: the devices, a `Mesh`; one device where None.
        seed: of weights, windows and masks.

    Raises:
        UserError: where a number is not positive, or steps per execution do not divide others.
    """

    def __init__(
        self,
        model: AtmoRep | ModelSource,
        dataset: Any,
        masking: Any,
        loss: keras.losses.Loss,
        optimizer: keras.optimizers.Optimizer,
        steps: int = 1000,
        minutes: float | None = None,
        batch_size: int = 16,
        steps_per_epoch: int = 100,
        steps_per_execution: int = 1,
        checkpoint_every: int = 100,
        keep_checkpoints: int = 2,
        best: str | None = None,
        validation_batches: int = 4,
        adapters: Any = None,
        learning_rates: dict[str, float] | None = None,
        callbacks: Sequence[keras.callbacks.Callback] = (),
        watch: Watch | None = None,
        scoring: Scoring | None = None,
        mesh: Any = None,
        seed: int = 0,
    ):
        self.source = model if isinstance(model, ModelSource) else None
        if self.source is None:
            self.model = model
        self.dataset = dataset
        self.masking = masking
        self.loss = loss
        self.optimizer = optimizer
        self.steps = steps
        self.minutes = minutes
        self.batch_size = batch_size
        self.steps_per_epoch = steps_per_epoch
        self.steps_per_execution = steps_per_execution
        self.checkpoint_every = checkpoint_every
        self.keep_checkpoints = keep_checkpoints
        self.best = best
        self.validation_batches = validation_batches
        self.adapters = adapters
        self.learning_rates = learning_rates
        self.callbacks = list(callbacks)
        self.watch = watch
        self.scoring = scoring
        self.mesh = mesh
        self.seed = seed
        for name in _POSITIVE:
            if getattr(self, name) < 1:
                raise UserError(
                    f"Pretraining.{name} must be at least 1, not {getattr(self, name)}."
                )
        self._check_execution()
        if best == "val_loss" and not validation_batches:
            raise UserError(
                "Pretraining.best = 'val_loss' needs held-out batches: set "
                "Pretraining.validation_batches above 0, or best = 'loss'."
            )

    def _check_execution(self) -> None:
        number = self.steps_per_execution
        if number > 1 and keras.backend.backend() == "torch":
            raise UserError(
                f"PyTorch runs each step by itself: leave Pretraining.steps_per_execution = 1, not "
                f"{number}, or set KERAS_BACKEND to jax or tensorflow."
            )
        for name in ("steps_per_epoch", "checkpoint_every"):
            if getattr(self, name) % number:
                raise UserError(
                    f"Pretraining.{name} = {getattr(self, name)} is no multiple of "
                    f"Pretraining.steps_per_execution = {number}."
                )

    @functools.cached_property
    def model(self) -> AtmoRep:
        """The model that is trained; made of saved ones where it comes from a source."""
        return self.source.architecture

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments, serialised."""
        start = keras.saving.serialize_keras_object(self.source or self.model)
        return {**super().get_config(), "model": start}

    def variant(self, model: AtmoRep, **changes) -> "Pretraining":
        """Returns a training of another model with the same settings, changed as asked."""
        names = inspect.signature(type(self)).parameters
        options = {name: getattr(self, name) for name in names if name != "model"}
        # An optimiser belongs to the weights that it has been built for.
        options["optimizer"] = copied(self.optimizer)
        return type(self)(model, **{**options, **changes})

    def prepare(self) -> None:
        """Opens the data, builds and compiles the model; all checks happen here.

        Raises:
            UserError: where data and model do not fit.
        """
        if self.model.encode != "all" and not self.masking.hides_wholly:
            raise UserError(
                f"AtmoRep.encode = {self.model.encode!r} leaves masked tokens out of the encoder, "
                f"but {type(self.masking).__name__} only noises or coarsens some: set its rate "
                f"hidden = 1 and the others to 0."
            )
        if self.scoring:
            check_tasks(self.scoring.maskings, self.model.fields)
        for callback in self.callbacks:
            if isinstance(callback, RunCallback):
                callback.check()
        self._check_best(self.watch.names(self.model.fields) if self.watch else [])
        self.dataset.open(self.model.fields, self.model.normalizers)
        self.engine = self._started_engine()
        keras.utils.set_random_seed(self.seed)
        self.model.provenance |= {**self.dataset.provenance(), "versions": versions()}
        with self.engine.scope():
            self._build()

    def _check_best(self, watched: list[str]) -> None:
        if self.best not in (allowed := [None, "val_loss", "loss", *watched]):
            raise unknown("Pretraining.best", self.best, allowed[1:])
        if self.best in watched and not _meet(self.watch.every, self.steps_per_epoch, self.steps):
            raise UserError(
                f"no epoch of {self.steps_per_epoch} steps ends with {self.best!r} within "
                f"{self.steps} steps: choose Watch.every so that it divides "
                f"Pretraining.steps_per_epoch, not {self.watch.every}."
            )

    def _started_engine(self) -> Engine:
        engine = engine_for(self.mesh)
        engine.start()
        if self.mesh is not None:
            self.mesh.check_batch(self.batch_size, engine.size)
            engine.check(self.model, self.optimizer, self.mesh.rules(self.model, engine.size))
        return engine

    def _build(self) -> None:
        self.model.build()
        if self.source:
            self.source.start(self.model)
        if self.adapters:
            self.adapters.attach(self.model)
        weights = self.model.trainable_variables
        # A copy: the optimiser's step counter has to be made within the scope, too.
        optimizer = with_factors(copied(self.optimizer), self.learning_rates or {}, weights)
        self.model.compile(
            optimizer=optimizer, loss=self.loss, steps_per_execution=self.steps_per_execution
        )
        optimizer.build(weights)
        self.engine.distribute(self.model)

    def run(
        self, run: RunDirectory, config_text: str, resume: bool = False, profile: int = 0
    ) -> Path:
        """Trains (resumed: on from the last checkpoint, if there is one), saves and scores.

        Args:
            run: where to write.
            config_text: the resolved configuration.
            resume: whether to go on with what is there.
            profile: number of steps to measure, see `Profile`.

        Returns:
            The path of the saved model.

        Raises:
            Interrupted: where a signal asked to stop; the run can be resumed.
        """
        if profile:
            check_profile(profile, self.steps, self.steps_per_epoch)
        self.prepare()
        if self.source and self.engine.is_main:
            for line in self.source.summary(self.model):
                click.echo(line)
        try:
            return self._run(run, config_text, resume, profile)
        except Interrupted:
            self.engine.stop()  # as all processes do
            raise
        except BaseException:
            self.engine.abort()
            raise

    def _run(self, run, config_text, resume, profile) -> Path:
        loop = Loop(self, run, profile)
        checkpoint = run.latest_checkpoint() if resume else None
        if self.engine.is_main:
            if not resume:
                loop.first_batch()
                run.create(config_text)
            self._record(run, loop, checkpoint)
        self.engine.barrier()
        loop.resume(checkpoint)
        told = loop.run_callbacks if self.engine.is_main else []
        try:
            with telling(told, run, config_text, loop.start):
                self._carry_out(run, loop)
        except (UserError, OSError):
            if self.engine.is_main and not (run.latest_checkpoint() or run.model.exists()):
                run.remove()
            raise
        return run.model

    def _carry_out(self, run, loop) -> None:
        seconds = loop.train()
        self.engine.collect(self.model)
        self.engine.stop()
        if self.engine.is_main:
            self._finish(run, {"training_seconds": round(seconds, 1)})

    def _record(self, run, loop, checkpoint) -> None:
        clean(run.checkpoints)
        loop.seconds = run.cut_history(checkpoint.step if checkpoint else 0)
        if self.watch:
            run.cut_watch(checkpoint.step if checkpoint else 0)
        run.write_record(
            **({"resumed_from_step": checkpoint.step} if checkpoint else environment()),
            versions=versions(),
            seed=self.seed,
            store=self.model.provenance,
            steps=self.steps,
            mesh=list(self.engine.size),
            processes=self.engine.num_processes,
            bytes_per_device={
                "weights": self.engine.held_bytes(self.model.weights),
                "optimizer": self.engine.held_bytes(self.model.optimizer.variables),
            },
        )

    def _finish(self, run: RunDirectory, timings: dict) -> None:
        # The optimiser's slots are twice the model's size and of no use to whoever predicts.
        self.model.optimizer = None
        if self.adapters:
            self.adapters.detach(self.model)
        write_whole(run.model, self.model.save)
        run.write_record(timings=timings)
        plots.draw_history(run.history, run.path / "plots")
        if self.watch:
            figures.draw(run.watch, run.path / "plots")
        if self.scoring:
            begun = time.monotonic()
            scores = self.scoring.run(self.model, self.dataset)
            scores.write(run.path)
            timings["scoring_seconds"] = round(time.monotonic() - begun, 1)
            run.write_record(timings=timings)
            print_table(scores.table(), stderr=True)
        if self.source:
            self.source.conclude(self, run)


def _meet(every: int, per_epoch: int, steps: int) -> bool:
    """Returns whether an epoch ends within so many steps with a step that is watched."""
    return steps >= math.lcm(every, per_epoch) or steps % every == 0
