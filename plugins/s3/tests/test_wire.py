"""The key that was signed is the path on the wire, whatever key the core lets pass."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import HealthCheck, example, given, settings, strategies as st

from vvos_core.errors import BadKey
from vvos_core.keys import check_key

SEGMENT = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=12) | st.sampled_from(
    ["...", ".a", "..a", "%2e%2e", "%2F", "a%", "+", "&=?#;:@", "~", "\\", "a b", " ", "文", "%41", "http:", "*", "'\""]
)


def acceptable(key: str) -> bool:
    try:
        check_key(key)
    except BadKey:
        return False
    return True


KEYS = st.lists(SEGMENT, min_size=1, max_size=4).map("/".join).filter(acceptable)


@contextmanager
def listening() -> Iterator[tuple[str, list[str]]]:
    """A socket that writes down the target of each request and answers that it stored it."""
    targets: list[str] = []

    def serve(server: socket.socket) -> None:
        while True:
            try:
                stream, _ = server.accept()
            except OSError:
                return
            with stream:
                data = b""
                while not data.endswith(b"\r\n\r\nx"):
                    data += stream.recv(65536)
                targets.append(data.split(b" ")[1].decode("ascii"))
                stream.sendall(b"HTTP/1.1 200 OK\r\nETag: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve, args=(server,))
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}", targets
        server.shutdown(socket.SHUT_RDWR)
    thread.join()


@pytest.mark.parametrize("path_style", [True, False])
def test_the_path_on_the_wire_is_the_key(bench: Any, path_style: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not path_style:
        # bucket.127.0.0.1 is no name of the machine's; on the wire it is this one.
        look_up = socket.getaddrinfo
        monkeypatch.setattr(
            socket, "getaddrinfo", lambda host, *rest, **more: look_up(host.removeprefix("vvos."), *rest, **more)
        )
    with listening() as (endpoint, targets):
        bench.granting = bench.made(endpoint=endpoint, path_style=path_style)

        @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
        @example("...")
        @example("a/%2e%2e/b")
        @example("~/ +%#?&=;:@'\"[x]\\|^`{}<>")
        @example("照片/端午节 2026.jpg")
        @given(KEYS)
        def check(key: str) -> None:
            targets.clear()
            bench.store(bench.grant(key, 1), b"x")
            path = targets[0].partition("?")[0]
            assert unquote_to_bytes(path).decode() == ("/vvos/" if path_style else "/") + key

        check()
