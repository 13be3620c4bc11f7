"""Which hosts serve a bucket, asked once and kept; and sending to the first of several that answers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlsplit

import msgspec
from msgspec import Struct, field

from vvos_core import Answer, BadAnswer, Chunk, Http, ServiceFailed, Unavailable

from .faults import FINAL, refused
from .settings import ENDPOINT

SICK_SECONDS = 60.0
"""How long a host that failed is only asked after the others."""
_BACKUP = ("https://kodo-config.qiniuapi.com", "https://uc.qbox.me")
"""The public service's other names, as the official SDKs have them."""


class Region(Struct, frozen=True):
    """The hosts of a bucket's region, ``https://host[:port]``."""

    up: tuple[str, ...]
    rs: tuple[str, ...]


class _Domains(Struct):
    domains: tuple[str, ...] = ()


class _Host(Struct):
    up: _Domains
    rs: _Domains = field(default_factory=_Domains)
    ttl: float = 86400.0


class _Query(Struct):
    hosts: list[_Host]


# learned while this is imported: msgspec crashes where two threads meet a type for the first time
msgspec.json.Decoder(_Query)


class Sender:
    """Sends to the first host that answers and does not fail. Shared by threads."""

    def __init__(self, http: Http, clock: Callable[[], float] = time.monotonic) -> None:
        self._http = http
        self._clock = clock
        self._sick: dict[str, float] = {}

    def send(
        self,
        method: str,
        hosts: Sequence[str],
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | Chunk | None = None,
        what: str,
    ) -> tuple[str, Answer]:
        """The host that answered, and what it said.

        Raises what ``Http.send`` does: for want of an answer the error of the last host.
        """
        failed: Unavailable | None = None
        last: tuple[str, Answer] | None = None
        for host in self._in_order(hosts):
            try:
                answer = self._http.send(method, host + path, headers=headers, body=body, what=what)
            except Unavailable as error:
                failed, last = error, None
            else:
                if answer.status < 500 or answer.status in FINAL:
                    self._sick.pop(host, None)
                    return host, answer
                last = host, answer
            self._sick[host] = self._clock() + SICK_SECONDS
        if last is not None:
            return last
        raise failed or ServiceFailed(f"{what}: the service names no host for it.")

    def _in_order(self, hosts: Sequence[str]) -> list[str]:
        now = self._clock()
        return sorted(dict.fromkeys(hosts), key=lambda host: self._sick.get(host, 0.0) > now)


class Regions:
    """Asks a service's ``/v4/query``; the answer is kept as long as it says. Shared by threads."""

    def __init__(self, sender: Sender, endpoint: str, clock: Callable[[], float] = time.monotonic) -> None:
        endpoint = endpoint.rstrip("/")
        self._endpoints = (endpoint, *_BACKUP) if endpoint == ENDPOINT else (endpoint,)
        self._scheme = urlsplit(endpoint).scheme
        self._sender = sender
        self._clock = clock
        self._lock = threading.Lock()
        self._known: dict[tuple[str, str], tuple[float, Region]] = {}

    def find(self, access_key: str, bucket: str, *, what: str, key: str) -> Region:
        """The region of a bucket. Raises ``ConfigError`` for no such bucket, ``Unavailable``, ``BadAnswer``."""
        with self._lock:  # while one asks, the others wait for its answer
            until, region = self._known.get((access_key, bucket), (0.0, None))
            if region is None or until <= self._clock():
                ttl, region = self._ask(access_key, bucket, what, key)
                self._known[access_key, bucket] = self._clock() + ttl, region
            return region

    def _ask(self, access_key: str, bucket: str, what: str, key: str) -> tuple[float, Region]:
        path = f"/v4/query?ak={quote(access_key, safe='')}&bucket={quote(bucket, safe='')}"
        what = f"{what}: asking for the hosts of the bucket {bucket}"
        _, answer = self._sender.send("GET", self._endpoints, path, what=what)
        if answer.status != 200:
            raise refused(answer, what, key=key, bucket=bucket)
        told: Any = decode(answer.body, _Query, what, key)
        if not told.hosts or not told.hosts[0].up.domains:
            raise BadAnswer(f"{what}: the service names none.", key=key)
        first = told.hosts[0]
        return first.ttl, Region(up=self._urls(first.up.domains), rs=self._urls(first.rs.domains))

    def _urls(self, domains: Sequence[str]) -> tuple[str, ...]:
        return tuple(domain if "://" in domain else f"{self._scheme}://{domain}" for domain in domains)


def decode(body: bytes, kind: Any, what: str, key: str) -> Any:
    """A JSON answer as a ``kind``. Raises ``BadAnswer``."""
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise BadAnswer(f"{what}: this is not how Kodo answers; is the address right?", key=key) from None
