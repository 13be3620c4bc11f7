"""``python -m tests.bench.clients``: what one 4 KiB PUT, and 1 GiB in parts, cost with each HTTP client, over loopback.

Prints processor time of the sending process: microseconds a request, and seconds for a GiB. The figures in
docs/dependencies.md are from here.
"""

from __future__ import annotations

import http.client
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import requests
import urllib3

from vvos_core import Http
from vvos_core.source import FileSource

from .content import GIB, MIB

REQUESTS, THREADS, PART = 4000, 4, 8 * MIB
_TARGET = "/bucket/key?X-Amz-Signature=" + "a" * 300
_HEADERS = {"content-md5": "rL0Y20zC+Fzt72VPzMSk2A==", "content-type": "application/octet-stream"}
_BODY = bytes(4096)


def drain(listener: socket.socket) -> None:
    """Take what comes, answer 200, and let the kernel throw the bodies away."""

    def serve(stream: socket.socket) -> None:
        head = b""
        while data := stream.recv(65536):
            head += data
            before, end, after = head.partition(b"\r\n\r\n")
            if not end:
                continue
            length = int(before.lower().partition(b"content-length:")[2].partition(b"\r\n")[0] or b"0")
            left, trash = length - len(after), bytearray(4 * MIB)
            while left > 0:
                left -= stream.recv_into(trash, min(left, len(trash)), socket.MSG_TRUNC) or left
            head = b""
            stream.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    with ThreadPoolExecutor(64) as pool:
        while True:
            stream, _ = listener.accept()
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            pool.submit(serve, stream)


def clients(port: int) -> dict[str, Callable[[], object]]:
    """By name, what puts 4 KiB."""
    url = f"http://127.0.0.1:{port}{_TARGET}"
    ours, session = Http(), requests.Session()
    pool = urllib3.HTTPConnectionPool("127.0.0.1", port)
    plain = http.client.HTTPConnection("127.0.0.1", port)

    def standard() -> None:
        plain.request("PUT", _TARGET, body=_BODY, headers=_HEADERS)
        plain.getresponse().read()

    return {
        "requests": lambda: session.put(url, data=_BODY, headers=_HEADERS),
        "urllib3": lambda: pool.urlopen("PUT", _TARGET, body=_BODY, headers=_HEADERS, retries=False),
        "http.client": standard,
        "vvos": lambda: ours.send("PUT", url, body=_BODY, headers=_HEADERS, what="put"),
    }


def main() -> None:
    if sys.argv[1:] == ["drain"]:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            print(listener.getsockname()[1], flush=True)  # noqa: T201  # what the parent reads
            drain(listener)
    server = subprocess.Popen([sys.executable, "-m", __spec__.name, "drain"], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        port = int(server.stdout.readline())
        for name, put in clients(port).items():
            put()
            began = time.process_time()
            for _ in range(REQUESTS):
                put()
            print(f"{name:12} {(time.process_time() - began) / REQUESTS * 1e6:6.0f} µs a request")  # noqa: T201  # the result
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "tape")
            with path.open("wb") as file:
                for _ in range(GIB // MIB):
                    file.write(bytes(MIB))
            large(FileSource(path), port)
    finally:
        server.terminate()
        server.wait()
        server.stdout.close()


def large(source: FileSource, port: int) -> None:
    ours = Http()

    def put(number: int) -> None:
        chunk = source.chunk(number, (number - 1) * PART, PART)
        ours.send("PUT", f"http://127.0.0.1:{port}{_TARGET}", body=chunk, what="put")

    began, cpu = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(put, range(1, GIB // PART + 1)))
    seconds = time.perf_counter() - began
    print(f"vvos, 1 GiB  {time.process_time() - cpu:.2f} s of processor, {GIB / seconds / 1e6:.0f} MB/s")  # noqa: T201  # the result
    ours.close()


if __name__ == "__main__":
    main()
