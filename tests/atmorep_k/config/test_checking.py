import pytest

from atmorep_k import config
from atmorep_k.errors import UserError
from atmorep_k.registry.gin_names import run

TASK = "run.task = @ToyTask()\n"


@pytest.fixture
def mistake(toys, gin_files):
    """Returns a function: the one sentence about `TASK` + text, its lines counted from 2."""

    def check(text, overrides=(), **files):
        gin_files(top=files.pop("includes", "") + TASK + text, **files)
        with pytest.raises(UserError) as caught:
            config.load(["top.gin"], overrides)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    return check


@pytest.fixture
def accepted(toys, gin_files):
    """Returns a function: what `TASK` + text binds in the end."""

    def check(text, overrides=(), **files):
        gin_files(top=files.pop("includes", "") + TASK + text, **files)
        return config.load(["top.gin"], overrides).bindings

    return check


def test_unknown_component_of_a_binding(mistake):
    message = mistake("\nToyPrat.name = 'p'\n")
    assert message.startswith(
        "top.gin:3: unknown component 'ToyPrat'; did you mean 'ToyPart'? Allowed: "
    )


def test_unknown_component_of_a_reference(mistake):
    message = mistake("ToyTask.options = {'x': [@ToyInnr()]}\n")
    assert message.startswith(
        "top.gin:2: unknown component 'ToyInnr'; did you mean 'ToyInner'? Allowed: "
    )


def test_the_root_cannot_be_referred_to(mistake):
    assert mistake("ToyTask.part = @run()\n").startswith("top.gin:2: unknown component 'run'")


def test_components_are_named_without_a_module(mistake):
    assert mistake("a.module.ToyTask.steps = 2\n") == (
        "top.gin:2: components are named without a module: ToyTask, not a.module.ToyTask."
    )


def test_unknown_parameter(mistake):
    assert mistake("ToyTask.setps = 2\n") == (
        "top.gin:2: unknown parameter of ToyTask 'setps'; did you mean 'steps'? Allowed: "
        "layer, mode, options, part, parts, rate, shuffle, steps."
    )


def test_unknown_parameter_of_a_layer_with_kwargs(mistake):
    message = mistake("ToyTask.layer = @ToyLayer()\nToyLayer.unit = 2\n")
    assert message == (
        "top.gin:3: unknown parameter of ToyLayer 'unit'; did you mean 'units'? Allowed: "
        "dtype, name, trainable, units."
    )


def test_parameters_that_a_layer_passes_on(accepted):
    text = "ToyTask.layer = @ToyLayer()\nToyLayer.name = 'x'\nToyLayer.trainable = False\n"
    assert accepted(text)["ToyLayer.name"] == "x"


def test_unknown_parameter_of_the_root(mistake):
    assert mistake("run.steps = 3\n").startswith(
        "top.gin:2: unknown parameter of run 'steps'. Allowed: task."
    )


def test_component_without_a_parameter(mistake):
    assert mistake("ToyTask = 3\n") == (
        "top.gin:2: ToyTask is a component; write ToyTask.PARAMETER = VALUE."
    )


def test_nothing_to_run(toys, gin_files):
    gin_files(top="ToyTask.steps = 3\n")
    with pytest.raises(
        UserError, match=r"the configuration names no task; .* run\.task = @Pretraining"
    ):
        config.load(["top.gin"])


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("3", r"top\.gin:1: run\.task must be a task, as in run\.task = @Pretraining\(\)\."),
        ("@ToyInner()", r"top\.gin:1: unknown task 'ToyInner'.*Allowed: .*ToyTask"),
    ],
)
def test_what_is_run_is_a_task(toys, gin_files, value, message):
    gin_files(top=f"run.task = {value}\n")
    with pytest.raises(UserError, match=message):
        config.load(["top.gin"])


def test_undefined_macro(mistake):
    assert mistake("STPES = 3\nToyTask.steps = %STEPS\n") == (
        "top.gin:2: the macro STPES is never used; did you mean 'STEPS'?"
    )
    assert mistake("STEPS = %STPES\nSTEP = 2\nToyTask.rate = %STEP\nToyTask.steps = %STEPS\n") == (
        "top.gin:2: %STPES is not defined; did you mean 'STEPS'?"
    )


def test_unused_macro(mistake):
    text = "RATE = 0.5\nToyTask.rate = %RATE\nRATES = 1\n"
    assert mistake(text) == ("top.gin:4: the macro RATES is never used; did you mean 'RATE'?")


def test_unused_macro_of_an_override(mistake):
    text = "STEPS = 3\nToyTask.steps = %STEPS\n"
    assert mistake(text, ["STEP=4"]) == (
        "--set STEP=4: the macro STEP is never used; did you mean 'STEPS'?"
    )


