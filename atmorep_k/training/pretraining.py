"""Pretraining: a model, a dataset and a masking become a saved, scored model."""

import functools
import inspect
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import keras

from atmorep_k.backend.installed import versions
from atmorep_k.console import print_table
from atmorep_k.distribution import Engine, engine_for
from atmorep_k.errors import Interrupted, UserError, unknown
from atmorep_k.evaluation.held_out.scoring import Scoring, check_tasks
from atmorep_k.extension.source import ModelSource
from atmorep_k.figures import plots
from atmorep_k.files import write_whole
from atmorep_k.model import AtmoRep
from atmorep_k.protocols import Masking
from atmorep_k.registry import Component, component
from atmorep_k.runs.callback import RunCallback, telling
from atmorep_k.runs.checkpoints import Checkpoint, clean
from atmorep_k.runs.directory import RunDirectory, environment
from atmorep_k.training.batches import Batches
from atmorep_k.training.learning_rates import copied, with_factors
from atmorep_k.training.loop import Loop
from atmorep_k.training.profiling.profile import check_profile
from atmorep_k.training.schedule import TrainingSchedule
from atmorep_k.training.watch import figures
from atmorep_k.training.watch.watch import Watch


@component("task")
class Pretraining(Component):
    """Trains a model on masked windows of a dataset, saves it, scores it, draws the scores.

    Args:
        model: the model, not yet built, or what makes one of saved models.
        dataset: where windows come from.
        masking: what is masked of a window.
        loss: an ensemble loss.
        optimizer: a Keras optimiser.
        schedule: how long to train, on which batches, and when to validate and save; None: as
            `TrainingSchedule()`.
        adapters: low-rank changes to train in place of chosen kernels; None: train the kernels.
        learning_rates: pattern of paths of weights -> factor of the learning rate, see
            `atmorep_k.backend.weight_paths`.
        callbacks: further Keras callbacks, in all processes; a `RunCallback` in the main one only.
        watch: what to score during training; None: nothing.
        scoring: what to score at the end; None: nothing.
        mesh: the devices, a `Mesh`; None: one device.
        seed: of weights, windows and masks.
    """

    def __init__(
        self,
        model: AtmoRep | ModelSource,
        dataset: Any,
        masking: Masking,
        loss: keras.losses.Loss,
        optimizer: keras.optimizers.Optimizer,
        schedule: TrainingSchedule | None = None,
        adapters: Any = None,
        learning_rates: dict[str, float] | None = None,
        callbacks: Sequence[keras.callbacks.Callback] = (),
        watch: Watch | None = None,
        scoring: Scoring | None = None,
        mesh: Any = None,
        seed: int = 0,
    ):
        self.source: ModelSource | None = None
        if isinstance(model, ModelSource):
            self.source = model
        else:
            self.model = model
        self.dataset = dataset
        self.masking = masking
        self.loss = loss
        self.optimizer = optimizer
        self.schedule = schedule or TrainingSchedule()
        self.adapters = adapters
        self.learning_rates = learning_rates
        self.callbacks = list(callbacks)
        self.watch = watch
        self.scoring = scoring
        self.mesh = mesh
        self.seed = seed
        self._engine: Engine | None = None  # from `prepare` on

    @property
    def engine(self) -> Engine:
        """What runs the steps on the devices; known when the training is prepared."""
        assert self._engine is not None, "call `prepare` first"
        return self._engine

    @functools.cached_property
    def model(self) -> AtmoRep:
        """The model that is trained; made of saved ones where it comes from a source."""
        assert self.source is not None
        return self.source.architecture

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, serialised."""
        start = keras.saving.serialize_keras_object(self.source or self.model)
        return {**super().get_config(), "model": start}

    def batches(self) -> Batches:
        """Return what the training reads of its dataset, on this process."""
        part = self._engine.part if self._engine else (0, 1)
        schedule = self.schedule
        return Batches(self.dataset, self.masking, schedule.batch_size, self.seed, part)

    def variant(self, model: AtmoRep, **changes) -> "Pretraining":
        """Return a training of another model with the same settings, changed as asked."""
        names = inspect.signature(type(self)).parameters
        options = {name: getattr(self, name) for name in names if name != "model"}
        # An optimiser belongs to the weights that it has been built for.
        options["optimizer"] = copied(self.optimizer)
        return type(self)(model, **{**options, **changes})

    def prepare(self) -> None:
        """Open the data, builds and compiles the model; all checks happen here.

        Raises:
            UserError: if data and model do not fit.
        """
        if self.model.encode != "all" and not self.masking.hides_wholly:
            raise UserError(
                f"AtmoRep.encode = {self.model.encode!r} leaves masked tokens out of the encoder, "
                f"but {type(self.masking).__name__} only adds noise to some or coarsens them: set "
                f"its rate hidden = 1 and the others to 0."
            )
        if self.scoring:
            check_tasks(self.scoring.maskings, self.model.fields)
        for callback in self.callbacks:
            if isinstance(callback, RunCallback):
                callback.check()
        self._check_best(self.watch.names(self.model.fields) if self.watch else [])
        self.dataset.open(self.model.fields, self.model.normalizers)
        self._engine = self._started_engine()
        keras.utils.set_random_seed(self.seed)
        self.model.provenance |= {**self.dataset.provenance(), "versions": versions()}
        with self.engine.scope():
            self._build()

    def _check_best(self, watched: list[str]) -> None:
        schedule, best, allowed = self.schedule, self.schedule.best, ["val_loss", "loss", *watched]
        if best is None:
            return
        if best not in allowed:
            raise unknown("TrainingSchedule.best", best, allowed)
        if self.watch and best in watched and not schedule.ends_epoch_with(self.watch.every):
            raise UserError(
                f"no epoch of {schedule.steps_per_epoch} steps ends with {best!r} within "
                f"{schedule.steps} steps: choose a Watch.every that divides "
                f"TrainingSchedule.steps_per_epoch, not {self.watch.every}."
            )

    def _started_engine(self) -> Engine:
        engine = engine_for(self.mesh)
        engine.start()
        if self.mesh is not None:
            self.mesh.check_batch(self.schedule.batch_size, engine.size)
            engine.check(self.model, self.optimizer, self.mesh.rules(self.model, engine.size))
        return engine

    def _build(self) -> None:
        self.model.build()
        if self.source:
            self.source.start(self.model)
        # The weights of the source come first: adapters start as a change of 0 to them.
        if self.adapters:
            self.adapters.attach(self.model)
        weights = self.model.trainable_variables
        # A copy: the optimiser's step counter has to be made within the scope, too.
        optimizer = with_factors(copied(self.optimizer), self.learning_rates or {}, weights)
        self.model.compile(
            optimizer=optimizer,
            loss=self.loss,
            steps_per_execution=self.schedule.steps_per_execution,
        )
        # Slots must exist before the engine splits them.
        optimizer.build(weights)
        self.engine.distribute(self.model)

    def run(
        self, run: RunDirectory, config_text: str, resume: bool = False, profile: int = 0
    ) -> Path:
        """Train, or resume from the last checkpoint if it exists; then save and score.

        Args:
            run: where to write.
            config_text: the resolved configuration.
            resume: whether to resume from the last checkpoint.
            profile: number of steps to measure, see `Profile`.

        Returns:
            The path of the saved model.

        Raises:
            Interrupted: if a signal asked to stop; the run can be resumed.
        """
        if profile:
            check_profile(profile, self.schedule)
        self.prepare()
        if self.source and self.engine.is_main:
            for line in self.source.summary(self.model):
                click.echo(line)
        try:
            return self._run(run, config_text, resume, profile)
        except Interrupted:
            raise
        except BaseException:
            self.engine.abort()
            raise

    def _run(self, run: RunDirectory, config_text: str, resume: bool, profile: int) -> Path:
        batches = self.batches()
        loop = Loop(
            self.model,
            self.engine,
            batches,
            self.schedule,
            run,
            callbacks=self.callbacks,
            watch=self.watch,
            profile=profile,
        )
        checkpoint = run.latest_checkpoint() if resume else None
        seconds = 0.0
        if self.engine.is_main:
            if not resume:
                # Before the directory exists: unreadable data leave no empty run behind.
                batches.check()
                run.create(config_text)
            seconds = self._record(run, checkpoint)
        self.engine.barrier()
        if checkpoint:
            loop.resume(checkpoint, seconds)
        told = loop.run_callbacks if self.engine.is_main else []
        try:
            with telling(told, run, config_text, loop.start):
                self._carry_out(run, loop)
        except (UserError, OSError):
            # Without a checkpoint there is nothing to resume.
            if self.engine.is_main and not (run.latest_checkpoint() or run.model.exists()):
                run.remove()
            raise
        return run.model

    def _carry_out(self, run: RunDirectory, loop: Loop) -> None:
        try:
            seconds = loop.train()
        except Interrupted:
            self.engine.stop()  # as all processes do
            raise
        self.engine.collect(self.model)
        self.engine.stop()
        if self.engine.is_main:
            self._finish(run, {"training_seconds": round(seconds, 1)})

    def _record(self, run: RunDirectory, checkpoint: Checkpoint | None) -> float:
        """Cut off what came after the checkpoint; return the seconds that led to it."""
        clean(run.checkpoints)
        start = checkpoint.step if checkpoint else 0
        seconds = run.cut_history(start)
        if self.watch:
            run.cut_watch(start)
        run.write_record(
            **({"resumed_from_step": checkpoint.step} if checkpoint else environment()),
            versions=versions(),
            seed=self.seed,
            store=self.model.provenance,
            steps=self.schedule.steps,
            mesh=list(self.engine.size),
            processes=self.engine.num_processes,
            bytes_per_device={
                "weights": self.engine.held_bytes(self.model.weights),
                "optimizer": self.engine.held_bytes(self.model.optimizer.variables),
            },
        )
        return seconds

    def _finish(self, run: RunDirectory, timings: dict) -> None:
        # The optimiser's slots are twice the model's size and of no use to whoever predicts.
        self.model.optimizer = None
        if self.adapters:
            self.adapters.detach(self.model)
        write_whole(run.model, self.model.save)
        run.write_record(timings=timings)
        plots.draw_history(run.history, run.path / "plots")
        if self.watch:
            figures.draw_watched(run.watch, run.path / "plots")
        if self.scoring:
            begun = time.monotonic()
            scores = self.scoring.run(self.model, self.dataset)
            scores.write(run.path)
            timings["scoring_seconds"] = round(time.monotonic() - begun, 1)
            run.write_record(timings=timings)
            print_table(scores.table(), stderr=True)
        if self.source:
            self.source.conclude(self, run)
