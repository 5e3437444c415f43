"""Error and spread that a short training reaches with different losses, from the same seed.

    python benchmarks/losses.py [--steps 400]

Trains gin/pretrain_field.gin with each loss and prints the scores of the masked task on held-out
times, linear interpolation in time beside them.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

LOSSES = {
    "CRPS": ["AlmostFairKernelCRPS.alpha=0.0"],
    "almost fair CRPS, alpha 0.95": ["AlmostFairKernelCRPS.alpha=0.95"],
    "Gaussian CRPS": ["Pretraining.loss=@GaussianCRPS()"],
    "ensemble MSE + statistical": [
        "Pretraining.loss=@WeightedSum()",
        "WeightedSum.losses=[@EnsembleMSE(), @StatisticalLoss()]",
        "WeightedSum.weights=[1.0, 1.0]",
    ],
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=400)
    steps = parser.parse_args().steps
    print(f"{'loss':<30}{'normalised MSE':>15}{'spread/skill':>14}")
    for number, (name, overrides) in enumerate(LOSSES.items()):
        records = train(overrides, steps)
        if not number:
            print(f"{'(linear interpolation)':<30}{records['linear_interpolation'][0]:>15.3f}")
        error, ratio = records["ensemble"]
        print(f"{name:<30}{error:>15.3f}{ratio:>14.2f}", flush=True)


def train(overrides: list[str], steps: int) -> dict[str, tuple[float, float | None]]:
    """Returns model -> (normalised MSE, spread/skill) of the masked task over all levels."""
    values = [f"STEPS={steps}", "Scoring.maskings={'masked': @scored/RandomTokens()}", *overrides]
    with tempfile.TemporaryDirectory() as directory:
        run = Path(directory) / "run"
        command = [sys.executable, "-c", "from atmorep_k.cli import main; main()", "run"]
        options = [word for value in values for word in ("--set", value)]
        subprocess.run(
            [*command, "pretrain_field.gin", *options, "--output", str(run)],
            check=True,
            capture_output=True,
        )
        records = json.loads((run / "scores.json").read_text())
    whole = [r for r in records if r["level"] == "all"]
    found = {(r["model"], r["metric"]): r["value"] for r in whole}
    return {
        model: (found[model, "normalised_mse"], found.get((model, "spread_skill")))
        for model in ("ensemble", "linear_interpolation")
    }


if __name__ == "__main__":
    main()
