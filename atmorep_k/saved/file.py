"""A saved model's file, read array by array without building the model."""

import contextlib
import io
import json
import struct
import zipfile
from pathlib import Path

import numpy as np

from atmorep_k.errors import UserError
from atmorep_k.registry.former import modern_config

WEIGHTS, STATISTICS = "model.weights.h5", "assets/statistics.npz"
# The parts of a field that may have weights.
ROLES = ("tokenizer", "token_info", "position", "encoder", "decoder", "tail")


class SavedFile:
    """A `.keras` file of a model of this package, or that in the directory of a run; open it
    by `with`.

    Args:
        path: the file or directory.

    Raises:
        UserError: if the file does not exist or is not a model of this package.
    """

    def __init__(self, path: str | Path):
        path = Path(path)
        self.path = path / "model.keras" if path.is_dir() else path
        if not self.path.is_file():
            raise UserError(f"no model at {self.path}.")

    def __enter__(self) -> "SavedFile":
        with contextlib.ExitStack() as opened:
            try:
                self._open(opened)
            except UserError:
                raise
            except (zipfile.BadZipFile, KeyError, OSError, ValueError) as error:
                raise UserError(f"{self.path} is not a saved Keras model: {error}.") from error
            self._opened = opened.pop_all()
        return self

    def __exit__(self, *_):
        self._opened.close()

    def _open(self, opened: contextlib.ExitStack) -> None:
        import h5py

        archive = opened.enter_context(zipfile.ZipFile(self.path))
        model = json.loads(archive.read("config.json"))
        if model.get("registered_name") != "atmorep_k>AtmoRep":
            raise UserError(
                f"{self.path} holds a {model.get('registered_name') or model.get('class_name')}, "
                f"not a model of atmorep_k."
            )
        self.config: dict = model["config"]
        if self.config.get("format", 1) == 1:
            self.config = modern_config(self.config)
        self.metadata: dict = json.loads(archive.read("metadata.json"))
        self._statistics = np.load(io.BytesIO(archive.read(STATISTICS)))
        stream = opened.enter_context(_Stored(archive, self.path, WEIGHTS))
        self._weights = opened.enter_context(h5py.File(stream, "r"))
        self.places: dict[str, tuple[str, str]] = self._find_places()

    def _find_places(self) -> dict[str, tuple[str, str]]:
        """Returns (field, role) of all arrays by name; those of no field are no weights.

        Names are `field_<field>_<role>/...`, as format 1 had them, in all formats: fingerprints
        hash them, and files of different formats are compared by them.
        """
        import h5py

        found: dict[str, tuple[str, str]] = {}
        self._paths: dict[str, str] = {}

        def add(path, item):
            if isinstance(item, h5py.Dataset) and path.startswith("field_"):
                field, role, rest = self._place(path)
                name = f"field_{field}_{role}/{rest}"
                found[name], self._paths[name] = (field, role), path

        self._weights.visititems(add)
        for key in self._statistics.files:
            found[f"{STATISTICS}/{key}"] = (key.partition("/")[0], "normalizer")
        return dict(sorted(found.items()))

    def _place(self, path: str) -> tuple[str, str, str]:
        """Returns field, role and the path within the part of an array in the file."""
        group, _, rest = path.removeprefix("field_").partition("/")
        if self.config.get("format", 1) > 1:
            role, _, rest = rest.partition("/")
            if role in ROLES:
                return group, role, rest
        for role in ROLES:
            # Names of fields have underscores too, those of roles are known.
            if group.endswith(f"_{role}"):
                return group.removesuffix(f"_{role}"), role, rest
        raise ValueError(f"the array {path} belongs to no known part")

    def size(self, name: str) -> int:
        """Returns the number of values of a weight, which is not read."""
        return self._weights[self._paths[name]].size

    def read(self, name: str) -> np.ndarray:
        """Returns an array as the file has it; bfloat16 comes as raw values of two bytes."""
        if name.startswith(STATISTICS):
            return self._statistics[name.removeprefix(f"{STATISTICS}/")]
        return np.asarray(self._weights[self._paths[name]][()])


class _Stored(io.RawIOBase):
    """A file inside an archive, which holds it as it is.

    `ZipFile.open` reads everything from the beginning again whenever it is to go backwards, as
    HDF5 does for every array.
    """

    def __init__(self, archive: zipfile.ZipFile, path: Path, name: str):
        info = archive.getinfo(name)
        if info.compress_type != zipfile.ZIP_STORED:
            raise ValueError(f"{name} is compressed, but Keras writes arrays uncompressed")
        self._file = open(path, "rb")  # noqa: SIM115 (closed with this one)
        self._file.seek(info.header_offset + 26)
        self._begin = info.header_offset + 30 + sum(struct.unpack("<HH", self._file.read(4)))
        self._size, self._at = info.file_size, 0

    def readable(self):
        return True

    def seekable(self):
        return True

    def seek(self, offset, whence=io.SEEK_SET):
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}
        self._at = start[whence] + offset
        return self._at

    def readinto(self, buffer):
        view = memoryview(buffer)[: max(0, self._size - self._at)]
        self._file.seek(self._begin + self._at)
        read = self._file.readinto(view)
        self._at += read
        return read

    def close(self):
        self._file.close()
        super().close()
