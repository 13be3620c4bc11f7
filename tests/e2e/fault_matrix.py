"""The fault matrix as data: the clouds, the calls that an upload makes of them and of the broker, and the faults."""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import formatdate
from typing import Any
from urllib.parse import quote

from msgspec import Struct

from vvos_core import MIB
from vvos_core.testing.faults import (
    Fault,
    answer,
    answer_after,
    cut,
    duplicate,
    garbage,
    refuse,
    reset,
    stall,
    swallow,
    throttle,
    truncate,
)

SMALL, LARGE = "目录/小 文件.txt", "目录/大 文件+%#?&.bin"


class At(Struct, frozen=True):
    """Which request a call is: the ``nth`` that fits."""

    method: str
    target: str
    nth: int = 1


class Cloud(Struct, frozen=True, kw_only=True):
    """A provider as the matrix sees it."""

    emulator: str = ""
    """The entry point of its emulator; empty: there is no network between."""
    settings: Mapping[str, Any] = {}
    hosts: tuple[str, ...] = ("endpoint",)
    """The settings that name where it is."""
    size: int
    """Bytes of an object of two parts, as small as the service takes."""
    calls: Mapping[str, At] = {}
    look: At | None = None
    """Its answer tells the parts of an unfinished upload."""
    abort: At | None = None
    expired: bytes = b""
    """How it says that a grant has expired."""
    counts: tuple[str, str] = ("", "")
    """What its emulator calls the storing of a part, and the making of the object."""


def _told(status: int, body: str) -> bytes:
    head = f"HTTP/1.1 {status} No\r\nX-Reqid: x\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return (head + body).encode()


_EXPIRED = _told(403, "<Error><Code>AccessDenied</Code><Message>Request has expired.</Message></Error>")
_XML_CALLS = {
    "look": At("HEAD", ""),
    "verify": At("HEAD", "", 3),
    "begin": At("POST", r"\?uploads"),
    "put": At("PUT", f"^[^?]*{quote('小')}"),
    "part 1": At("PUT", "partNumber=1"),
    "part 2": At("PUT", "partNumber=2"),
    "complete": At("POST", "uploadId="),
}
_KODO_HOSTS = ("endpoint", "up_hosts", "rs_hosts")
_KODO_EXPIRED = _told(401, '{"error":"expired token"}')

CLOUDS: dict[str, Cloud] = {
    "s3": Cloud(
        emulator="s3",
        settings={"threshold": 5 * MIB, "part_size": 5 * MIB},
        size=5 * MIB + 70_000,
        calls=_XML_CALLS,
        look=At("GET", "uploadId="),
        abort=At("DELETE", "uploadId="),
        expired=_EXPIRED,
        counts=("UploadPart", "CompleteMultipartUpload"),
    ),
    "aliyun": Cloud(
        emulator="aliyun",
        settings={"threshold": 100 * 1024, "part_size": 100 * 1024},
        size=170_000,
        calls=_XML_CALLS,
        look=At("GET", "uploadId="),
        abort=At("DELETE", "uploadId="),
        expired=_EXPIRED,
        counts=("UploadPart", "CompleteMultipartUpload"),
    ),
    "qiniu": Cloud(
        emulator="qiniu",
        # Parts of other than 4 MiB: the hash of the object then tells how it was cut.
        settings={"threshold": MIB, "part_size": MIB},
        hosts=_KODO_HOSTS,
        size=MIB + 70_000,
        calls={
            "look": At("POST", "/batch"),
            "verify": At("POST", "/batch", 2),
            "begin": At("POST", "/uploads$"),
            "put": At("POST", "^/$"),
            "part 1": At("PUT", "/uploads/[^/]+/1$"),
            "part 2": At("PUT", "/uploads/[^/]+/2$"),
            "complete": At("POST", "/uploads/[^/]+$"),
        },
        look=At("GET", "/uploads/"),
        abort=At("DELETE", "/uploads/"),
        expired=_KODO_EXPIRED,
        counts=("UploadPart", "CompleteParts"),
    ),
    "qiniu v1": Cloud(
        emulator="qiniu",
        settings={"threshold": MIB, "version": "v1"},
        hosts=_KODO_HOSTS,
        size=4 * MIB + 70_000,
        calls={
            "part 1": At("POST", f"/mkblk/{4 * MIB}$"),
            "part 2": At("POST", "/mkblk/70000$"),
            "complete": At("POST", "/mkfile/"),
        },
        expired=_KODO_EXPIRED,
        counts=("MakeBlock", "MakeFile"),
    ),
    "directory": Cloud(settings={"threshold": 1000, "part_size": 100_000}, size=170_000),
}

BROKER_CALLS: dict[str, At] = {
    "gettoken": At("POST", "^/gettoken$"),
    "exists": At("POST", "^/exists$"),
    "notifier": At("POST", "^/notifier$"),
}
RENEWAL = At("POST", "^/gettoken$", 2)

ONCE: dict[str, Fault] = {
    "cut at once": cut(0),
    "cut in the head": cut(40),
    "cut in the head, in order": cut(40, resets=False),
    "cut in the body": cut(60_000),
    "429": answer(429, retry_after=0),
    "500": answer(500),
    "502": answer(502),
    "503, wait until": answer(503, retry_after=formatdate(0, usegmt=True)),
    "swallowed": swallow(),
    "swallowed, reset": swallow(resets=True),
    "500 after it acted": answer_after(500),
    "503 after it acted": answer_after(503, retry_after=0),
    "garbage": garbage(),
    "truncated": truncate(60),
    "reset in the answer": reset(60),
    "sent twice": duplicate(),
}
"""Faults that happen to one request; another try gets through."""
FEW = {
    name: ONCE[name] for name in ("cut in the head", "503, wait until", "swallowed", "500 after it acted", "truncated")
}
"""One of each kind: nothing came through, a refusal, the answer lost, the answer replaced, half an answer."""
SLOW: dict[str, Fault] = {"stalls": stall("request"), "never answers": stall("answer"), "slow": throttle(400_000)}
LASTING: dict[str, Fault] = {
    "refused": refuse(),
    "cut": cut(40),
    "500": answer(500),
    "403": answer(403),
    "swallowed": swallow(),
    "500 after it acted": answer_after(500),
    "garbage": garbage(),
}
"""Faults that stay until somebody mends them."""
