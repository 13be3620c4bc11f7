"""AliyunEmulator: a local OSS that enforces signatures, policies, checksums, part rules and forbid-overwrite."""

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

    from .gate import Gate, Record
    from .store import Store

_RECORDS = 20_000


@dataclass(frozen=True)
class _Running:
    """What exists between start() and stop()."""

    server: LocalServer
    gate: Gate
    store: Store


class AliyunEmulator:
    """One server on the loopback interface with one bucket and state of its own; STS is at the same address.

    Several may run in one process and share nothing. Every time is taken from ``clock`` (seconds since 1970, UTC), so
    that a test can let a grant expire without waiting. Objects and parts are files of a temporary folder. Use as a
    context manager, or call start() and stop().

    ``requests`` holds a Record of each answered request, oldest first (the last 20,000); ``counts`` how many there were
    of each operation, such as "PutObject" or "UploadPart".
    """

    def __init__(
        self,
        *,
        port: int = 0,
        bucket: str = "vvos",
        host: str = "127.0.0.1",
        region: str = "cn-hangzhou",
        access_key: str | None = None,
        secret_key: str | None = None,
        cnames: Mapping[str, str] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """``cnames``: custom domains (``Host`` headers, without port) and the buckets that they are bound to."""
        self._host = host
        self._port = port
        self._bucket = bucket
        self._region = region
        self._access_key = access_key or f"LTAI{secrets.token_hex(10)}"
        self._secret_key = secret_key or secrets.token_urlsafe(24)
        self._cnames = {name.lower(): home for name, home in (cnames or {}).items()}
        self._lock = threading.Lock()
        self._running: _Running | None = None
        self.clock = clock
        """The source of the present time; may be replaced at any moment."""
        self.requests: deque[Record] = deque(maxlen=_RECORDS)
        self.counts: Counter[str] = Counter()
        self.flaws: set[str] = set()
        """What a service may get wrong, and this one too while it is named here: ``copy-header`` obeys an unsigned
        ``x-oss-copy-source``, ``overwrite`` ignores ``x-oss-forbid-overwrite``, ``abort`` answers that it aborted and
        keeps the parts."""

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
    def role_arn(self) -> str:
        """The role that AssumeRole knows; its own rights are everything."""
        from .sts import ROLE_ARN

        return ROLE_ARN

    def start(self) -> AliyunEmulator:
        """Bind the port, make the bucket and serve in the background. Raises OSError when the port is taken."""
        if self._running is not None:
            raise RuntimeError("the OSS emulator is already running")
        from vvos_core.testing.server import LocalServer

        from .credentials import Credential, Credentials
        from .gate import Gate
        from .store import Store

        store = Store()
        gate = Gate(
            store=store,
            credentials=Credentials(Credential(self._access_key, self._secret_key), lambda: self.clock()),
            region=self._region,
            clock=lambda: self.clock(),
            cnames=self._cnames,
            log=self._record,
            flaws=self.flaws,
        )
        try:
            store.make_bucket(self._bucket, self.clock())
            server = LocalServer(self._host, self._port, gate, "AliyunOSS", lambda: self.clock())
        except BaseException:
            store.close()
            raise
        server.start()
        self._running = _Running(server, gate, store)
        return self

    def stop(self) -> None:
        """Stop serving, close every connection and delete what was stored. Harmless when not running."""
        running, self._running = self._running, None
        if running is not None:
            running.server.stop()
            running.store.close()

    def add_key(self, policy: str) -> tuple[str, str]:
        """Access and secret key of a RAM user with this policy (JSON), until ``reset``."""
        user = self._require_running().gate.add_user(policy)
        return user.access_key, user.secret_key

    def profile(self) -> dict[str, object]:
        """The ``[profiles.NAME]`` table for the bucket: the provider and its settings."""
        info = self.info
        secrets_ = {name: Secret(info.pop(name)) for name in ("access_key", "secret_key")}
        return {"provider": "aliyun", **info, **secrets_}

    def read(self, key: str) -> Iterator[bytes]:
        """The bytes of an object, fetched over HTTP by oss2, as a user of OSS would."""
        import oss2  # type: ignore[import-untyped,unused-ignore]  # ships no types

        info = self.info
        auth = oss2.AuthV4(info["access_key"], info["secret_key"])
        bucket = oss2.Bucket(auth, info["endpoint"], info["bucket"], region=info["region"], enable_crc=False)
        with bucket.get_object(key) as answer:
            while piece := answer.read(1024 * 1024):
                yield piece
        bucket.session.session.close()

    def reset(self) -> None:
        """Fresh state on the same port: an empty bucket, no uploads, credentials, flaws, records; the same keys."""
        running = self._require_running()
        with running.store.lock:
            running.store.reset()
            running.gate.reset()
            running.store.make_bucket(self._bucket, self.clock())
        with self._lock:
            self.requests.clear()
            self.counts.clear()
            self.flaws.clear()

    def __enter__(self) -> AliyunEmulator:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _require_running(self) -> _Running:
        if self._running is None:
            raise RuntimeError("the OSS emulator is not running: call start() first")
        return self._running

    def _record(self, record: Record) -> None:
        with self._lock:
            self.requests.append(record)
            self.counts[record.operation or "Refused"] += 1
