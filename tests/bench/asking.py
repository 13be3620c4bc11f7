"""``python -m tests.bench.asking ADDRESS SECONDS``: asks gettoken at 32 connections, and times each call."""

from __future__ import annotations

import asyncio
import base64
import sys
import time
from urllib.parse import urlsplit

import msgspec

KEYS = 100
CONNECTIONS = 32


class Connection(asyncio.Protocol):
    """One connection, that asks again as soon as it is answered."""

    def __init__(self, number: int, host: str, until: float, times: list[float], over: asyncio.Future[None]) -> None:
        self._head = f"POST /gettoken HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n".encode()
        self._number = number
        self._until = until
        self._times = times
        self._over = over
        self._asked = 0
        self._began = 0.0
        self._got = bytearray()
        self._wanted = -1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._ask()

    def data_received(self, data: bytes) -> None:
        self._got += data
        if self._wanted < 0 and (end := self._got.find(b"\r\n\r\n")) >= 0:
            head = bytes(self._got[:end]).lower()
            if not head.startswith(b"http/1.1 200"):
                self._fail(bytes(self._got[:500]))
                return
            self._wanted = end + 4 + int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
        if self._wanted >= 0 and len(self._got) >= self._wanted:
            now = time.perf_counter()
            self._times.append(now - self._began)
            if now < self._until:
                self._ask()
            elif not self._over.done():
                self._over.set_result(None)
                self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._over.done():
            self._fail(str(exc).encode())

    def _ask(self) -> None:
        self._asked += 1
        body = _body(self._number, self._asked)
        self._got.clear()
        self._wanted = -1
        self._began = time.perf_counter()
        self._transport.write(b"%bContent-Length: %d\r\n\r\n%b" % (self._head, len(body), body))

    def _fail(self, told: bytes) -> None:
        if not self._over.done():
            self._over.set_exception(RuntimeError(told.decode("latin-1")))


def _body(connection: int, request: int) -> bytes:
    told = base64.urlsafe_b64encode(b'{"requestId":"%d-%d-%d"}' % (time.time_ns(), connection, request)).rstrip(b"=")
    keys = [f"a{connection}/{request}/{number}.bin" for number in range(KEYS)]
    return msgspec.json.encode(
        {
            "requestToken": f"e30.{told.decode()}.bench",
            "keys": keys,
            "files": {key: {"size": 4096, "type": "application/octet-stream"} for key in keys},
        }
    )


async def _all(address: str, seconds: float) -> list[float]:
    loop = asyncio.get_running_loop()
    url = urlsplit(address)
    times: list[float] = []
    until = time.perf_counter() + seconds
    over: list[asyncio.Future[None]] = []
    for number in range(CONNECTIONS):
        done: asyncio.Future[None] = loop.create_future()
        over.append(done)
        await loop.create_connection(
            lambda number=number, done=done: Connection(number, url.netloc, until, times, done),  # type: ignore[misc]  # bound early
            url.hostname or "",
            url.port or 80,
        )
    await asyncio.gather(*over)
    return times


if __name__ == "__main__":
    sys.stdout.write(msgspec.json.encode(asyncio.run(_all(sys.argv[1], float(sys.argv[2])))).decode())
