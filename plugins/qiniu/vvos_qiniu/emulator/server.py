"""QiniuEmulator: a local Kodo that enforces tokens, scopes, limits, checksums and multipart rules."""

from __future__ import annotations

import secrets
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING

from vvos_core import Secret

if TYPE_CHECKING:
    from vvos_core.testing.server import LocalServer

    from .blobs import BlobStore
    from .gate import Gate, Record
    from .store import Store

_RECORDS = 20_000


@dataclass(frozen=True)
class _Running:
    """What exists between start() and stop()."""

    server: LocalServer
    gate: Gate
    store: Store
    blobs: BlobStore


class QiniuEmulator:
    """One server on the loopback interface: one account, one bucket to begin with, and state of its own.

    It is every host of the service at once: region query, upload, management, and the bucket's domain. Several may run
    in one process and share nothing. Every time is taken from ``clock``, so that a test can let a token expire without
    waiting. With ``private`` the bucket is only read by signed urls. Use as a context manager, or call start() and
    stop().

    ``requests`` holds a Record of each answered request, oldest first (the last 20,000); ``counts`` how many there were
    of each operation, such as "Form" or "UploadPart", and "Refused" for those that got no further than their token.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        bucket: str = "vvos",
        host: str = "127.0.0.1",
        region: str = "z0",
        access_key: str | None = None,
        secret_key: str | None = None,
        private: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._host = host
        self._port = port
        self._bucket = bucket
        self._region = region
        self._private = private
        self._access_key = access_key or secrets.token_urlsafe(30)
        self._secret_key = secret_key or secrets.token_urlsafe(30)
        self.clock = clock
        self._lock = threading.Lock()
        self._running: _Running | None = None
        self.requests: deque[Record] = deque(maxlen=_RECORDS)
        self.counts: Counter[str] = Counter()
        self.flaws: set[str] = set()
        """What a service may get wrong, and this one too while it is named here: ``overwrite`` ignores ``insertOnly``,
        ``abort`` answers that it aborted and keeps the parts, ``cors`` tells a browser nothing."""

    @property
    def info(self) -> dict[str, str]:
        """What a client needs: endpoint, access_key, secret_key, bucket, region."""
        return {
            "endpoint": self._require_running().server.url,
            "access_key": self._access_key,
            "secret_key": self._secret_key,
            "bucket": self._bucket,
            "region": self._region,
        }

    @property
    def gate(self) -> Gate:
        """What answers the requests."""
        return self._require_running().gate

    def start(self) -> QiniuEmulator:
        """Bind the port, make the bucket and serve in the background. Raises ``OSError`` if the port is taken."""
        if self._running is not None:
            raise RuntimeError("the Qiniu emulator is already running")
        from vvos_core.testing.server import LocalServer

        from .blobs import BlobStore
        from .gate import Gate
        from .store import Store
        from .tokens import Keys
        from .transport import serving

        def now() -> float:
            return self.clock()

        store, blobs = Store(self._region, now), BlobStore()
        keys = Keys(self._access_key, self._secret_key, now, self.flaws)
        gate = Gate(
            store=store,
            blobs=blobs,
            keys=keys,
            bucket=self._bucket,
            clock=now,
            log=self._record,
            flaws=self.flaws,
        )
        try:
            server = LocalServer(self._host, self._port, serving(gate), "Tengine", now)
        except OSError:
            blobs.close()
            raise
        server.start()
        self._running = _Running(server, gate, store, blobs)
        self._make_bucket(store)
        return self

    def stop(self) -> None:
        """Stop serving, close every connection and delete what was stored. Harmless when not running."""
        running, self._running = self._running, None
        if running is None:
            return
        running.server.stop()
        running.gate.reset()
        running.store.clear()
        running.blobs.close()

    def add_key(self, rights: Mapping[str, str]) -> tuple[str, str]:
        """Access and secret key of an IAM user who may do no more than ``rights``, until ``reset``.

        Each action (``Delete``) has a pattern of keys; ``*`` is all.
        """
        return self._require_running().gate.add_user(rights)

    def profile(self) -> dict[str, object]:
        """The ``[profiles.NAME]`` table for the bucket: the provider and its settings."""
        info = self.info
        return {
            "provider": "qiniu",
            "bucket": info["bucket"],
            "access_key": Secret(info["access_key"]),
            "secret_key": Secret(info["secret_key"]),
            "endpoint": info["endpoint"],
            "domain": info["endpoint"],
            "url_ttl": 3600 if self._private else 0,
        }

    def read(self, key: str) -> Iterator[bytes]:
        """The bytes of an object, in pieces, from the url that the SDK signs."""
        from urllib.parse import quote

        import requests
        from qiniu import Auth  # type: ignore[import-untyped,unused-ignore]  # ships no types

        info = self.info
        url = Auth(info["access_key"], info["secret_key"]).private_download_url(f"{info['endpoint']}/{quote(key)}")
        with requests.Session() as session:
            session.trust_env = False
            with session.get(url, stream=True, timeout=60) as response:
                response.raise_for_status()
                yield from response.iter_content(1024 * 1024)

    def reset(self) -> None:
        """Fresh state on the same port: an empty bucket, no uploads, users, flaws, records; the same keys."""
        running = self._require_running()
        running.gate.reset()
        running.gate.blocks.host = ""
        running.store.clear()
        self._make_bucket(running.store)
        with self._lock:
            self.requests.clear()
            self.counts.clear()
            self.flaws.clear()

    def __enter__(self) -> QiniuEmulator:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _make_bucket(self, store: Store) -> None:
        store.create(self._bucket).private = self._private

    def _require_running(self) -> _Running:
        if self._running is None:
            raise RuntimeError("the Qiniu emulator is not running: call start() first")
        return self._running

    def _record(self, record: Record) -> None:
        with self._lock:
            self.requests.append(record)
            self.counts[record.operation] += 1
