"""Fixtures for tests that register components of their own."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import pytest

from atmorep_k import registry
from atmorep_k.errors import UserError
from atmorep_k.registry import Component, component, discovery, gin_names, registered


@pytest.fixture
def scratch_registry(monkeypatch):
    """Forgets after the test what the test registers."""
    registry.entries(borrowed=True)
    monkeypatch.setattr(registered, "by_name", dict(registered.by_name))
    monkeypatch.setattr(registered, "borrowed", dict(registered.borrowed))
    monkeypatch.setattr(discovery, "_loaded", set(discovery._loaded))
    monkeypatch.setattr(gin_names, "_known", dict(gin_names._known))


@pytest.fixture
def toys(scratch_registry):
    """Registers ToyTask, ToyPart, ToyInner, ToyLayer to configure; returns them by name."""
    import keras

    @component("toy")
    class ToyInner(Component):
        """An object inside a part."""

        def __init__(self, value: float = 0.0, next: Any = None):
            self.value, self.next = value, next

    @component("toy")
    class ToyPart(Component):
        """A part of a task."""

        def __init__(self, name: str, size: Sequence[int] = (1,), inner: Any = None):
            self.name, self.size, self.inner = name, tuple(size), inner
            if name == "bad":
                raise UserError("a part cannot be called 'bad'.")
            if name == "broken":
                raise KeyError("a fault of the program")

    @component("toy")
    class ToyLayer(keras.layers.Layer):
        """A layer that passes `**kwargs` on."""

        def __init__(self, units: int = 1, **kwargs):
            super().__init__(**kwargs)
            self.units = units

    @component("task")
    class ToyTask(Component):
        """A task."""

        def __init__(
            self,
            parts: Sequence[ToyPart] = (),
            part: ToyPart | None = None,
            layer: keras.layers.Layer | None = None,
            steps: int = 1,
            rate: float = 0.5,
            mode: Literal["fast", "slow"] = "fast",
            shuffle: bool = False,
            options: dict[str, Any] | None = None,
        ):
            self.parts, self.part, self.layer, self.steps = parts, part, layer, steps
            self.rate, self.mode, self.shuffle, self.options = rate, mode, shuffle, options

    return {cls.__name__: cls for cls in (ToyInner, ToyPart, ToyLayer, ToyTask)}


@pytest.fixture
def gin_files(tmp_path, monkeypatch):
    """Returns a function that writes `name=text` files; works in their directory."""
    monkeypatch.chdir(tmp_path)

    def write(**texts: str) -> Path:
        for name, text in texts.items():
            path = tmp_path / f"{name.replace('__', '/')}.gin"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path

    return write
