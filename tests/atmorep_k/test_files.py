import errno
import os
from pathlib import Path

import pytest

from atmorep_k.errors import UserError
from atmorep_k.files import check_output, file_crc32c, file_sha256, write_whole, writing_whole


def failing(error, begun=True):
    def write(path):
        if begun:
            path.write_text("half")
        raise error

    return write


def test_a_file_appears_when_it_is_complete(tmp_path):
    path = tmp_path / "scores.json"

    def write(partial):
        assert partial.parent == tmp_path
        assert partial.suffix == ".json"
        partial.write_text("all")
        assert not path.exists()

    assert write_whole(path, write) == path
    assert path.read_text() == "all"
    assert os.listdir(tmp_path) == ["scores.json"]


@pytest.mark.parametrize("begun", [True, False])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("a fault"), OSError(5, "I/O")])
def test_a_failure_leaves_what_was_there(tmp_path, error, begun):
    path = tmp_path / "model.keras"
    path.write_text("before")
    with pytest.raises(UserError if isinstance(error, OSError) else type(error)):
        write_whole(path, failing(error, begun))
    assert os.listdir(tmp_path) == ["model.keras"]
    assert path.read_text() == "before"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_one_sentence(tmp_path, number):
    path = tmp_path / "model.keras"
    with pytest.raises(UserError, match=r"no room left to write .*model\.keras: \d+ MB are free"):
        write_whole(path, failing(OSError(number, os.strerror(number))))
    assert not os.listdir(tmp_path)


def test_a_place_that_is_not_writable_is_one_sentence(tmp_path):
    with pytest.raises(UserError, match=r"cannot write .*x\.txt: No such file or directory\."):
        write_whole(tmp_path / "missing" / "x.txt", lambda path: path.write_text("x"))
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot write .*x\.txt: Not a directory\."):
        write_whole(tmp_path / "file" / "x.txt", lambda path: path.write_text("x"))


def fill(partial, kind):
    if kind == "directory":
        partial.mkdir()
        partial = partial / "part"
    partial.write_text("new")


def content(path):
    return (path / "part" if path.is_dir() else path).read_text()


@pytest.mark.parametrize("kind", ["file", "directory"])
def test_a_file_or_directory_is_replaced_whole(tmp_path, kind):
    path = tmp_path / "new" / "p"
    for _ in range(2):
        with writing_whole(path) as partial:
            fill(partial, kind)
        assert content(path) == "new"
        assert os.listdir(path.parent) == ["p"]


@pytest.mark.parametrize("kind", ["file", "directory"])
@pytest.mark.parametrize("error", [RuntimeError("no"), OSError(errno.ENOSPC, "full")])
def test_what_failed_is_removed_and_the_old_one_stays(tmp_path, kind, error):
    path = tmp_path / "new" / "p"
    expected = UserError if isinstance(error, OSError) else RuntimeError
    with pytest.raises(expected), writing_whole(path) as partial:
        fill(partial, kind)
        raise error
    assert not path.parent.exists()
    path.parent.mkdir()
    fill(path, kind)
    with pytest.raises(expected), writing_whole(path) as partial:
        fill(partial, kind)
        raise error
    assert os.listdir(path.parent) == ["p"] and content(path) == "new"


def test_sha256_of_a_file(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    assert file_sha256(tmp_path / "abc").startswith("ba7816bf8f01cfea414140de5dae2223b00361a3")


def test_crc32c_of_a_file_is_that_of_the_standard(tmp_path, monkeypatch):
    from atmorep_k import files

    path = tmp_path / "a"
    path.write_bytes(b"123456789")
    assert file_crc32c(path) == 0xE3069283  # the check value of CRC-32C (RFC 3720)
    monkeypatch.setattr(files, "_PIECE", 4)
    assert file_crc32c(path) == 0xE3069283


@pytest.mark.parametrize(
    ("name", "overwrite", "sentence"),
    [
        ("new.nc", False, None),
        ("deep/new.zarr", False, None),
        (
            "new.txt",
            False,
            "cannot write a prediction to new.txt: the name must end in .nc or .zarr.",
        ),
        ("ours.nc", False, "ours.nc already exists; give another name or --overwrite."),
        ("ours.nc", True, None),
        ("thesis.nc", True, "thesis.nc exists and is not a prediction; it is not overwritten."),
        (
            "ours.nc/new.nc",
            False,
            "cannot write ours.nc/new.nc: ours.nc is not a writable directory.",
        ),
        (
            "closed/a/new.nc",
            False,
            "cannot write closed/a/new.nc: closed is not a writable directory.",
        ),
    ],
)
def test_where_an_output_may_be_written(name, overwrite, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for there in ("ours.nc", "thesis.nc"):
        Path(there).touch()
    Path("closed").mkdir()
    # The administrator, as whom tests may run, could write anywhere.
    monkeypatch.setattr(os, "access", lambda path, mode: path.name != "closed")
    before = sorted(os.listdir())

    def is_ours(path):
        return path.name == "ours.nc"

    def check():
        check_output(Path(name), overwrite, (".nc", ".zarr"), "a prediction", is_ours)

    if sentence is None:
        check()
    else:
        with pytest.raises(UserError) as error:
            check()
        assert str(error.value).replace(f"{tmp_path}/", "") == sentence
    assert sorted(os.listdir()) == before
