import collections.abc
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Optional

import pytest

from atmorep_k.config.types import Instance, mismatch
from atmorep_k.registry import parameters


class Animal:
    pass


class Dog(Animal):
    def __init__(self, name):
        raise AssertionError("types are checked without making objects")


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        (1, int),
        (1, float),
        (1.5, float),
        ("a", str),
        (True, bool),
        (None, int | None),
        (3, Optional[int]),  # noqa: UP045
        ([1, 2], Sequence[int]),
        ((1, 2), Sequence[int]),
        ([], Sequence[int]),
        ([1, 2.5], Sequence[float]),
        (["a"], Sequence[str] | None),
        ([1], Sequence),
        ((1, 2), tuple[int, int]),
        ([[1], (2, 3)], Sequence[Sequence[int]]),
        ({"a": 1}, dict[str, float]),
        ({"a": [True]}, Mapping[str, Sequence[bool]]),
        ("fast", Literal["fast", "slow"]),
        (True, Literal[True, "auto"]),
        (object(), Any),
        (Instance(Dog), Animal),
        ([Instance(Dog)], Sequence[Animal]),
        (Instance(Dog), float | Animal),
        (Instance(Dog), parameters.NUMBER),
        (None, parameters.NUMBER),
        (print, Callable[[int], int]),
        (True, collections.abc.Hashable),
    ],
)
def test_fitting_values(value, hint):
    assert mismatch(value, hint) is None


@pytest.mark.parametrize(
    ("value", "hint", "sentence"),
    [
        ("ten", int, "must be int, not 'ten'."),
        (True, int, "must be int, not True."),
        (True, float, "must be float, not True."),
        (1, bool, "must be bool, not 1."),
        ("true", bool, "must be bool, not 'true'; write True."),
        ("none", int | None, "must be int | None, not 'none'; write None."),
        (3.0, int, "must be int, not 3.0; write 3."),
        (3.5, int, "must be int, not 3.5."),
        (None, int, "must be int, not None."),
        (500, Sequence[int], "must be Sequence[int], not 500; write [500]."),
        ("abc", Sequence[str], "must be Sequence[str], not 'abc'; write ['abc']."),
        ("abc", Sequence, "must be Sequence, not 'abc'; write ['abc']."),
        ([1, "a"], Sequence[int], "must be Sequence[int], not [1, 'a']."),
        ([1, True], Sequence[int], "must be Sequence[int], not [1, True]."),
        ((1, 2, 3), tuple[int, int], "must be tuple[int, int], not (1, 2, 3)."),
        ({"a": "b"}, dict[str, int], "must be dict[str, int], not {'a': 'b'}."),
        (
            "fst",
            Literal["fast", "slow"],
            "must be 'fast' or 'slow', not 'fst'; did you mean 'fast'?",
        ),
        ("x", parameters.NUMBER, "must be a number, not 'x'."),
        (3, Animal, "must be Animal, not 3."),
        (Instance(Animal), Dog, "must be Dog, not @Animal()."),
        ([Instance(Animal), 2], Sequence[Animal], "must be Sequence[Animal], not [@Animal(), 2]."),
    ],
)
def test_what_is_wrong_with_a_value(value, hint, sentence):
    assert mismatch(value, hint) == sentence


def test_a_long_value_is_cut():
    assert len(mismatch(list(range(1000)), str)) < 120


class Example:
    def __init__(self, given: "Sequence[float]", lost: "NoSuchType", bare, number=0.1, word="a"):  # noqa: F821
        pass


@pytest.mark.parametrize(
    ("parameter", "hint"),
    [("lost", Any), ("bare", Any), ("number", parameters.NUMBER), ("word", Any), ("other", Any)],
)
def test_annotation_of_a_parameter(parameter, hint):
    assert parameters.annotation(Example, parameter) == hint


def test_annotation_given_as_text_is_evaluated():
    def function(levels: "Sequence[float]"):
        pass

    assert parameters.annotation(function, "levels") == Sequence[float]


def test_named_parameters_are_those_of_the_constructor():
    import keras

    class Layer(keras.layers.Layer):
        def __init__(self, units, *rest, rate=0.5, **kwargs):
            pass

    assert list(parameters.named_parameters(Layer)) == ["units", "rate"]
    assert list(parameters.named_parameters(object)) == []


def test_keras_takes_its_own_parameters_through_kwargs():
    import keras

    class Open(keras.layers.Layer):
        def __init__(self, units=1, **kwargs):
            pass

    class Closed(keras.layers.Layer):
        def __init__(self, units=1):
            pass

    class Loss(keras.losses.Loss):
        def __init__(self, name="loss", **kwargs):
            pass

    assert parameters.bindable_parameters(Open) == ["units", "name", "dtype", "trainable"]
    assert parameters.bindable_parameters(Closed) == ["units"]
    assert parameters.bindable_parameters(Loss) == ["name", "dtype", "reduction"]
