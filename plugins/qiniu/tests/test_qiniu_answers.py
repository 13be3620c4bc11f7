"""Answers that a service should not give: other digests than were read, and what is not its language."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec.structs import replace
from vvos_qiniu import Qiniu
from vvos_qiniu.checksum import BLOCK

from vvos_core import Answer, BadAnswer, Grant, Mismatch, Receipt, ServiceFailed, VVOSError

from .conftest import Bytes

EMPTY = "Fto5o-5ea0sNMlW_75VgGJCv2AcJ"
GRANT = Grant(
    provider="qiniu",
    key="甲",
    client_key="甲",
    size=3,
    data={"token": "ak:sig:eyJzY29wZSI6ImI6YSIsImRlYWRsaW5lIjo5OTk5OTk5OTk5fQ==", "hosts": ["http://up"]},
)
LARGE = replace(GRANT, size=BLOCK + 1, multipart=True, part_size=BLOCK, upload_id="id")
BLOCKS = replace(LARGE, upload_id="", data={**GRANT.data, "version": "v1"})
RECEIPTS = [Receipt(number=1, size=BLOCK, proof="p", checksum=f"qetag:{EMPTY}")]


class Scripted:
    """In the place of the sender: gives one answer to everything."""

    def __init__(self, body: bytes) -> None:
        self.body = body

    def send(self, method: str, hosts: object, path: str, *, body: Any = None, **_: object) -> tuple[str, Answer]:
        if isinstance(body, bytes) or body is None:
            return "http://up", Answer(status=200, headers={}, body=self.body)
        for _block in body:
            pass
        return "http://up", Answer(status=200, headers={}, body=self.body)


def provider(told: object) -> Qiniu:
    made = Qiniu(None)
    body = told if isinstance(told, bytes) else json.dumps(told).encode()
    made._putter._sender = Scripted(body)  # type: ignore[assignment]  # stands in for it
    return made


@pytest.mark.parametrize(
    ("grant", "told", "kind"),
    [
        (GRANT, {"hash": EMPTY, "key": "甲"}, Mismatch),
        (LARGE, {"etag": EMPTY, "md5": "0" * 32}, Mismatch),
        (BLOCKS, {"ctx": "x", "crc32": 1}, Mismatch),
        (LARGE, {"md5": "0" * 32}, BadAnswer),
        (LARGE, b"<html>", BadAnswer),
        (BLOCKS, {"crc32": 1}, BadAnswer),
        (BLOCKS, b"", BadAnswer),
    ],
)
def test_a_chunk_that_arrived_otherwise(grant: Grant, told: object, kind: type[VVOSError]) -> None:
    with pytest.raises(kind, match="'甲'"):
        provider(told).put_chunk(grant, Bytes(b"abc"))


@pytest.mark.parametrize("grant", [LARGE, BLOCKS])
def test_an_object_that_was_made_otherwise(grant: Grant) -> None:
    other = provider({"hash": "ns56DcSIfBFUENXjdhsJTIvl3Rcu", "key": "甲"})
    with pytest.raises(Mismatch):
        other.complete(grant, RECEIPTS)


@pytest.mark.parametrize("grant", [LARGE, BLOCKS])
@pytest.mark.parametrize("told", [b"", b"<html>", b"[]", {"hash": 3}, {"hash": "of another kind"}])
def test_an_answer_of_the_business_itself_claims_nothing(grant: Grant, told: object) -> None:
    assert provider(told).complete(grant, RECEIPTS).checksum == ""


@pytest.mark.parametrize("grant", [GRANT, LARGE, BLOCKS])
def test_an_error_in_an_answer_of_200_is_an_error(grant: Grant) -> None:
    failing = provider({"error": "internal error"})

    def finish() -> object:
        return failing.complete(grant, RECEIPTS) if grant.multipart else failing.put_chunk(grant, Bytes(b"abc"))

    with pytest.raises(ServiceFailed, match="'甲': the service failed"):
        finish()


def test_an_error_beside_a_hash_is_a_word_of_the_business() -> None:
    assert provider({"error": "none", "hash": EMPTY}).complete(LARGE, RECEIPTS).checksum == f"qetag:{EMPTY}"
    assert provider({"error": ""}).complete(LARGE, RECEIPTS).checksum == ""


def test_services_that_answer_no_digest_are_not_doubted() -> None:
    assert provider({"etag": "e"}).put_chunk(LARGE, Bytes(b"abc")).proof == "e"
    assert provider({"ctx": "c"}).put_chunk(BLOCKS, Bytes(b"abc")).proof == "c"
