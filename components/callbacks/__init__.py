"""Components of kind callback: what else happens between the steps of a training."""

from atmorep_k.components.callbacks.mlflow_logger import MLflowLogger
from atmorep_k.components.callbacks.run_logger import RunLogger
from atmorep_k.components.callbacks.wandb_logger import WandbLogger

__all__ = ["MLflowLogger", "RunLogger", "WandbLogger"]
