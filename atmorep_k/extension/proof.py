"""How an extension ends: the proof that nothing old changed, and what the new field gained."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

from atmorep_k.console import new_table, print_table
from atmorep_k.errors import Interrupted
from atmorep_k.files import write_whole
from atmorep_k.inference.batches import predict_batch
from atmorep_k.protocols import Masking, Model
from atmorep_k.registry import clone
from atmorep_k.runs.directory import RunDirectory
from atmorep_k.saved.fingerprints import differences

# Held-out windows whose predictions are compared.
_WINDOWS = 4


@dataclasses.dataclass(frozen=True)
class Proof:
    """What became of the fields that were there before.

    Args:
        changed: arrays of theirs in the old file that are not, byte for byte, in the new one.
        predictions: field -> `identical` and `change`: the root mean square of the difference of
            its predicted members, normalised values, between the two files; `compiled` where they
            are identical op by op, and the whole compiled network rounds otherwise.
    """

    changed: list[str]
    predictions: dict[str, dict[str, Any]]

    @property
    def holds(self) -> bool:
        """Whether all old weights are as they were."""
        return not self.changed

    def lines(self) -> list[str]:
        """Return the proof in a few lines."""
        weights = "byte for byte as in the old file"
        if self.changed:
            more = f" and {len(self.changed) - 1} more" if len(self.changed) > 1 else ""
            weights = f"NOT as in the old file: {self.changed[0]}{more}"
        lines = [f"proof    weights and statistics of the old fields: {weights}"]
        for field, found in self.predictions.items():
            said = "identical, bit for bit"
            if found["compiled"]:
                said += f" (op by op; compiled as a whole within {found['compiled']:.1g})"
            if not found["identical"]:
                said = f"changed by {found['change']:.3g} (root mean square, normalised values)"
            lines.append(f"proof    predictions of {field}: {said}")
        return lines


def prove(
    old: Path, new: Path, fields: Sequence[str], dataset: Any, masking: Masking, seed: int = 0
) -> Proof:
    """Compare the old fields of two saved models: their weights, and what they predict.

    Args:
        old: file of the model before.
        new: file of the model after.
        fields: names of the fields that were there before.
        dataset: opened for the fields of the new model.
        masking: what is masked in the windows that are predicted.
        seed: of the windows.
    """
    from atmorep_k.saved.loading import load_model

    samples = [dataset.window("validation", seed, i, masking) for i in range(_WINDOWS)]
    models = [load_model(path) for path in (old, new)]
    before, after = (_predict(model, samples) for model in models)
    compiled = _changes(before, after)
    if any(compiled.values()):
        # Compilers fuse one network otherwise than another; op by op nothing but weights counts.
        for model in models:
            model.run_eagerly = True
        before, after = (_predict(model, samples) for model in models)
    predictions = {
        name: {
            "identical": change == 0.0,
            "change": change,
            "compiled": 0.0 if change else compiled[name],
        }
        for name, change in _changes(before, after).items()
    }
    return Proof(differences(old, new, fields), predictions)


def _changes(before: dict[str, np.ndarray], after: dict[str, np.ndarray]) -> dict[str, float]:
    """Return the root mean square differences, 0 only where all is equal bit for bit."""
    return {n: float(np.sqrt(np.mean((after[n] - a).astype("f8") ** 2))) for n, a in before.items()}


def _predict(model: Model, samples: Sequence[Any]) -> dict[str, np.ndarray]:
    """Return the members of a model's fields; the samples may hold those of others too."""
    names = tuple(f"{field.name}/" for field in model.fields)
    own = [
        dataclasses.replace(s, inputs={n: a for n, a in s.inputs.items() if n.startswith(names)})
        for s in samples
    ]
    return predict_batch(model, own, len(own))


def conclude(source: Any, task: Any, run: RunDirectory) -> None:
    """Write and prints the proof and, where asked for, the comparison with the field alone.

    Args:
        source: the `ExtendedModel`.
        task: the training that has ended.
        run: its `RunDirectory`.
    """
    click.echo(f"cost     {run.step_seconds:.3g} s a step (median)")
    saved = source.saved[0]
    proof = prove(saved.path, run.model, saved.names, task.dataset, task.masking, task.seed)
    _write(run.path / "proof.json", dataclasses.asdict(proof))
    for line in proof.lines():
        click.echo(line)
    if source.compare and task.scoring:
        _compare(source, task, run)


def _write(path: Path, content: Any) -> None:
    text = json.dumps(content, indent=1) + "\n"
    write_whole(path, lambda partial: partial.write_text(text))
    click.echo(path)


def _compare(source: Any, task: Any, run: RunDirectory) -> None:
    """Train the new field alone for as long, and writes both scores side by side."""
    name, seconds = source.field.name, run.training_seconds
    click.echo(f"alone    {name} without the others, for the same {seconds / 60:.1f} minutes")
    alone = RunDirectory(run.path / "alone")
    alone.remove()
    # The other processes of a mesh have ended; and steps of one field are cheaper: time ends the
    # training, not their number.
    mesh = task.mesh if task.engine.num_processes == 1 else None
    schedule = clone(task.schedule, minutes=seconds / 60, steps=100 * task.schedule.steps)
    other = task.variant(source.alone(), schedule=schedule, mesh=mesh)
    try:
        other.run(alone, f"# {name} alone, with the settings of ../config.gin for the same time.\n")
    except Interrupted as stopped:
        message = f"stopped while {name} was training alone; a resumed run starts that part again."
        raise Interrupted(message, stopped.exit_code) from None
    rows = _rows(run.scores, alone.scores, name)
    _write(run.path / "comparison.json", rows)
    print_table(_table(name, rows))


def _rows(joint: Path, alone: Path, field: str) -> list[dict[str, Any]]:
    """Return, by task, the normalised mean square errors of a field in two files of scores."""
    found = [
        {
            record["task"]: record["value"]
            for record in json.loads(path.read_text())
            if (record["field"], record["level"], record["metric"], record["model"])
            == (field, "all", "normalised_mse", "ensemble")
            and "lead_time_hours" not in record
        }
        for path in (joint, alone)
    ]
    return [
        {
            "task": task,
            "joined": found[0][task],
            "alone": found[1][task],
            "change": found[0][task] / found[1][task] - 1,
        }
        for task in found[0]
    ]


def _table(field: str, rows: list[dict[str, Any]]):
    numbers = ("joined", "alone, same time", "change")
    table = new_table(f"Normalised MSE of {field} on held-out times", ("task",), numbers)
    for row in rows:
        figures = f"{row['joined']:.4f}", f"{row['alone']:.4f}", f"{100 * row['change']:+.1f} %"
        table.add_row(row["task"], *figures)
    return table
