"""How long a model of many weights takes to open for a forecast, and what hashing it adds.

    python benchmarks/open_model.py --embed-dim 1728

The model is untrained. `describe` reads and hashes every weight: a way of opening that calls it
takes that much longer, which is measured beside.
"""

import argparse
import tempfile
import time
from pathlib import Path

from atmorep_k import registry
from atmorep_k.components.datasets import WindowDataset
from atmorep_k.config import load
from atmorep_k.inference.opening import opened_model
from atmorep_k.saved.description import describe_model


def saved(folder: Path, embed_dim: int, layers: int) -> tuple[Path, int]:
    """Returns the file of an untrained model with statistics of the demo, and its weights."""
    registry.discover()
    gin = Path(__file__).parents[1] / "gin" / "pretrain_field.gin"
    settings = {
        "EMBED_DIM": embed_dim,
        "Encoder.num_layers": layers,
        "UNetDecoder.num_layers": layers,
    }
    task = load([gin], [f"{name}={value}" for name, value in settings.items()]).build()
    WindowDataset("demo").open(task.model.fields, task.model.normalizers)
    task.model.build()
    task.model.save(folder / "model.keras")
    return folder / "model.keras", task.model.count_params()


def seconds(function) -> float:
    """Returns the wall-clock time of a call."""
    begin = time.perf_counter()
    function()
    return time.perf_counter() - begin


def main() -> None:
    """Measures, and prints a line each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--embed-dim", type=int, default=1728)
    parser.add_argument("--layers", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path, weights = saved(Path(folder), options.embed_dim, options.layers)
        print(f"{weights / 1e6:.0f} million weights, {path.stat().st_size / 1e6:.0f} MB")

        def opening():
            opened_model(str(path), "demo", None)

        for _ in range(3):
            plain, hashed = (
                seconds(opening),
                seconds(opening) + seconds(lambda: describe_model(path)),
            )
            print(f"open {plain:.2f} s; describe, then open {hashed:.2f} s", flush=True)


if __name__ == "__main__":
    main()
