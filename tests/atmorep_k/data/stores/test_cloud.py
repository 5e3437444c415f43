"""Zarr at addresses: a web server, and buckets that answer without or only with credentials."""

import functools
import http.server
import pickle
import sys
import threading

import fsspec
import numpy as np
import pytest

from atmorep_k.data.opening import open_store
from atmorep_k.data.sources.finding import open_sources
from atmorep_k.data.writing.preparing import prepare
from atmorep_k.errors import UserError


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@pytest.fixture
def served(tmp_path):
    """The address of a web server that gives what lies in `tmp_path`."""
    pytest.importorskip("aiohttp")
    handler = functools.partial(_Quiet, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def _weatherbench(raw, path):
    """Writes a Zarr as WeatherBench 2 has them: one hour in a chunk, consolidated."""
    raw = raw.rename(t="temperature", t2m="2m_temperature")
    raw = raw.transpose("time", "level", "longitude", "latitude")
    chunks = {name: {"chunks": (1, *raw[name].shape[1:])} for name in raw.data_vars}
    raw.to_zarr(path, zarr_format=2, encoding=chunks, consolidated=True)


def test_a_web_server(raw, known, served, tmp_path):
    _weatherbench(raw, tmp_path / "era5.zarr")
    path = prepare([f"{served}/era5.zarr"], tmp_path / "out.zarr", region=(50, 51, -1, 1))
    dataset = open_store(path).dataset()
    np.testing.assert_array_equal(dataset["temperature"], known()[:, :, 1:, :3])
    piece = next(p for p in open_sources([f"{served}/era5.zarr"])[0] if p.level.size)
    again = pickle.loads(pickle.dumps(piece))
    np.testing.assert_array_equal(again.read(3, 5, np.arange(2)), known()[3:5])


def test_nothing_there(served, tmp_path):
    with pytest.raises(UserError, match=r"no Zarr group at http://.*/era5\.zarr"):
        open_sources([f"{served}/era5.zarr"])


@pytest.mark.parametrize("guarded", [False, True])
def test_buckets_are_asked_without_credentials_first(raw, known, tmp_path, monkeypatch, guarded):
    from fsspec.implementations.memory import MemoryFileSystem

    asked = []

    class Bucket(MemoryFileSystem):
        protocol = ("gs",)
        cachable = False

        def __init__(self, token="mine", **options):
            super().__init__(**options)
            self.token = token
            asked.append(token)

        @classmethod
        def _strip_protocol(cls, path):
            return "/" + path.split("://")[-1].strip("/")

        def cat_file(self, path, **options):
            if guarded and self.token == "anon":
                raise PermissionError("Forbidden")
            return super().cat_file(path, **options)

    monkeypatch.setitem(sys.modules["fsspec.registry"]._registry, "gs", Bucket)
    _weatherbench(raw, tmp_path / "era5.zarr")
    memory = fsspec.filesystem("memory")
    memory.put(str(tmp_path / "era5.zarr"), "/bucket/era5.zarr", recursive=True)
    try:
        pieces, _ = open_sources(["gs://bucket/era5.zarr"])
        piece = next(p for p in pieces if p.level.size)
        np.testing.assert_array_equal(piece.read(3, 5, np.arange(2)), known()[3:5])
        assert asked[0] == "anon"
        assert ("mine" in asked) == guarded
    finally:
        memory.rm("/bucket", recursive=True)


def test_kinds_of_addresses(monkeypatch):
    with pytest.raises(UserError, match="unknown kind of address 'ftp'"):
        open_sources(["ftp://somewhere/era5.zarr"])

    def missing(kind):
        raise ImportError("Please install gcsfs")

    monkeypatch.setattr(fsspec, "get_filesystem_class", missing)
    with pytest.raises(UserError, match=r"driver of gs:// addresses .*atmorep-k\[cloud\]"):
        open_sources(["gs://bucket/era5.zarr"])
