from pathlib import Path

import pytest

from atmorep_k.config import reading
from atmorep_k.config.reading import read
from atmorep_k.config.statements import Macro, Reference
from atmorep_k.errors import UserError


def bindings(files, overrides=()):
    """What is bound in the end, by name."""
    return {str(d.key): d.value for d in read(files, overrides)[0]}


def mistake(files, overrides=()):
    with pytest.raises(UserError) as caught:
        read(files, overrides)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_a_file_says(gin_files):
    gin_files(
        top="""# A comment.
STEPS = 40
A.b = [@C(), @u/C(), {'k': (1, -2.5)}]  # more
u/C.d = %STEPS
C:
    e = None
    f = 'text' 'joined'
"""
    )
    assert bindings(["top.gin"]) == {
        "STEPS": 40,
        "A.b": [Reference("", "C"), Reference("u", "C"), {"k": (1, -2.5)}],
        "u/C.d": Macro("STEPS"),
        "C.e": None,
        "C.f": "textjoined",
    }


def test_each_statement_knows_its_place(gin_files):
    gin_files(top="include 'sub/part.gin'\n\nA.b = [\n  1,\n]\n", sub__part="# first\nM = 1\n")
    definitions, num_files = read(["top.gin"], ["N=2"])
    assert [d.where for d in definitions] == ["sub/part.gin:2", "top.gin:3", "--set N=2"]
    assert [d.source for d in definitions] == [0, 1, 2]
    assert num_files == 2


def test_includes_are_found_beside_the_including_file_from_any_directory(
    gin_files, tmp_path, monkeypatch
):
    gin_files(
        a__top="include 'parts/one.gin'\n",
        a__parts__one="include 'two.gin'\n",
        a__parts__two="M = 'beside'\n",
        two="M = 'in the working directory'\n",
    )
    assert bindings(["a/top.gin"]) == {"M": "beside"}
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert bindings([tmp_path / "a" / "top.gin"]) == {"M": "beside"}
    assert bindings(["../a/top.gin"]) == {"M": "beside"}


def test_files_of_the_package_are_found_from_any_directory(gin_files):
    gin_files(top="include 'train/pretrain.gin'\n")
    assert bindings(["top.gin"])["run.task"] == Reference("", "Pretraining")
    expected = bindings(["pretrain_field.gin"])
    assert expected["run.task"] == Reference("", "Pretraining")
    assert bindings(["gin/pretrain_field.gin"]) == expected


def test_a_file_in_the_working_directory_comes_before_the_package(gin_files):
    gin_files(pretrain_field="M = 'mine'\n", gin__pretrain_field="M = 'mine in gin'\n")
    assert bindings(["pretrain_field.gin"]) == {"M": "mine"}
    assert bindings(["gin/pretrain_field.gin"]) == {"M": "mine in gin"}


def test_every_shipped_file_can_be_read():
    files = sorted(reading.package_directory().rglob("*.gin"))
    assert files
    for file in files:
        assert read([file], [])[0], file


def test_later_wins_includes_then_file_then_next_file_then_set(gin_files):
    gin_files(
        one="A = 1\nB = 1\nC = 1\nD = 1\n",
        top="include 'one.gin'\nB = 2\nC = 2\nD = 2\n",
        next="C = 3\nD = 3\n",
    )
    assert bindings(["top.gin", "next.gin"], ["D=4", "D=5"]) == {"A": 1, "B": 2, "C": 3, "D": 5}


def test_a_file_included_twice_does_not_undo_what_was_overridden_in_between(gin_files):
    gin_files(
        base="M = 'base'\n",
        left="include 'base.gin'\nM = 'left'\n",
        right="include 'base.gin'\nN = 1\n",
        top="include 'left.gin'\ninclude 'right.gin'\n",
    )
    assert bindings(["top.gin"]) == {"M": "left", "N": 1}


def test_a_file_cannot_include_itself(gin_files):
    gin_files(one="include 'two.gin'\n", two="include 'one.gin'\n")
    assert mistake(["one.gin"]) == "one.gin includes itself."


def test_includes_come_first(gin_files):
    gin_files(one="A = 1\n", top="B = 1\ninclude 'one.gin'\n")
    assert mistake(["top.gin"]) == "top.gin:2: includes come first, before any other line."


def test_nothing_is_said_twice_in_a_file(gin_files):
    gin_files(top="u/A.b = 1\nA.b = 1\n\nu/A.b = 2\n", macros="M = 1\nM = 1\n")
    assert mistake(["top.gin"]) == (
        "top.gin:4: u/A.b is already given in line 1; keep one of the two."
    )
    assert mistake(["macros.gin"]).startswith("macros.gin:2: M is already given in line 1;")


def test_a_missing_file_is_named_with_the_nearest(gin_files, tmp_path):
    gin_files(top="\ninclude 'parts/tempreature.gin'\n", parts__temperature="A = 1\n")
    message = mistake(["top.gin"])
    assert message.startswith("top.gin:2: no gin file 'parts/tempreature.gin' in ")
    assert message.endswith("; did you mean 'parts/temperature.gin'?")
    message = mistake(["pretrain_feild.gin"])
    assert message.startswith("no gin file 'pretrain_feild.gin' in ")
    assert str(tmp_path) in message
    assert message.endswith("; did you mean 'pretrain_field.gin'?")


