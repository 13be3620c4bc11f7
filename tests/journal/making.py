"""Records to keep in a journal."""

from __future__ import annotations

from typing import Any

from msgspec import structs

from vvos_core.fingerprint import Fingerprint
from vvos_core.journal import Record, identity
from vvos_core.model import Grant, Receipt

CANARY = "canary-5ecret-capability"


def grant(number: int = 0, token: str = "sealed") -> Grant:
    return Grant(
        provider="s3",
        key=f"存/{number}",
        client_key=f"键/{number}.mp4",
        size=100,
        multipart=True,
        part_size=10,
        upload_id=f"upload-{number}",
        access_token=token,
        data={"urls": [CANARY]},
    )


def receipt(number: int, size: int = 10) -> Receipt:
    return Receipt(number=number, size=size, proof=f'"etag-{number}"', checksum=f"crc64nvme:{number:016x}")


def record(number: int = 0, **changes: Any) -> Record:
    """``number`` makes its id."""
    key = f"键/{number}.mp4"
    made = Record(
        id=identity("broker.example", key, f"/数据/{number}"),
        target="broker.example",
        client_key=key,
        path=f"/数据/{number}",
        fingerprint=Fingerprint(1, 2**64 - number - 1, 100, 10**18 + number, 10**18),
        where={
            "profile": "档案",
            "api": {"gettoken": "https://broker.example/gettoken"},
            "cover": True,
            "n": [1, None],
        },
        type="video/mp4",
        metadata={"标题": "一"},
        grant=grant(number),
        begun_at=1000.0 + number,
        changed_at=1000.0 + number,
    )
    return structs.replace(made, **changes)


def kept(said: Record) -> Record:
    """``said`` as it comes back: without capabilities, and without the time, which is not ours."""
    plain = said.grant and structs.replace(said.grant, data={})
    return structs.replace(said, grant=plain, changed_at=0.0)