def test_a_macro_cannot_need_itself(mistake):
    assert mistake("A = [%B]\nB = %A\nToyTask.options = {'x': %A}\n") == (
        "top.gin:3: %A refers to itself."
    )


def test_a_component_cannot_need_itself(mistake):
    text = "ToyTask.options = {'x': @ToyInner()}\nToyInner.next = [@ToyInner()]\n"
    assert mistake(text) == "top.gin:3: @ToyInner() refers to itself."


def test_a_component_may_hold_another_of_its_kind_in_another_scope(accepted):
    text = "ToyTask.options = {'x': @a/ToyInner()}\na/ToyInner.next = @b/ToyInner()\n"
    text += "b/ToyInner.next = None\n"
    assert "b/ToyInner.next" in accepted(text)


def test_unused_binding_of_a_component_that_nothing_makes(mistake):
    assert mistake("ToyPart.name = 'p'\n") == (
        "top.gin:2: ToyPart.name has no effect: run.task does not use @ToyPart()."
    )


def test_unused_binding_of_a_misspelt_scope(mistake):
    text = "ToyTask.part = @west/ToyPart()\nwset/ToyPart.name = 'p'\n"
    assert mistake(text) == (
        "top.gin:3: wset/ToyPart.name has no effect: run.task does not use @wset/ToyPart(); "
        "did you mean 'west/ToyPart'?"
    )


def test_unused_binding_that_every_scope_has_of_its_own(mistake):
    text = "ToyTask.part = @u/ToyPart()\nu/ToyPart.name = 'p'\nToyPart.name = 'q'\n"
    assert mistake(text) == (
        "top.gin:4: ToyPart.name has no effect: every @ToyPart() has a name of its own scope."
    )


def test_what_only_unused_bindings_use_is_unused(mistake):
    text = "ToyPart.inner = @ToyInner()\nToyInner.value = %M\nM = 1.0\n"
    assert mistake(text).startswith("top.gin:2: ToyPart.inner has no effect")


BASE = "ToyTask.part = @ToyPart()\nToyPart.name = %NAME\nNAME = 'p'\n"


def test_a_file_may_replace_what_an_included_file_bound_parameters_of(accepted):
    bound = accepted("ToyTask.part = None\n", includes="include 'base.gin'\n", base=BASE)
    assert list(bound) == ["run.task", "ToyTask.part"]


def test_an_override_may_replace_what_a_file_bound_parameters_of(accepted):
    assert list(accepted(BASE, ["ToyTask.part=None"])) == ["run.task", "ToyTask.part"]


def test_a_scope_may_replace_a_default_of_an_included_file(accepted):
    text = "ToyTask.part = @u/ToyPart()\nu/ToyPart.name = 'q'\n"
    bound = accepted(text, includes="include 'base.gin'\n", base=BASE)
    assert "ToyPart.name" not in bound
    assert "NAME" not in bound
    assert bound["u/ToyPart.name"] == "q"


def test_what_replaces_cannot_be_without_effect_itself(mistake):
    text = "ToyTask.part = None\nToyPart.name = 'q'\n"
    assert mistake(text, includes="include 'base.gin'\n", base=BASE).startswith(
        "top.gin:4: ToyPart.name has no effect"
    )
    assert mistake(BASE, ["ToyTask.part=None", "NAME=q"]).startswith("--set NAME=q: the macro NAME")


def test_an_included_file_is_not_forgiven_what_never_was_used(mistake):
    base = BASE + "ToyInner.value = 2.0\n"
    assert mistake("", includes="include 'base.gin'\n", base=base) == (
        "base.gin:4: ToyInner.value has no effect: run.task does not use @ToyInner()."
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ToyTask.steps = 'ten'", "ToyTask.steps must be int, not 'ten'."),
        ("ToyTask.steps = True", "ToyTask.steps must be int, not True."),
        ("ToyTask.steps = 2.0", "ToyTask.steps must be int, not 2.0; write 2."),
        ("ToyTask.shuffle = 1", "ToyTask.shuffle must be bool, not 1."),
        (
            "ToyTask.mode = 'fst'",
            "ToyTask.mode must be 'fast' or 'slow', not 'fst'; did you mean 'fast'?",
        ),
        ("ToyTask.options = [1]", "ToyTask.options must be dict[str, Any], not [1]."),
        ("ToyTask.part = @ToyInner()", "ToyTask.part must be ToyPart | None, not @ToyInner()."),
        ("ToyTask.layer = 3", "ToyTask.layer must be Layer | None, not 3."),
    ],
)
def test_wrong_type(mistake, text, message):
    message = message.replace("dict[str, Any]", "dict[str, Any] | None")
    assert mistake(text + "\n") == f"top.gin:2: {message}"