def test_what_is_no_gin_file_is_refused(gin_files):
    (gin_files() / "store.zarr").mkdir()
    Path("data.nc").write_bytes(b"\x89HDF\xff\xfe")
    assert mistake(["store.zarr"]) == "store.zarr: 'store.zarr' is a directory, not a gin file."
    assert mistake(["data.nc"]) == "data.nc is not a gin file: it is not text."


@pytest.mark.parametrize(
    ("line", "advice"),
    [
        ("A = temperature", "put quotes around temperature"),
        ("A = [u, 'v']", "put quotes around u"),
        ("A = {masked: 1}", "put quotes around masked"),
        ("A = true", "write True instead of true"),
        ("A = null", "write None instead of null"),
        ("A = 2*3", "gin does not evaluate expressions, write the result"),
        ("A = 2 * 3", "gin does not evaluate expressions, write the result"),
        ("A = 10 % 3", "gin does not evaluate expressions, write the result"),
        ("A = 1, 2", "put brackets around a list"),
        ("A = /data/era5.zarr", "put quotes around text"),
        ("A = 2019-03-01", "put quotes around text"),
        ("A = 'open", "a quote is not closed"),
        ("A = @B(c=1)", "a reference takes no arguments, bind each by COMPONENT.PARAMETER = VALUE"),
        ("include parts/one.gin", "put quotes around the name of the file"),
        *(
            (line, "write NAME = VALUE, where VALUE is a literal, @component() or %MACRO")
            for line in ("A: 40", "A 40", "A =", "A == 40", "A = $x", "= 3", "A = f'x'")
        ),
    ],
)
def test_help_with_a_line_that_gin_cannot_read(gin_files, line, advice):
    gin_files(top=f"# first\nOK = 1\n{line}\nNEXT = 2\n")
    assert mistake(["top.gin"]) == f"top.gin:3: cannot read {line!r}: {advice}."


@pytest.mark.parametrize("text", ["A = 1\nB = [1,\n  2\n\nC = 3\n", "A = 1\nB = {'x': (1, 2),\n"])
def test_an_open_bracket_is_shown_where_it_opens(gin_files, text):
    gin_files(top=text)
    assert mistake(["top.gin"]) == "top.gin:2: a bracket is not closed."


def test_a_mistake_in_an_included_file_is_shown_there(gin_files):
    gin_files(sub__part="\n\nA = x\n", top="include 'sub/part.gin'\n")
    assert mistake(["top.gin"]).startswith("sub/part.gin:3: cannot read 'A = x'")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("import os", "top.gin:1: import is not allowed; "),
        ("from os import path", "top.gin:1: import is not allowed; "),
        ("a/b/C.d = 1", "top.gin:1: only one level of scope is allowed, not 'a/b'."),
        ("C.d = [@a/b/C()]", "top.gin:1: only one level of scope is allowed, not 'a/b'."),
        ("C.d = @E", "top.gin:1: C.d refers to @E; write @E() to make an object."),
        ("C.d = {'k': [@u/E]}", "top.gin:1: C.d refers to @u/E; write @u/E() to make an object."),
        ("u/C = 1", "top.gin:1: u/C does not name a parameter; write u/C.PARAMETER = VALUE."),
        ("A = {[1]: 2}", "top.gin: unhashable type: 'list'."),
    ],
)
def test_what_gin_allows_and_we_do_not(gin_files, line, message):
    gin_files(top=line + "\n")
    assert mistake(["top.gin"]).startswith(message)


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("FIELD=temperature", "FIELD", "temperature"),
        ("STEPS=40", "STEPS", 40),
        ("RATE = 1e-4", "RATE", 1e-4),
        ("SHIFT=-3", "SHIFT", -3),
        ("FLAG=True", "FLAG", True),
        ("NONE=None", "NONE", None),
        ("levels=[500, 850]", "levels", [500, 850]),
        ("WINDOW=(36, 12, 24)", "WINDOW", (36, 12, 24)),
        ("u/FieldSpec.levels=[500]", "u/FieldSpec.levels", [500]),
        ("STORE=/data/era5 copy.zarr", "STORE", "/data/era5 copy.zarr"),
        ("STORE='a'", "STORE", "a"),
        ("DAY=2019-03-01", "DAY", "2019-03-01"),
        ("TEXT=a=b", "TEXT", "a=b"),
        ("TEXT=5 days", "TEXT", "5 days"),
        ("Task.part=@u/Part()", "Task.part", Reference("u", "Part")),
        ("Task.steps=%STEPS", "Task.steps", Macro("STEPS")),
    ],
)
def test_overrides(text, name, value):
    result = bindings([], [text])
    assert result == {name: value}
    assert type(result[name]) is type(value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("STEPS", "--set takes NAME=VALUE, not 'STEPS'."),
        ("STEPS=", "--set takes NAME=VALUE, not 'STEPS='."),
        ("1x=3", "--set takes NAME=VALUE, not '1x=3'."),
        ("A b=3", "--set takes NAME=VALUE, not 'A b=3'."),
        ("A=[u, v]", "--set A=[u, v]: invalid value; put quotes around text."),
        ("A=@B", "--set A=@B: A refers to @B; write @B() to make an object."),
        ("a/b/C.d=1", "--set a/b/C.d=1: only one level of scope is allowed, not 'a/b'."),
    ],
)
def test_overrides_that_cannot_be_read(text, message):
    assert mistake([], [text]) == message
