"""FaultProxy: listens on the loopback interface, and gives each connection to a `Link` of its own."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from types import TracebackType

from .fault import PATIENCE, Fault
from .link import Link
from .schedule import Headers, Schedule, Seen


class FaultProxy:
    """Passes HTTP/1.1 requests on to the service at ``target``, but for those that a fault is staged for.

    Plain HTTP only. What passes is not changed: neither its target nor its ``Host``, which signatures cover. Use it as
    a context manager. It holds no more than one block of a connection in memory; a request that is to be sent twice
    goes through a temporary file.

    Parameters
    ----------
    target: ``host:port``, or the service's ``http://host:port``.
    """

    def __init__(self, target: str) -> None:
        host, _, port = target.removeprefix("http://").rstrip("/").rpartition(":")
        self._target = (host.strip("[]"), int(port))
        self._schedule = Schedule()
        self._lock = threading.Lock()
        self._links: dict[Link, threading.Thread] = {}
        self._listener: socket.socket | None = None
        # Keeps the port, without listening, while connections are refused.
        self._keeper = _bound(0)
        self._port: int = self._keeper.getsockname()[1]
        self.address = f"127.0.0.1:{self._port}"
        self.url = f"http://{self.address}"
        self._listen()

    def stage(
        self,
        fault: Fault,
        method: str = "",
        target: str = "",
        *,
        header: tuple[str, str] | None = None,
        nth: int = 1,
        times: int | None = 1,
    ) -> None:
        """Let ``fault`` happen to the ``nth`` request that fits, and to those after it, ``times`` in all.

        Parameters
        ----------
        method: empty: any.
        target: a regular expression, found anywhere in the path and query as they are on the wire.
        header: a name, and a regular expression that is found in its value.
        nth: counted from this call, and from 1, among the requests that fit.
        times: ``None``: for ever.

        Of several that fit a request, the one staged first happens, and the others wait for the next.
        """
        self._schedule.stage(fault, method, target, header, nth, times)

    def pass_all(self) -> None:
        """No fault any more: what is staged is forgotten, what stalls ends, and connections are taken again."""
        with self._lock:
            self._schedule.clear()
            stalled = [link for link in self._links if link.stalls]
            if self._listener is None:
                self._listen()
        for link in stalled:
            link.hang_up()

    @property
    def log(self) -> list[Seen]:
        """The requests that came, oldest first (the last 10,000)."""
        return self._schedule.seen()

    @property
    def played(self) -> list[str]:
        """The names of the faults that happened, oldest first."""
        return [seen.fault for seen in self.log if seen.fault]

    def refuse(self) -> None:
        """Refuse connections from now on, and end those that stand."""
        with self._lock:
            links = self._stop_listening()
        for link in links:
            link.hang_up()

    def close(self) -> None:
        """Refuse connections, end those that stand, and wait for their threads."""
        self.refuse()
        with self._lock:
            threads = list(self._links.values())
        for thread in (*threads, self._accepting):
            thread.join(PATIENCE)
        self._keeper.close()

    def __enter__(self) -> FaultProxy:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _listen(self) -> None:
        self._listener = listener = _bound(self._port)
        listener.listen(128)
        self._accepting = threading.Thread(target=self._accept, args=(listener,), name="fault-proxy", daemon=True)
        self._accepting.start()

    def _stop_listening(self) -> list[Link]:
        """Under the lock; answers the connections that stand."""
        listener, self._listener = self._listener, None
        if listener is not None:
            with suppress(OSError):  # who waits in accept() is woken by this, not by close()
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        return list(self._links)

    def _choose(self, method: str, target: str, headers: Headers) -> tuple[Fault, Seen]:
        # Under one lock with pass_all: a link that is late must not refuse what is allowed again.
        with self._lock:
            if self._listener is None:
                raise ConnectionRefusedError
            fault, seen = self._schedule.choose(method, target, headers)
            links = self._stop_listening() if fault.refuses else []
        for link in links:
            link.hang_up()
        return fault, seen

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            link = Link(client, self._target, self._choose)
            thread = threading.Thread(target=self._run, args=(link,), name="fault-proxy-link", daemon=True)
            with self._lock:
                refusing = self._listener is not listener
                if not refusing:
                    self._links[link] = thread
            if refusing:
                client.close()
            else:
                thread.start()

    def _run(self, link: Link) -> None:
        try:
            link.run()
        finally:
            with self._lock:
                self._links.pop(link, None)


def _bound(port: int) -> socket.socket:
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    made.bind(("127.0.0.1", port))
    return made
