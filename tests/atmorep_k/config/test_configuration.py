import traceback

import gin
import pytest

from atmorep_k import config
from atmorep_k.config import Macro, Reference
from atmorep_k.errors import UserError
from atmorep_k.registry.gin_names import register_with_gin

FILES = {
    "parts__base": """
ToyPart.size = %SIZE
ToyPart.inner = @ToyInner()
ToyInner.value = 1.5
SIZE = [1, 2]
""",
    "top": """
include 'parts/base.gin'
run.task = @ToyTask()
ToyTask.parts = [@u/ToyPart(), @ToyPart()]
ToyTask.options = {'name': %TITLE, 'layer': @ToyLayer()}
ToyTask.steps = %STEPS
TITLE = 'a "quoted" name, with an accent: é'
STEPS = 10
u/ToyPart.name = 'u'
u/ToyInner.value = 2.5
ToyPart.name = 'plain'
ToyLayer.units = 4
""",
}


@pytest.fixture
def configuration(toys, gin_files):
    gin_files(**FILES)
    return config.load(["top.gin"], ["STEPS=40", "ToyTask.mode=slow"])


def is_clean():
    return gin.config_str() == "" and not gin.config_is_locked() and not gin.current_scope()


def test_bindings_are_what_is_used(configuration):
    assert configuration.num_files == 2
    assert configuration.bindings == {
        "SIZE": [1, 2],
        "STEPS": 40,
        "TITLE": 'a "quoted" name, with an accent: é',
        "run.task": Reference("", "ToyTask"),
        "ToyTask.parts": [Reference("u", "ToyPart"), Reference("", "ToyPart")],
        "ToyTask.steps": Macro("STEPS"),
        "ToyTask.mode": "slow",
        "ToyTask.options": {"name": Macro("TITLE"), "layer": Reference("", "ToyLayer")},
        "ToyPart.name": "plain",
        "ToyPart.size": Macro("SIZE"),
        "ToyPart.inner": Reference("", "ToyInner"),
        "u/ToyPart.name": "u",
        "ToyInner.value": 1.5,
        "u/ToyInner.value": 2.5,
        "ToyLayer.units": 4,
    }


def test_text_is_grouped_macros_first_then_from_the_root_on(configuration):
    names = [line.split(" = ")[0] for line in configuration.text.splitlines() if " = " in line]
    assert names == list(configuration.bindings)
    groups = [block.split(" = ")[0] for block in configuration.text.split("\n\n")]
    assert groups[:3] == ["SIZE", "run.task", "ToyTask.parts"]
    assert groups[3:] == ["ToyPart.name", "ToyInner.value", "ToyLayer.units"]


def test_text_loads_to_the_same(configuration, gin_files):
    gin_files(again=configuration.text)
    again = config.load(["again.gin"])
    assert again.num_files == 1
    assert again.bindings == configuration.bindings
    assert list(again.bindings) == list(configuration.bindings)
    assert again.text == configuration.text


def test_text_does_not_depend_on_the_order_of_the_files_lines(configuration, gin_files):
    first, *lines = FILES["top"].strip().splitlines()
    gin_files(other="\n".join([first, *reversed(lines)]) + "\n")
    other = config.load(["other.gin"], ["ToyTask.mode=slow", "STEPS=40"])
    assert other.text == configuration.text


def test_long_values_are_broken_and_load_to_the_same(toys, gin_files):
    value = {"words": ["a long text that " * 12, "x\ny"], "numbers": [*range(60)], 3: (1,)}
    gin_files(top=f"run.task = @ToyTask()\nToyTask.options = {{'x': {value!r}}}\n")
    text = config.load(["top.gin"]).text
    assert max(len(line) for line in text.splitlines()) <= 100
    gin_files(again=text)
    assert config.load(["again.gin"]).bindings["ToyTask.options"] == {"x": value}


def test_what_an_override_made_useless_is_not_in_the_text(toys, gin_files):
    gin_files(**FILES)
    text = config.load(["top.gin"], ["ToyTask.parts=[]"]).text
    assert "ToyPart" not in text
    assert "SIZE" not in text
    gin_files(again=text)
    assert config.load(["again.gin"]).text == text


