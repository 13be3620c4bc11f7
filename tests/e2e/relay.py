"""A TCP relay on the loopback between a client and a server, which cuts, swallows and refuses as a test says."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from types import TracebackType

Judge = Callable[[bytes, "Relay"], str]
"""Given the first bytes of a request: "" lets it pass, "cut" resets the connection in the middle of it, "swallow"
forwards it and cuts before its answer."""


def let_pass(head: bytes, relay: Relay) -> str:
    return ""


class Relay:
    """Listens on a port of its own and forwards to ``target`` (an ``http://host:port``), one thread a direction."""

    def __init__(self, target: str, judge: Judge = let_pass) -> None:
        host, port = target.removeprefix("http://").split(":")
        self._target = (host, int(port))
        self.judge = judge
        self.judged: list[str] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._spawn(self._accept)

    def __enter__(self) -> Relay:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        for thread in self._threads:
            thread.join(5)

    def stop(self) -> None:
        """Nobody is there any more: open connections end, new ones are refused."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()

    def _spawn(self, work: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._target)
                self._open += [client, server]
                mute = threading.Event()
                self._spawn(self._requests, client, server, mute)
                self._spawn(self._answers, server, client, mute)

    def _requests(self, client: socket.socket, server: socket.socket, mute: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while data := client.recv(65536):
                # Requests of one connection come one after the other; each begins with its method.
                if data.split(b" ", 1)[0] in (b"PUT", b"POST", b"GET", b"DELETE", b"HEAD"):
                    fate = self.judge(data, self)
                    self.judged.append(fate)
                    if fate == "cut":
                        server.sendall(data[: len(data) // 2])
                        self._end(server)
                        # Closed with bytes unread: the client gets a reset, as from a machine that went down.
                        client.close()
                        return
                    if fate == "swallow":
                        mute.set()
                server.sendall(data)
        self._end(client, server)

    def _answers(self, server: socket.socket, client: socket.socket, mute: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(65536):
                if mute.is_set():
                    break
                client.sendall(data)
        self._end(client, server)

    @staticmethod
    def _end(*ends: socket.socket) -> None:
        for end in ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
