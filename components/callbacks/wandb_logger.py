"""Runs kept by Weights & Biases."""

from typing import Literal

from atmorep_k.components.callbacks.run_logger import RunLogger
from atmorep_k.errors import missing_extra
from atmorep_k.registry import component


@component("callback")
class WandbLogger(RunLogger):
    """Logs a run with Weights & Biases: configuration, losses, scores, files, pictures.

    Args:
        project: name of the project that the run belongs to.
        entity: user or team; None: the one that is logged in.
        run_name: name of the run; None: the name of its directory.
        mode: `offline` writes into `wandb/` of the run, for `wandb sync`; None: what
            `WANDB_MODE` says, else `online`.
    """

    def __init__(
        self,
        project: str = "atmorep_k",
        entity: str | None = None,
        run_name: str | None = None,
        mode: Literal["online", "offline"] | None = None,
    ):
        super().__init__()
        self.project = project
        self.entity = entity
        self.run_name = run_name
        self.mode = mode

    def check(self):
        """Raise a `UserError` if Weights & Biases is not installed."""
        _library()

    def open(self, known_as, path, settings):
        """Make a run with its configuration, or goes on with that which there is."""
        self._logged = _library().init(
            project=self.project,
            entity=self.entity,
            name=self.run_name or path.absolute().name,
            id=known_as,
            resume="allow",
            dir=str(path),
            mode=self.mode,
            config=settings,
        )
        # Its own count of steps cannot go back, as that of watched scores does behind the losses.
        self._logged.define_metric("step")
        self._logged.define_metric("*", step_metric="step")
        return self._logged.id

    def log(self, step, values):
        """Send values of a step."""
        self._logged.log({**values, "step": step})

    def keep(self, files, pictures):
        """Send files, and pictures to look at."""
        for path in files:
            self._logged.save(str(path), base_path=str(path.parent), policy="now")
        images = {f"plots/{path.stem}": _library().Image(str(path)) for path in pictures}
        self._logged.log({**images, "step": self._sent})

    def close(self, finished):
        """Reports how the run ended, and waits until all is sent."""
        self._logged.finish(exit_code=0 if finished else 1)


def _library():
    try:
        import wandb
    except ImportError as error:
        raise missing_extra("wandb, which WandbLogger needs,", "wandb") from error
    return wandb
