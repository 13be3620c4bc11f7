"""``limit_rate`` over real sockets: what arrives keeps to it, within a twentieth, of large files and of small ones."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from vvos_core import Http, hookimpl
from vvos_core.engine import Engine
from vvos_core.job import Job, Order
from vvos_core.model import Chunk, Grant, Receipt, Rules
from vvos_core.protocol.states import State
from vvos_core.protocol.upload import Upload
from vvos_core.source import BytesSource

from .cloud import Cloud, calls_of
from .test_engine import Log

KIB = 1024
SECONDS = 2.0


class Drain(ThreadingHTTPServer):
    """Notes when how many bytes came."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.came: list[tuple[float, int]] = []

    def rate(self) -> float:
        """Bytes a second, from the first that came to the last."""
        came = sorted(self.came)
        return sum(count for _, count in came[1:]) / (came[-1][0] - came[0][0])


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Drain

    def do_PUT(self) -> None:
        left = int(self.headers["Content-Length"])
        while left:
            got = len(self.rfile.read1(min(left, 64 * KIB)))
            self.server.came.append((time.monotonic(), got))
            left -= got
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is logged."""


@pytest.fixture
def drain() -> Iterator[Drain]:
    server = Drain()
    thread = threading.Thread(target=server.serve_forever, args=[0.02])
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


class Sending(Cloud):
    """A cloud whose chunks go over the wire first; it reads each once before, as a provider does for its MD5."""

    rules = Rules(threshold=64 * KIB, part_size=256 * KIB, min_part=1, max_part=1 << 30, max_parts=100, max_key=100)

    def __init__(self, port: int) -> None:
        super().__init__()
        self._http = Http()
        self._port = port

    @hookimpl
    def put_chunk(self, grant: Grant, chunk: Chunk) -> Receipt:
        assert sum(len(block) for block in chunk) == len(chunk)
        self._http.send("PUT", f"http://127.0.0.1:{self._port}/x", body=chunk, what="storing")
        return super().put_chunk(grant, chunk)

    def close(self) -> None:
        self._http.close()


@pytest.mark.parametrize(
    ("large", "small"), [(8 * 1024 * KIB, 0), (0, 250), (2 * 1024 * KIB, 125)], ids=["large", "small", "both"]
)
def test_what_arrives_keeps_to_the_rate(drain: Drain, large: int, small: int) -> None:
    sources = {f"小{number}": bytes(4 * KIB) for number in range(small)} | ({"大": bytes(large)} if large else {})
    rate = sum(map(len, sources.values())) / SECONDS
    cloud = Sending(drain.server_address[1])
    jobs = [
        Job(Upload(number, len(data)), BytesSource(data, key), key, "text/plain", {})
        for number, (key, data) in enumerate(sources.items())
    ]
    try:
        engine = Engine(calls_of(cloud), make_request_token=lambda name: name, concurrency=4, limit_rate=rate)
        engine.run(iter(jobs), Order(batch="b"), Log())
    finally:
        cloud.close()
    assert {job.upload.state for job in jobs} == {State.DONE}
    assert drain.rate() == pytest.approx(rate, rel=0.05)
