"""A bench for the provider: its granting half with settings for the emulator, and its storing half without any."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import pytest
from msgspec.structs import replace
from vvos_qiniu import Qiniu, Settings
from vvos_qiniu.emulator import QiniuEmulator
from vvos_qiniu.emulator.pytest_plugin import qiniu_emulator, qiniu_emulator_session  # noqa: F401  # fixtures

from vvos_core import (
    Ask,
    ExistsRequest,
    Finished,
    Found,
    Grant,
    Notified,
    NotifyRequest,
    Plan,
    Receipt,
    Secret,
    Stored,
    TokenRequest,
    VVOSError,
)

E = TypeVar("E", bound=VVOSError)


@pytest.fixture(autouse=True, scope="session")
def _plain_environment() -> Iterator[None]:
    """No proxy, and no Qiniu configuration of the machine."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.lower().endswith("_proxy") or "QINIU" in name:
                patch.delenv(name)
        yield


class Bytes:
    """A chunk of bytes in memory. ``later`` is what it reads from the second time on: a file that changed."""

    def __init__(self, data: bytes, number: int = 1, offset: int = 0, later: bytes | None = None) -> None:
        self.number = number
        self.offset = offset
        self.readings = 0
        self._data = data
        self._later = data if later is None else later

    def __len__(self) -> int:
        return len(self._data)

    def __iter__(self) -> Iterator[memoryview]:
        data = memoryview(self._later if self.readings else self._data)
        self.readings += 1
        for start in range(0, len(data), 256 * 1024):
            yield data[start : start + 256 * 1024]


class Bench:
    """The two halves, and the emulator between them."""

    def __init__(self, emulator: QiniuEmulator) -> None:
        self.emulator = emulator
        self.granting = self.made()
        self.storing = Qiniu(None)

    def settings(self, **changes: Any) -> Settings:
        info = self.emulator.info
        values: dict[str, Any] = {
            "bucket": info["bucket"],
            "endpoint": info["endpoint"],
            "domain": info["endpoint"],
            "access_key": Secret(info["access_key"]),
            "secret_key": Secret(info["secret_key"]),
        }
        return Settings(**(values | changes))

    def made(self, **changes: Any) -> Qiniu:
        return Qiniu(self.settings(**changes))

    def request(self, *asks: Ask, cover: bool = False, seconds: float = 600) -> TokenRequest:
        now = self.emulator.clock()
        return TokenRequest(files=asks, request_token="e30.e30.x", issued_at=now, expires_at=now + seconds, cover=cover)

    def answers(self, *asks: Ask, cover: bool = False) -> list[Grant | VVOSError]:
        return list(self.granting.token(self.request(*asks, cover=cover)))

    def grant(self, key: str, size: int, *, cover: bool = False, **more: Any) -> Grant:
        (answer,) = self.answers(Ask(client_key=key, key=key, size=size, **more), cover=cover)
        assert isinstance(answer, Grant), answer
        return answer

    def refusal(self, kind: type[E], ask: Ask, *, cover: bool = False) -> E:
        (answer,) = self.answers(ask, cover=cover)
        assert isinstance(answer, kind), answer
        return answer

    def renewal(self, grant: Grant, **changes: Any) -> Ask:
        """Asks for ``grant`` again, as it comes back from the token of a client: without its data."""
        values: dict[str, Any] = {
            "client_key": grant.client_key,
            "key": grant.key,
            "size": grant.size,
            "type": grant.type,
            "renew": replace(grant, data={}),
        }
        return Ask(**(values | changes))

    def renewed(self, grant: Grant, **changes: Any) -> Grant:
        (answer,) = self.answers(self.renewal(grant, **changes), cover=grant.cover)
        assert isinstance(answer, Grant), answer
        return answer

    def plain(self, key: str, size: int, token: str, **more: Any) -> Grant:
        """The grant that a client makes of a plain backend's answer: an upload token, and nothing else."""
        rules = self.storing.rules
        cut = size > rules.threshold
        return Grant(
            provider="qiniu",
            key=key,
            client_key=key,
            size=size,
            multipart=cut,
            part_size=rules.part_size if cut else 0,
            access_token=token,
            **more,
        )

    def chunks(self, grant: Grant, data: bytes) -> list[Bytes]:
        cut = Plan(size=len(data), multipart=grant.multipart, part_size=grant.part_size)
        spans = [(number, *cut.span(number)) for number in range(1, cut.count + 1)]
        return [Bytes(data[offset : offset + length], number, offset) for number, offset, length in spans]

    def store(self, grant: Grant, data: bytes) -> list[Receipt]:
        return [self.storing.put_chunk(grant, chunk) for chunk in self.chunks(grant, data)]

    def upload(self, key: str, data: bytes, *, cover: bool = False, **more: Any) -> tuple[Grant, Stored]:
        """A whole upload, as the engine does it."""
        grant = self.grant(key, len(data), cover=cover, **more)
        return grant, self.storing.complete(grant, self.store(grant, data))

    def notify(self, grant: Grant, size: int, checksum: str = "") -> Notified | VVOSError:
        done = Finished(grant=replace(grant, data={}), size=size, checksum=checksum)
        (answer,) = self.granting.notify(NotifyRequest(objects=(done,)))
        return answer

    def found(self, grant: Grant, *, parts: bool = False) -> Found | VVOSError:
        (answer,) = self.granting.exists(ExistsRequest(grants=(replace(grant, data={}),), parts=parts))
        return answer

    def read(self, key: str) -> bytes:
        return b"".join(self.emulator.read(key))

    def later(self, seconds: float) -> None:
        """Move the service's clock, not the broker's."""
        self.emulator.clock = lambda: time.time() + seconds


@pytest.fixture
def bench(qiniu_emulator: QiniuEmulator) -> Bench:  # noqa: F811  # the fixture above
    return Bench(qiniu_emulator)


@pytest.fixture
def data() -> Callable[[int], bytes]:
    """So many bytes, no two blocks of them alike."""
    return os.urandom
