"""A bench for the provider: its granting half with settings for the emulator, and its storing half without any."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import pytest
from msgspec.structs import replace
from vvos_aliyun import Aliyun, Settings
from vvos_aliyun.emulator import AliyunEmulator
from vvos_aliyun.emulator.pytest_plugin import (  # noqa: F401  # fixtures
    aliyun_bucket,
    aliyun_emulator,
    aliyun_emulator_session,
)

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
    Stored,
    TokenRequest,
    VVOSError,
)

E = TypeVar("E", bound=VVOSError)
MIB = 1024 * 1024

with warnings.catch_warnings():
    # The SDK of the judge is old: importing it warns of regular expressions and of modules of yesterday.
    warnings.simplefilter("ignore")
    import oss2  # type: ignore[import-untyped,unused-ignore]  # noqa: F401  # ships no types; imported for its warnings


def pytest_configure(config: pytest.Config) -> None:
    # oss2 signs with datetime.utcnow(), which Python 3.12 and later warn of; it is theirs to mend.
    config.addinivalue_line("filterwarnings", "ignore:datetime.datetime.utcnow:DeprecationWarning:oss2")


@pytest.fixture(autouse=True, scope="session")
def _plain_environment() -> Iterator[None]:
    """No proxy of the machine."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.lower().endswith("_proxy"):
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

    def __init__(self, emulator: AliyunEmulator, **changes: Any) -> None:
        self.emulator = emulator
        self.changes = changes
        self.granting = self.made()
        self.storing = Aliyun(None)

    def settings(self, **changes: Any) -> Settings:
        values: dict[str, Any] = dict(self.emulator.profile())
        del values["provider"]
        values |= {"threshold": 200_000, "part_size": 102_400}
        return Settings(**(values | self.changes | changes))

    def made(self, **changes: Any) -> Aliyun:
        return Aliyun(self.settings(**changes))

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
        """Asks for ``grant`` again, as it comes back from the token of a client: without its requests."""
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

    def later(self, seconds: float) -> None:
        """Move the service's clock, not the broker's."""
        self.emulator.clock = lambda: time.time() + seconds


@pytest.fixture
def bench(aliyun_emulator: AliyunEmulator) -> Bench:  # noqa: F811  # the fixture above
    return Bench(aliyun_emulator)


@pytest.fixture
def sts_bench(aliyun_emulator: AliyunEmulator) -> Bench:  # noqa: F811  # the fixture above
    """Grants are STS credentials."""
    endpoint = aliyun_emulator.info["endpoint"]
    return Bench(aliyun_emulator, grant="sts", role_arn=aliyun_emulator.role_arn, sts_endpoint=endpoint)


@pytest.fixture
def data() -> Callable[[int], bytes]:
    """So many bytes, no two blocks of them alike."""
    return os.urandom
