"""A saved model opened for predicting."""

from pathlib import Path
from typing import TYPE_CHECKING

from atmorep_k.saved.file import SavedFile
from atmorep_k.saved.missing_plugins import check_components

if TYPE_CHECKING:
    from atmorep_k.model import AtmoRep


def load_model(path: str | Path) -> "AtmoRep":
    """Open a saved model on whatever backend Keras runs on, ready to predict.

    Args:
        path: a `.keras` file, or the directory of a run.

    Raises:
        UserError: if the file is not a model of this package, or it holds a component of a
            plug-in that is not installed.

    Example:
        >>> import atmorep_k
        >>> model = atmorep_k.load_model("runs/pretrain_field")  # doctest: +SKIP
    """
    import keras

    with SavedFile(path) as saved:
        path = saved.path
    check_components(path)
    return keras.saving.load_model(path, compile=False)
