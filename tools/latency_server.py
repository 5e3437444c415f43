"""A server of files that answers late, as a bucket does; for tests and benchmarks.

python tools/latency_server.py DIRECTORY [--latency 0.03] [--port 8000]
"""

import argparse
import contextlib
import http.server
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


@contextlib.contextmanager
def serving(directory: Path, latency: float = 0.0, port: int = 0) -> Iterator[str]:
    """Serves the files below a directory on this machine; gives the address.

    Args:
        directory: what is served.
        latency: seconds before each answer.
        port: 0 takes one that is free.
    """

    class Handler(_Handler):
        root, wait = Path(directory).resolve(), latency

    with _Server(("127.0.0.1", port), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


class _Handler(http.server.BaseHTTPRequestHandler):
    """Answers GET and HEAD, with one range of bytes where it is asked for."""

    protocol_version = "HTTP/1.1"
    root: Path
    wait: float

    def do_GET(self) -> None:
        """Sends a file, or a part of it."""
        time.sleep(self.wait)
        path = (self.root / self.path.split("?")[0].strip("/")).resolve()
        if not path.is_relative_to(self.root) or not path.is_file():
            self._send(404, b"", {})
            return
        size = path.stat().st_size
        first, last = self._range(size)
        whole = (first, last) == (0, size - 1)
        with path.open("rb") as file:
            file.seek(first)
            data = file.read(last - first + 1) if self.command == "GET" else b""
        headers = {"Accept-Ranges": "bytes", "ETag": f'"{size}-{path.stat().st_mtime_ns}"'}
        if not whole:
            headers["Content-Range"] = f"bytes {first}-{last}/{size}"
        self._send(200 if whole else 206, data, headers, last - first + 1)

    do_HEAD = do_GET

    def _range(self, size: int) -> tuple[int, int]:
        """Returns the first and the last byte that are asked for."""
        match = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
        if not match or not any(match.groups()):
            return 0, size - 1
        first, last = match.groups()
        if not first:
            return max(0, size - int(last)), size - 1
        return int(first), min(int(last or size), size - 1)

    def _send(self, status: int, data: bytes, headers: dict[str, str], length: int = 0) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_) -> None:
        """Says nothing."""


def main() -> None:
    """Serves until it is interrupted."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory", type=Path)
    parser.add_argument("--latency", type=float, default=0.03)
    parser.add_argument("--port", type=int, default=8000)
    options = parser.parse_args()
    with serving(options.directory, options.latency, options.port) as address:
        print(address, flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    main()
