"""How long a dry run of a forecast takes on a model of many weights, and what hashing would add.

    python benchmarks/open_model.py --embed-dim 1536

The model is untrained. `describe` reads and hashes every weight: a way of opening that called it
(as this package did once) takes that much longer, which is measured beside the dry run.
"""

import argparse
import tempfile
import time
from pathlib import Path

from click.testing import CliRunner

from atmorep_k import registry
from atmorep_k.cli import main as command
from atmorep_k.components.datasets import WindowDataset
from atmorep_k.config import load
from atmorep_k.saved.description import describe


def saved(folder: Path, embed_dim: int, layers: int) -> tuple[Path, int]:
    """Returns the file of an untrained model with statistics of the demo, and its weights."""
    registry.discover()
    gin = Path(__file__).parents[1] / "gin" / "pretrain_field.gin"
    settings = {
        "EMBED_DIM": embed_dim,
        "DenseEncoder.num_layers": layers,
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
    parser.add_argument("--embed-dim", type=int, default=1536)
    parser.add_argument("--layers", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path, weights = saved(Path(folder), options.embed_dim, options.layers)
        print(f"{weights / 1e6:.0f} million weights, {path.stat().st_size / 1e6:.0f} MB")
        words = ["forecast", str(path), "--store", "demo", "--time", "2000-01-19T06"]
        words += ["--output", "forecast.nc", "--dry-run"]

        def dry_run():
            result = CliRunner().invoke(command, words)
            assert result.exit_code == 0, result.output

        for number in range(3):
            dry, hashed = seconds(dry_run), seconds(lambda: describe(path))
            print(f"{number}: dry run {dry:.2f} s; describe {hashed:.2f} s")


if __name__ == "__main__":
    main()
