"""Runs the broker: in the foreground for ``vvos serve``, or in a thread beside its user."""

from __future__ import annotations

import gc
import logging
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError
from . import create_app, extra

if TYPE_CHECKING:
    from ..profile import Config

KEEP_ALIVE_SECONDS = 15
GARBAGE_AFTER = 50_000
"""Objects made and not gone, after which Python looks for circles among them. Calls make thousands, and no circles: at
its own figure, 700, looking takes a tenth of the broker's time."""
GRACE_SECONDS = 10
"""How long calls in progress may go on after a signal to stop."""


def serve(
    config: Config,
    *,
    host: str | None = None,
    port: int | None = None,
    business: object | None = None,
    on_ready: Callable[[str], None] | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM, then let the calls in progress end.

    Parameters
    ----------
    host, port: instead of those of ``config``; port 0 takes a free one.
    business: as in ``create_app``.
    on_ready: told the url, once it is answered.

    Raises ``ConfigError`` and ``PluginError`` before anything listens.
    """
    app = create_app(config, business=business)
    _log_to_stderr()
    gc.collect()
    gc.freeze()  # what is there now stays
    gc.set_threshold(GARBAGE_AFTER)
    server = BrokerServer(
        app,
        host=config.broker.host if host is None else host,
        port=config.broker.port if port is None else port,
        on_ready=on_ready,
    )
    server.run()


class BrokerServer:
    """An ASGI application behind a real socket: ``with BrokerServer(create_app(config)) as server: server.url``.

    The address is taken in the constructor. Raises ``ConfigError`` when it cannot be had.
    """

    def __init__(
        self,
        app: Any,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        on_ready: Callable[[str], None] | None = None,
    ) -> None:
        with extra():
            import uvicorn

            from .patience import CLOSING, MAX_CONNECTIONS, Patience
        self._socket = _listen(host, port)
        self.host = host
        self.port: int = self._socket.getsockname()[1]
        self._on_ready = on_ready
        self._ready = threading.Event()
        self._thread: threading.Thread | None = None
        settings = uvicorn.Config(
            app,
            http=Patience,
            ws="none",
            lifespan="on",
            limit_concurrency=MAX_CONNECTIONS + CLOSING,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=GRACE_SECONDS,
            proxy_headers=False,
            server_header=False,
            access_log=False,
            log_config=None,
        )
        self._server = _server(uvicorn.Server, settings, self._started)

    @property
    def url(self) -> str:
        """Without a slash at its end."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    def run(self) -> None:
        """Serve in this thread until it is told to stop. Raises ``ConfigError`` when the application does not start."""
        try:
            self._server.run(sockets=[self._socket])
        except SystemExit:  # uvicorn's way to say so
            raise ConfigError(f"the broker at {self.url} did not start; its log says why.") from None
        finally:
            self._socket.close()

    def stop(self) -> None:
        """Let the calls in progress end, then return. Harmless when it is stopped already."""
        self._server.should_exit = True
        if self._thread is not None:
            self._thread.join()

    def __enter__(self) -> BrokerServer:
        failed: list[ConfigError] = []

        def run() -> None:
            try:
                self.run()
            except ConfigError as error:
                failed.append(error)
                self._ready.set()

        self._thread = threading.Thread(target=run, name="vvos-broker", daemon=True)
        self._thread.start()
        self._ready.wait()
        if failed:
            raise failed[0]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _started(self) -> None:
        self._ready.set()
        if self._on_ready is not None:
            self._on_ready(self.url)


def _server(base: Any, settings: Any, started: Callable[[], None]) -> Any:
    """A uvicorn server that says when it answers, and that returns after a signal instead of raising it again."""

    class Server(base):  # type: ignore[misc]  # the base is imported late, hence no type
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started:
                started()

        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            if threading.current_thread() is not threading.main_thread():
                yield
                return
            before = {sig: signal.signal(sig, self.handle_exit) for sig in (signal.SIGINT, signal.SIGTERM)}
            try:
                yield
            finally:
                for sig, handler in before.items():
                    signal.signal(sig, handler)

    return Server(settings)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(2048)
    except OSError as error:
        listener.close()
        raise ConfigError(
            f"the broker cannot listen at {host}:{port} ({error.strerror}); choose another host or port."
        ) from None
    return listener


def _log_to_stderr() -> None:
    """Every log line of the process as one JSON object on standard error."""
    with extra():
        import structlog
    ours = logging.StreamHandler()
    ours.setFormatter(logging.Formatter("%(message)s"))
    broker = logging.getLogger("vvos.broker")
    broker.handlers = [ours]
    broker.setLevel(logging.INFO)
    broker.propagate = False
    others = logging.StreamHandler()
    others.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[
                structlog.stdlib.add_log_level,
                structlog.stdlib.add_logger_name,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
            ],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    logging.getLogger().handlers = [others]
