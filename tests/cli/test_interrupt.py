"""Ctrl-C in the middle of an upload, with a service that does not answer until it is told to."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import struct
import subprocess
import termios
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from vvos_s3.emulator import S3Emulator

from .running import Spawn

MIB = 1024 * 1024


class Dam:
    """A TCP relay to the service that holds back every connection that begins with a PUT, until it is opened."""

    def __init__(self, target: str) -> None:
        self._target = ("127.0.0.1", int(urlsplit(target).port or 0))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = []
        self.held = threading.Event()
        self.opened = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def close(self) -> None:
        self.opened.set()
        # To wake accept(): closing alone does not.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for each in self._sockets:
            each.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(self._target)
            self._sockets += [client, server]
            threading.Thread(target=self._carry, args=(client, server, True), daemon=True).start()
            threading.Thread(target=self._carry, args=(server, client, False), daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket, hold: bool) -> None:
        try:
            while block := source.recv(65536):
                if hold and block.startswith(b"PUT"):
                    self.held.set()
                    self.opened.wait()
                target.sendall(block)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            return


@pytest.fixture
def dam(service: S3Emulator) -> Iterator[Dam]:
    made = Dam(service.info["endpoint"])
    yield made
    made.close()


def begin(spawn: Spawn, clean: Path, *more: str, stderr: int = subprocess.PIPE) -> subprocess.Popen[bytes]:
    (clean / "大.bin").write_bytes(b"x" * 20 * MIB)
    (clean / "second.bin").write_bytes(b"y" * 20 * MIB)
    return spawn("put", "大.bin", "second.bin", *more, stderr=stderr)


def line_with(stream: object, words: bytes) -> bytes:
    """Read lines until one has ``words``; the test's own time limit ends a wait in vain."""
    for line in stream:  # type: ignore[attr-defined]  # a pipe of Popen
        if words in line:
            return bytes(line)
    raise AssertionError(f"the process ended without {words!r}")


@pytest.mark.parametrize("as_json", [False, True])
def test_the_first_keeps_what_has_arrived_and_says_how_to_go_on(
    toml: Callable[..., Path], dam: Dam, service: S3Emulator, clean: Path, spawn: Spawn, as_json: bool
) -> None:
    toml(endpoint=dam.url)
    process = begin(spawn, clean, *(["--json"] if as_json else []))
    assert dam.held.wait(60)
    process.send_signal(signal.SIGINT)
    line_with(process.stderr, b"stopping: what has arrived of unfinished files is kept")
    assert process.poll() is None
    dam.opened.set()
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    said = "interrupted: 0 of 2 files had arrived; run the same command again, or vvos resume, to go on."
    assert err.decode() == f"vvos: {said}\n"
    assert service.counts["CreateMultipartUpload"] == 2
    assert service.counts["AbortMultipartUpload"] == 0
    assert service.counts["CompleteMultipartUpload"] == 0
    if as_json:
        document = json.loads(out)
        assert document["error"] == {"code": "CANCELLED", "message": said}
        assert sorted(file["clientKey"] for file in document["files"]) == ["second.bin", "大.bin"]
        assert {file["state"] for file in document["files"]} == {"paused"}
        assert document["ok"] is False
    else:
        assert out == b""


def test_the_second_stops_at_once(toml: Callable[..., Path], dam: Dam, clean: Path, spawn: Spawn) -> None:
    toml(endpoint=dam.url)
    process = begin(spawn, clean, "--json")
    assert dam.held.wait(60)
    process.send_signal(signal.SIGINT)
    line_with(process.stderr, b"stopping")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)  # the service still holds its answers
    assert process.returncode == 130
    assert b"Traceback" not in err
    assert json.loads(out)["error"]["code"] == "CANCELLED"


def test_on_a_terminal_the_cursor_comes_back(
    toml: Callable[..., Path], dam: Dam, clean: Path, spawn: Spawn, monkeypatch: pytest.MonkeyPatch
) -> None:
    toml(endpoint=dam.url)
    monkeypatch.setenv("TERM", "xterm")
    master, slave = os.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    process = begin(spawn, clean, stderr=slave)
    os.close(slave)
    assert dam.held.wait(60)
    process.send_signal(signal.SIGINT)
    written = b""
    try:
        while block := os.read(master, 65536):
            written += block
            if b"stopping" in written:
                dam.opened.set()
    except OSError:  # Linux: EIO when nobody has the other end any more
        pass
    os.close(master)
    assert process.wait(60) == 130
    assert b"vvos: stopping: what has arrived" in written
    assert written.count(b"\x1b[?25l") == written.count(b"\x1b[?25h") == 1
    assert b"vvos: interrupted: 0 of 2 files had arrived" in written
