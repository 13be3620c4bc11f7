"""S3Emulator: a local S3 that enforces signatures, expiry, checksums and multipart rules."""

from __future__ import annotations

import secrets
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING

from vvos_core import Secret
from vvos_core.testing.server import LocalServer

from .sigv4 import Credential
from .sts import Credentials

if TYPE_CHECKING:
    from .blobs import BlobStore
    from .gate import Gate, Record
    from .moto_store import MotoStore

_RECORDS = 20_000


@dataclass(frozen=True)
class _Running:
    """What exists between start() and stop()."""

    server: LocalServer
    gate: Gate
    moto: MotoStore
    blobs: BlobStore


class S3Emulator:
    """One server on the loopback interface with one bucket and state of its own.

    Several may run in one process: each is a separate account inside moto and shares nothing with the others. Every
    time is taken from `clock`, so that a test can let a grant expire without waiting; only Last-Modified of finished
    objects is the real time, because moto sets it. Use as a context manager, or call start() and stop().

    `requests` holds a Record of each answered request, oldest first (the last 20,000); `counts` how many there were
    of each operation, such as "PutObject" or "UploadPart", and "Refused" for those whose signature did not hold.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        bucket: str = "vvos",
        host: str = "127.0.0.1",
        region: str = "us-east-1",
        access_key: str | None = None,
        secret_key: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._host = host
        self._port = port
        self._bucket = bucket
        self._region = region
        self._root = Credential(
            access_key or f"AKIA{secrets.token_hex(8).upper()}", secret_key or secrets.token_urlsafe(30)
        )
        self._clock = clock
        self._lock = threading.Lock()
        self._running: _Running | None = None
        self._credentials = Credentials(self._root, lambda: self.clock())
        self.requests: deque[Record] = deque(maxlen=_RECORDS)
        self.counts: Counter[str] = Counter()
        self.flaws: set[str] = set()
        """What other services get wrong, and this one too while it is named here: ``copy-header`` obeys an unsigned
        ``x-amz-copy-source``, ``overwrite`` ignores If-None-Match, ``checksum`` computes none unasked and tells none,
        ``abort`` answers that it aborted and keeps the parts."""

    @property
    def clock(self) -> Callable[[], float]:
        """The source of the present time, in seconds since 1970; may be replaced at any moment."""
        return self._clock

    @clock.setter
    def clock(self, value: Callable[[], float]) -> None:
        self._clock = value

    @property
    def info(self) -> dict[str, str]:
        """What a client needs: endpoint, access_key, secret_key, bucket, region."""
        return {
            "endpoint": self._require_running().server.url,
            "access_key": self._root.access_key,
            "secret_key": self._root.secret_key,
            "bucket": self._bucket,
            "region": self._region,
        }

    def start(self) -> S3Emulator:
        """Binds the port, makes the bucket and serves in the background. Raises OSError if the port is taken."""
        if self._running is not None:
            raise RuntimeError("the S3 emulator is already running")
        # moto and what it imports take about half a second: not at import of this package.
        from .blobs import BlobStore
        from .gate import Gate
        from .moto_store import MotoStore

        moto, blobs = MotoStore(self._region), BlobStore()
        moto.create_bucket(self._bucket)
        gate = Gate(
            region=self._region,
            credentials=self._credentials,
            clock=lambda: self.clock(),
            moto=moto,
            blobs=blobs,
            log=self._record,
            flaws=self.flaws,
        )
        try:
            server = LocalServer(self._host, self._port, gate, "AmazonS3", lambda: self.clock())
        except OSError:
            moto.close()
            blobs.close()
            raise
        server.start()
        self._running = _Running(server, gate, moto, blobs)
        return self

    def stop(self) -> None:
        """Stops serving, closes every connection and deletes what was stored. Harmless when not running."""
        running, self._running = self._running, None
        if running is None:
            return
        running.server.stop()
        running.moto.close()
        running.blobs.close()

    def add_key(self, rights: Mapping[str, str]) -> tuple[str, str]:
        """Access and secret key of a user who may do no more than ``rights``, until ``reset``.

        Each action (``s3:PutObject``) has a pattern of keys; ``*`` is all, and what a bucket's own actions have.
        """
        key = self._credentials.add(rights)
        return key.access_key, key.secret_key

    def profile(self) -> dict[str, object]:
        """The `[profiles.NAME]` table for the bucket: the provider and its settings."""
        info = self.info
        secrets_ = {name: Secret(info.pop(name)) for name in ("access_key", "secret_key")}
        return {"provider": "s3", **info, **secrets_}

    def read(self, key: str) -> Iterator[bytes]:
        """The bytes of an object, fetched over HTTP by boto3, as a user of S3 would."""
        import boto3  # type: ignore[import-untyped,unused-ignore]  # ships no types
        from botocore.config import Config  # type: ignore[import-untyped,unused-ignore]  # ships no types

        info = self.info
        client = boto3.client(
            "s3",
            endpoint_url=info["endpoint"],
            aws_access_key_id=info["access_key"],
            aws_secret_access_key=info["secret_key"],
            region_name=info["region"],
            config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
        )
        with closing(client):
            yield from client.get_object(Bucket=info["bucket"], Key=key)["Body"].iter_chunks(1024 * 1024)

    def reset(self) -> None:
        """Fresh state on the same port: an empty bucket, no uploads, sessions, users, flaws, records; the same keys."""
        running = self._require_running()
        with running.moto.lock:
            running.moto.reset()
            running.gate.reset()
            self._credentials.reset()
            running.moto.create_bucket(self._bucket)
        with self._lock:
            self.requests.clear()
            self.counts.clear()
            self.flaws.clear()

    def __enter__(self) -> S3Emulator:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _require_running(self) -> _Running:
        if self._running is None:
            raise RuntimeError("the S3 emulator is not running: call start() first")
        return self._running

    def _record(self, record: Record) -> None:
        with self._lock:
            self.requests.append(record)
            self.counts[record.operation] += 1
