import json
import logging
import subprocess
import sys

import pytest

from atmorep_k import config, registry
from atmorep_k.errors import UserError
from atmorep_k.registry import Component, component
from atmorep_k.registry.discovery import COMPONENTS

PLUGIN = '''
from atmorep_k.registry import Component, component
from atmorep_k.registry.discovery import COMPONENTS

@component("toy")
class {name}(Component):
    """Comes from a plug-in."""

    def __init__(self, width: int = 2):
        self.width = width
'''


def install(directory, monkeypatch, package, code):
    """Installs a package of one module that announces its components by the entry point."""
    metadata = directory / f"{package}-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    entry = f"[{COMPONENTS}]\n{package} = {package}_module\n"
    (metadata / "entry_points.txt").write_text(entry)
    (directory / f"{package}_module.py").write_text(code)
    monkeypatch.syspath_prepend(directory)


def test_a_component_is_known_to_the_registry_and_to_keras(toys):
    import keras

    entry = next(e for e in registry.entries("toy") if e.name == "ToyPart")
    assert entry.cls is toys["ToyPart"]
    assert entry.description == "A part of a task."
    assert list(entry.parameters) == ["name", "size", "inner"]
    assert keras.saving.get_registered_object("atmorep_k>ToyPart") is toys["ToyPart"]


def test_the_decorator_does_not_change_the_class(scratch_registry):
    class ToyPlain(Component):
        """Plain."""

        def __init__(self, size: int = 3):
            self.size = size

    construct = ToyPlain.__init__
    assert component("toy")(ToyPlain) is ToyPlain
    assert ToyPlain.__init__ is construct


def test_a_component_survives_keras_serialisation_with_what_it_holds(toys):
    import keras

    part = toys["ToyPart"]("p", (2, 3), toys["ToyInner"](1.5))
    description = json.loads(json.dumps(keras.saving.serialize_keras_object(part)))
    again = keras.saving.deserialize_keras_object(description)
    assert type(again) is toys["ToyPart"]
    assert (again.name, again.size, again.inner.value) == ("p", (2, 3), 1.5)


def test_entries_are_sorted_by_kind_and_name():
    keys = [(e.kind, e.name) for e in registry.entries(borrowed=True)]
    assert keys == sorted(keys)
    assert {"FieldSpec", "Window"} <= {e.name for e in registry.entries("specification")}


def test_classes_of_keras_are_listed_only_on_demand():
    assert "AdamW" not in {e.name for e in registry.entries()}
    assert "AdamW" in {e.name for e in registry.entries("optimizer", borrowed=True)}


def test_lookup_names_the_nearest():
    with pytest.raises(UserError, match=r"unknown specification 'FieldSpek'; .* 'FieldSpec'"):
        registry.lookup("FieldSpek", "specification")
    assert registry.lookup("FieldSpec").__name__ == "FieldSpec"


def test_a_name_belongs_to_one_class(toys):
    other = type("ToyPart", (Component,), {"__doc__": "Another.", "__module__": "elsewhere"})
    with pytest.raises(UserError, match=r"two components are called 'ToyPart'.*elsewhere"):
        component("toy")(other)
    assert registry.lookup("ToyPart") is toys["ToyPart"]


def test_a_class_defined_anew_replaces_the_old(toys):
    again = type("ToyPart", (Component,), {"__doc__": "New.", "__module__": __name__})
    again.__module__ = toys["ToyPart"].__module__
    component("toy")(again)
    assert registry.lookup("ToyPart") is again


def test_a_component_needs_a_docstring_of_its_own(scratch_registry):
    class ToyBase(Component):
        """Documented."""

    bare = type("ToyBare", (ToyBase,), {})
    with pytest.raises(UserError, match="'ToyBare' has no docstring"):
        component("toy")(bare)
    assert "ToyBare" not in {e.name for e in registry.entries()}


def test_a_plugin_is_discovered_and_usable_from_gin(toys, gin_files, tmp_path, monkeypatch):
    code = PLUGIN.format(name="ToyFromPlugin")
    install(tmp_path / "site", monkeypatch, "toygood", code)
    assert registry.lookup("ToyFromPlugin", "toy").__module__ == "toygood_module"
    gin_files(
        top="run.task = @ToyTask()\nToyTask.options = {'x': @ToyFromPlugin()}\n"
        "ToyFromPlugin.width = 7\n"
    )
    assert config.load(["top.gin"]).build().options["x"].width == 7


def test_a_broken_plugin_is_named_and_left_out(scratch_registry, tmp_path, monkeypatch, caplog):
    install(tmp_path / "bad", monkeypatch, "toybad", "import a_module_that_is_not_there")
    install(tmp_path / "good", monkeypatch, "toysound", PLUGIN.format(name="ToySound"))
    with caplog.at_level(logging.WARNING):
        registry.entries()
        registry.entries()
    assert registry.lookup("ToySound").__module__ == "toysound_module"
    [record] = caplog.records
    message = record.getMessage()
    assert "'toybad_module' of package 'toybad'" in message
    assert "No module named 'a_module_that_is_not_there'" in message
    assert "\n" not in message


def test_a_plugin_cannot_take_a_name(toys, tmp_path, monkeypatch, caplog):
    install(tmp_path, monkeypatch, "toythief", PLUGIN.format(name="ToyPart"))
    registry.entries()
    assert "two components are called 'ToyPart'" in caplog.text
    assert registry.lookup("ToyPart") is toys["ToyPart"]


@pytest.mark.slow
@pytest.mark.parametrize("first", ["atmorep_k.fields", "atmorep_k.model"])
def test_everything_saved_is_known_to_keras_whatever_is_imported_first(first, tmp_path):
    code = (
        f"import {first}, keras\n"
        "names = ('AtmoRep', 'FieldSpec', 'Encoder')\n"
        "print([bool(keras.saving.get_registered_object('atmorep_k>' + n)) for n in names])\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    assert run.stdout.strip() == "[True, True, True]"


def test_a_component_that_needs_no_keras_imports_none(tmp_path):
    code = "import sys, atmorep_k.fields; print('keras' in sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    assert run.stdout.strip() == "False"
