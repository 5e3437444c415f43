"""Configurations from before a parameter was renamed."""

import pytest

from atmorep_k import config
from atmorep_k.config import renamed
from atmorep_k.config.reading import read
from atmorep_k.config.statements import Reference
from atmorep_k.errors import UserError
from atmorep_k.registry import lookup
from atmorep_k.registry.parameters import bindable_parameters

LINK = Reference("", "TrainingSchedule")


@pytest.fixture(autouse=True)
def _tell_anew():
    renamed._say.cache_clear()


def bindings(files, overrides=()):
    return {str(d.key): d.value for d in read(files, overrides)[0]}


def test_old_names_are_read_as_the_new_ones(gin_files, capsys):
    gin_files(old="Pretraining.steps = 7\nPretraining.best = None\nPretraining.seed = 1\n")
    expected = {
        "Pretraining.schedule": LINK,
        "TrainingSchedule.steps": 9,
        "TrainingSchedule.best": None,
        "Pretraining.seed": 1,
    }
    for _ in range(2):
        assert bindings(["old.gin"], ["Pretraining.steps=9"]) == expected
    assert capsys.readouterr().err == (
        "old.gin:1: Pretraining.steps is now TrainingSchedule.steps, "
        "Pretraining.best is now TrainingSchedule.best.\n"
    )


def test_a_scope_is_kept(gin_files):
    gin_files(old="s/Pretraining.steps = 7\n")
    assert bindings(["old.gin"]) == {"s/Pretraining.schedule": LINK, "s/TrainingSchedule.steps": 7}


@pytest.mark.parametrize("given", ["s/Pretraining.schedule", "Pretraining.schedule"])
def test_a_reference_that_is_given_stays(given, gin_files):
    gin_files(
        new=f"{given} = @s/TrainingSchedule()\n", old="include 'new.gin'\ns/Pretraining.steps = 7\n"
    )
    assert bindings(["old.gin"]) == {
        given: Reference("s", "TrainingSchedule"),
        "s/TrainingSchedule.steps": 7,
    }


def test_what_is_said_in_a_file_twice_by_both_names_is_refused(gin_files):
    gin_files(old="Pretraining.steps = 7\nTrainingSchedule.steps = 8\n")
    with pytest.raises(UserError, match=r"Schedule\.steps is already given in line 1"):
        bindings(["old.gin"])


def test_every_new_name_exists_and_no_old_one_does():
    for (component, parameter), now in renamed.RENAMED.items():
        assert now.parameter in bindable_parameters(lookup(now.component))
        assert parameter not in bindable_parameters(lookup(component))
        if now.through:
            owner, name = now.through
            assert name in bindable_parameters(lookup(owner))


def test_the_configuration_of_an_older_run_loads_to_the_same_task(tiny_config, gin_files, capsys):
    new = config.load([gin_files(new=tiny_config()) / "new.gin"])
    old = new.text.replace("Pretraining.schedule = @TrainingSchedule()\n", "")
    old = old.replace("TrainingSchedule.", "Pretraining.")
    assert "TrainingSchedule" not in old
    assert config.load([gin_files(old=old) / "old.gin"]).text == new.text
    assert "Pretraining.steps is now TrainingSchedule.steps" in capsys.readouterr().err