def test_build_makes_the_objects(configuration, toys):
    task = configuration.build()
    assert type(task) is toys["ToyTask"]
    u, plain = task.parts
    assert (u.name, u.size, u.inner.value) == ("u", (1, 2), 2.5)
    assert (plain.name, plain.size, plain.inner.value) == ("plain", (1, 2), 1.5)
    assert type(task.options["layer"]) is toys["ToyLayer"]
    assert (task.options["layer"].units, task.steps, task.mode) == (4, 40, "slow")


def test_scopes_replace_and_are_kept(toys, gin_files):
    gin_files(
        top="""
run.task = @ToyTask()
ToyTask.parts = [@u/ToyPart(), @v/ToyPart(), %SHARED]
SHARED = @ToyPart()
ToyPart.name = 'n'
ToyPart.inner = @ToyInner()
v/ToyPart.inner = @u/ToyInner()
u/ToyInner.value = 1.0
SHARED/ToyInner.value = 2.0
"""
    )
    values = [part.inner.value for part in config.load(["top.gin"]).build().parts]
    assert values == [1.0, 1.0, 2.0]


def test_a_macro_used_twice_gives_two_objects(toys, gin_files):
    gin_files(
        top="run.task = @ToyTask()\nToyTask.parts = [%P, %P]\nP = @ToyPart()\nToyPart.name = 'p'\n"
    )
    one, two = config.load(["top.gin"]).build().parts
    assert one is not two


def test_nothing_leaks_between_builds(configuration, toys, gin_files):
    first = configuration.build()
    assert is_clean()
    assert toys["ToyPart"]("p").size == (1,)
    gin_files(other="run.task = @ToyTask()\n")
    other = config.load(["other.gin"]).build()
    assert (other.steps, other.parts, other.mode) == (1, (), "fast")
    second = configuration.build()
    assert second.get_config()["parts"] == first.get_config()["parts"]
    assert second.steps == 40
    assert second.parts[0] is not first.parts[0]


def test_a_build_clears_what_another_user_of_gin_left(configuration):
    gin.parse_config("ToyTask.rate = 99.0")
    gin.finalize()
    assert configuration.build().rate == 0.5
    assert is_clean()


@pytest.mark.parametrize(("name", "error"), [("bad", UserError), ("broken", KeyError)])
def test_nothing_leaks_after_a_failed_build(toys, gin_files, name, error):
    gin_files(
        top="run.task = @ToyTask()\nToyTask.part = @u/ToyPart()\nToyPart.size = [9]\n"
        f"ToyPart.name = '{name}'\nToyTask.steps = 7\n",
        fine="run.task = @ToyTask()\n",
    )
    with pytest.raises(error) as caught:
        config.load(["top.gin"]).build()
    assert type(caught.value) is error
    assert is_clean()
    assert config.load(["fine.gin"]).build().steps == 1


def test_a_component_that_refuses_its_values_is_heard_as_it_speaks(toys, gin_files):
    gin_files(
        top="run.task = @ToyTask()\nToyTask.part = @u/ToyPart()\nToyPart.name = 'bad'\n",
    )
    with pytest.raises(UserError) as caught:
        config.load(["top.gin"]).build()
    assert str(caught.value) == "a part cannot be called 'bad'."
    shown = "".join(traceback.format_exception(caught.value))
    assert "'ToyPart'" in shown
    assert "in scope 'u'" in shown
    assert "in __init__" in shown


def test_a_mistake_in_a_file_does_not_touch_gin(toys, gin_files):
    gin_files(top="run.task = @ToyTask()\nToyTask.steps = 'x'\n")
    with pytest.raises(UserError):
        config.load(["top.gin"])
    assert is_clean()


def test_classes_of_keras_are_built_as_they_are(toys, gin_files):
    import keras

    gin_files(
        top="run.task = @ToyTask()\nToyTask.options = {'o': @AdamW()}\n"
        "AdamW.learning_rate = @CosineDecay()\nAdamW.weight_decay = 0.25\n"
        "CosineDecay.initial_learning_rate = 0.5\nCosineDecay.decay_steps = 10\n"
    )
    optimizer = config.load(["top.gin"]).build().options["o"]
    assert type(optimizer) is type(keras.optimizers.AdamW())
    assert optimizer.weight_decay == 0.25
    assert float(optimizer._learning_rate(0)) == 0.5
    assert keras.optimizers.AdamW().weight_decay == 0.004


def test_the_name_of_the_root_is_taken(scratch_registry):
    with pytest.raises(UserError, match="two components are called 'run'"):
        register_with_gin(type("run", (), {}))
