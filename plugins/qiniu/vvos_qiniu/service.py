"""The half that asks the service with the profile's own keys, through the qiniu SDK: looking, signed urls."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

import msgspec
from msgspec import Struct, field

from vvos_core import BadAnswer, NotFound, PluginError, Unavailable, VVOSError

from .checksum import QETAG
from .faults import fault, text
from .hosts import Regions
from .settings import Settings

THREADS = 8
"""Calls to the service at once, for all batches together; a call for one file goes in its caller's own thread."""
BATCH = 1000
"""The most operations in one call (Qiniu, "Batch")."""
Item = TypeVar("Item")
Result = TypeVar("Result")


class Head(Struct, frozen=True, kw_only=True):
    """An object as the service knows it."""

    size: int
    checksum: str


class _Told(Struct):
    fsize: int = -1
    hash: str = ""
    error: str = ""


class _Line(Struct):
    code: int
    data: _Told = field(default_factory=_Told)


# learned while this is imported: msgspec crashes where two threads meet a type for the first time
msgspec.json.Decoder(_Line)


class Service:
    """A bucket, asked with its owner's keys. The SDK is imported on first use; shared by threads."""

    def __init__(self, settings: Settings, regions: Regions) -> None:
        self._settings = settings
        self._regions = regions
        self._lock = threading.Lock()
        self._auth: Any = None
        self._pool: ThreadPoolExecutor | None = None

    def each(self, do: Callable[[Item], Result], items: Sequence[Item]) -> list[Result | VVOSError]:
        """``do`` for each item, several at once: its answer, or the error that it raised."""

        def one(item: Item) -> Result | VVOSError:
            try:
                return do(item)
            except VVOSError as error:
                return error

        if len(items) < 2:
            return [one(item) for item in items]
        with self._lock:
            self._pool = self._pool or ThreadPoolExecutor(THREADS, thread_name_prefix="vvos-qiniu")
        return list(self._pool.map(one, items))

    def url(self, key: str, now: float) -> str:
        """The url of an object; signed, with what the profile says, from ``now`` on."""
        url = f"{self._settings.domain.rstrip('/')}/{quote(key, safe='/')}"
        if not self._settings.url_ttl:
            return url
        url = f"{url}?e={int(now) + self._settings.url_ttl}"
        return f"{url}&token={self._signer().token(url)}"

    def up_hosts(self, what: str, key: str) -> tuple[str, ...]:
        """Where to upload."""
        return self._settings.up_hosts or self._region(what, key).up

    def rs_hosts(self, what: str, key: str) -> tuple[str, ...]:
        """Where objects are looked up and removed. Raises ``BadAnswer`` when the service names no host."""
        hosts: tuple[str, ...] = self._settings.rs_hosts or self._region(what, key).rs
        if not hosts:
            raise BadAnswer(f"{what}: the service names no host for it; write rs_hosts in the profile.")
        return hosts

    def signature(self, url: str) -> str:
        """The ``Authorization`` of a management request without a body (Qiniu, "Management credential", QBox)."""
        return f"QBox {self._signer().token_of_request(url)}"

    def heads(self, keys: Sequence[str]) -> list[Head | VVOSError | None]:
        """The object under each key; None where there is none. One call for a thousand."""
        found: list[Head | VVOSError | None] = []
        for start in range(0, len(keys), BATCH):
            some = keys[start : start + BATCH]
            found += [self._head(key, line) for key, line in zip(some, self._stat(some), strict=True)]
        return found

    def _head(self, key: str, line: _Line) -> Head | VVOSError | None:
        if line.code == 200:
            return Head(size=line.data.fsize, checksum=f"{QETAG}:{line.data.hash}")
        what = f"looking for {key!r}"
        error = fault(line.code, line.data.error, what, key=key, bucket=self._settings.bucket)
        return None if isinstance(error, NotFound) else error

    def _stat(self, keys: Sequence[str]) -> list[_Line]:
        what = f"looking for {keys[0]!r}" + (f" and {len(keys) - 1} more" if len(keys) > 1 else "")
        hosts = self.rs_hosts(what, keys[0])
        manager, build = self._manager(hosts)
        _, answer = manager.batch(build(self._settings.bucket, list(keys)))
        if answer.status_code < 0:
            raise Unavailable(f"{what}: {urlsplit(hosts[0]).netloc} could not be reached, or was silent.")
        body = (answer.text_body or "").encode()
        # The SDK gives no list where some failed (298), though the service does.
        if answer.status_code not in (200, 298):
            raise fault(answer.status_code, text(body), what, key=None, bucket=self._settings.bucket)
        try:
            lines = msgspec.json.decode(body, type=list[_Line])
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            lines = []
        if len(lines) != len(keys):
            raise BadAnswer(f"{what}: this is not how Kodo answers; is the address right?")
        return lines

    def _region(self, what: str, key: str) -> Any:
        settings = self._settings
        return self._regions.find(settings.access_key.reveal(), settings.bucket, what=what, key=key)

    def _manager(self, hosts: Sequence[str]) -> tuple[Any, Any]:
        auth = self._signer()
        from qiniu import BucketManager, build_batch_stat  # type: ignore[import-untyped,unused-ignore]  # ships no types
        from qiniu.http.endpoint import Endpoint  # type: ignore[import-untyped,unused-ignore]  # ships no types
        from qiniu.http.region import Region, ServiceName  # type: ignore[import-untyped,unused-ignore]  # as above

        # With the hosts given, the SDK neither asks for them nor keeps them in the shared temporary folder.
        region = Region(services={ServiceName.RS: [Endpoint.from_host(host) for host in hosts]})
        scheme = urlsplit(hosts[0]).scheme
        return BucketManager(auth, regions=[region], preferred_scheme=scheme), build_batch_stat

    def _signer(self) -> Any:
        with self._lock:
            if self._auth is None:
                try:
                    from qiniu import Auth
                except ImportError as error:
                    raise PluginError(
                        "granting uploads to Qiniu needs its SDK; install it: pip install 'vvos-qiniu[broker]'"
                    ) from error
                settings = self._settings
                # Undated: the SDK dates with a call that Python 3.12 deprecates, and turns the warning, where it is
                # an error, into a failed request. What is signed so is only ever a look.
                self._auth = Auth(settings.access_key.reveal(), settings.secret_key.reveal(), True)
            return self._auth
