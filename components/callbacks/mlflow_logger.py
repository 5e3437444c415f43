"""Runs kept by MLflow."""

import time

from atmorep_k.components.callbacks.run_logger import RunLogger
from atmorep_k.errors import UserError, missing_extra
from atmorep_k.registry import component

# What MLflow takes at once, and the longest value of a parameter.
_MOST_PARAMETERS, _MOST_METRICS, _MOST_CHARACTERS = 100, 1000, 6000


@component("callback")
class MLflowLogger(RunLogger):
    """Logs a run with MLflow: configuration, losses, watched and final scores, files, pictures.

    Args:
        experiment: name of the experiment that the run belongs to; created if it does not exist.
        tracking_uri: the server, or a place like `sqlite:///runs.db`; None: MLflow's own choice,
            which `MLFLOW_TRACKING_URI` sets.
        run_name: name of the run; None: the name of its directory.
    """

    def __init__(
        self,
        experiment: str = "atmorep_k",
        tracking_uri: str | None = None,
        run_name: str | None = None,
    ):
        super().__init__()
        self.experiment = experiment
        self.tracking_uri = tracking_uri
        self.run_name = run_name

    def check(self):
        """Raise a `UserError` if MLflow is not installed."""
        _library()

    def open(self, known_as, path, settings):
        """Make a run with its parameters, or opens that which there is."""
        mlflow = _library()
        try:
            self._client = mlflow.MlflowClient(tracking_uri=self.tracking_uri)
            if not known_as:
                return self._new(self.run_name or path.absolute().name, settings)
            self._client.update_run(known_as, status="RUNNING")
            return known_as
        except mlflow.exceptions.MlflowException as error:
            where = self.tracking_uri or mlflow.get_tracking_uri()
            raise UserError(f"MLflow refused the run at {where}: {error}") from error

    def _new(self, name: str, settings: dict[str, str]) -> str:
        client, parameter = self._client, _library().entities.Param
        experiment = client.get_experiment_by_name(self.experiment)
        if experiment:
            number = experiment.experiment_id
        else:
            number = client.create_experiment(self.experiment)
        made = client.create_run(number, run_name=name).info.run_id
        found = [parameter(name, value[:_MOST_CHARACTERS]) for name, value in settings.items()]
        for part in _parts(found, _MOST_PARAMETERS):
            client.log_batch(made, params=part)
        return made

    def log(self, step, values):
        """Send metrics of a step."""
        metric, now = _library().entities.Metric, int(1000 * time.time())
        found = [metric(name, value, now, step) for name, value in values.items()]
        for part in _parts(found, _MOST_METRICS):
            self._client.log_batch(self._id, metrics=part)

    def keep(self, files, pictures):
        """Send artifacts; pictures into `plots`."""
        for path in files:
            self._client.log_artifact(self._id, str(path))
        for path in pictures:
            self._client.log_artifact(self._id, str(path), "plots")

    def close(self, finished):
        """Reports how the run ended."""
        self._client.set_terminated(self._id, "FINISHED" if finished else "KILLED")


def _library():
    try:
        import mlflow
    except ImportError as error:
        raise missing_extra("MLflow, which MLflowLogger needs,", "mlflow") from error
    return mlflow


def _parts(items: list, most: int) -> list[list]:
    return [items[first : first + most] for first in range(0, len(items), most)]