def test_wrong_type_of_a_macro_is_shown_where_the_macro_is_given(mistake):
    text = "ToyTask.steps = %STEPS\nSTEPS = %MANY\nMANY = 3\n"
    assert mistake(text, ["MANY=ten"]) == (
        "--set MANY=ten: MANY, in top.gin:2 bound to ToyTask.steps, must be int, not 'ten'."
    )


def test_wrong_type_inside_a_list_of_macros_and_references(mistake):
    text = "P = 'p'\nToyTask.parts = [@ToyPart(), %P]\nToyPart.name = 'n'\n"
    assert mistake(text) == (
        "top.gin:3: ToyTask.parts must be Sequence[ToyPart], not [@ToyPart(), 'p']."
    )


def test_types_that_fit(accepted):
    text = (
        "ToyTask.rate = 1\nToyTask.part = %PART\nPART = @ToyPart()\nToyPart.name = 'n'\n"
        "ToyPart.size = [%A, 2]\nA = 3\nToyTask.parts = (@ToyPart(),)\nToyTask.steps = -1\n"
    )
    assert accepted(text)["ToyTask.rate"] == 1


def test_number_of_a_keras_optimizer(mistake, accepted):
    text = "ToyTask.options = {'o': @AdamW()}\nAdamW.learning_rate = "
    assert mistake(text + "'fast'\n") == (
        "top.gin:3: AdamW.learning_rate must be a number, not 'fast'."
    )
    assert accepted(
        text
        + "@ExponentialDecay()\n"
        + (
            "ExponentialDecay.initial_learning_rate = 1\nExponentialDecay.decay_steps = 1\n"
            "ExponentialDecay.decay_rate = 0.5\n"
        )
    )


def test_required_parameter_without_a_binding(mistake):
    assert mistake("ToyTask.part = @ToyPart()\n") == (
        "top.gin:2: @ToyPart() needs name; add ToyPart.name = VALUE."
    )
    assert mistake("ToyTask.part = @u/ToyPart()\nv/ToyPart.name = 'p'\n").startswith("top.gin:3:")
    text = "ToyTask.parts = [@ToyPart(),\n  @u/ToyPart()]\nu/ToyPart.name = 'p'\n"
    assert mistake(text) == "top.gin:2: @ToyPart() needs name; add ToyPart.name = VALUE."
    assert mistake("ToyTask.part = @u/ToyPart()\nu/ToyPart.size = [2]\n") == (
        "top.gin:2: @u/ToyPart() needs name; add u/ToyPart.name = VALUE."
    )


@pytest.mark.parametrize("word", ["%gin.REQUIRED", "%REQUIRED"])
def test_required_left_open(mistake, word):
    text = f"NAME = {word}\nToyTask.part = @ToyPart()\nToyPart.name = %NAME\n"
    assert mistake(text) == "top.gin:2: NAME must be given: in a file or by --set NAME=VALUE."
    assert mistake(f"ToyTask.part = @ToyPart()\nToyPart.name = {word}\n") == (
        "top.gin:3: ToyPart.name must be given: in a file or by --set ToyPart.name=VALUE."
    )


def test_required_given_later(accepted):
    text = "ToyTask.steps = %STEPS\nSTEPS = %gin.REQUIRED\n"
    assert accepted(text, ["STEPS=3"])["STEPS"] == 3


# What applies in which scope: one more line on top of these has an effect in gin, or it has none
# and is refused.
SCOPES = """run.task = @ToyTask()
ToyTask.parts = [@u/ToyPart(), @ToyPart(), %MACRO]
ToyTask.options = {'direct': [@w/ToyPart(), @v/ToyInner()]}
MACRO = @ToyPart()
u/ToyPart.name = 'u'
ToyPart.name = 'n'
ToyPart.inner = @ToyInner()
w/ToyPart.inner = @u/ToyInner()
"""


@pytest.mark.parametrize(
    "line",
    [
        f"{scope}{binding}"
        for scope in ("", "u/", "v/", "w/", "MACRO/")
        for binding in ("ToyPart.size = (7,)", "ToyInner.value = 7.0")
    ],
)
def test_unused_is_what_has_no_effect_in_gin(toys, gin_files, line):
    import gin

    def described(text):
        gin.clear_config()
        gin.parse_config(text)
        task = run()
        gin.clear_config()
        return task.get_config()

    gin_files(top=SCOPES + line + "\n")
    has_effect = described(SCOPES + line) != described(SCOPES)
    if has_effect:
        task = config.load(["top.gin"]).build()
        assert task.get_config() == described(SCOPES + line)
    else:
        with pytest.raises(UserError, match=r"top\.gin:9: .* has no effect"):
            config.load(["top.gin"])
