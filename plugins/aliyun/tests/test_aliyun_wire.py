"""A service that got other bytes, says nothing of them, or is no OSS at all: never a success."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from vvos_aliyun import Aliyun

from vvos_core import Ask, BadAnswer, Exists, Grant, Mismatch, ServiceFailed, Unavailable, VVOSError
from vvos_core.testing.server import LocalServer, Request, Response


def test_a_part_of_which_the_service_has_another_checksum(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    blobs = bench.emulator._running.store.blobs
    write = blobs.write

    def wrong(pieces: Any) -> Any:
        blob = write(pieces)
        blob.crc ^= 1
        return blob

    monkeypatch.setattr(blobs, "write", wrong)
    for size in (10, 300_000):
        with pytest.raises(Mismatch) as caught:
            bench.store(bench.grant("a", size), bytes(size))
        assert not caught.value.retryable


def test_an_object_of_which_the_service_has_another_checksum(bench: Any) -> None:
    grant = bench.grant("a", 300_000)
    receipts = bench.store(grant, bytes(300_000))
    upload = bench.emulator._running.store.buckets["vvos"].uploads[grant.upload_id]
    upload.parts[2].blob.crc ^= 1
    with pytest.raises(Mismatch):
        bench.storing.complete(grant, receipts)


Script = Callable[[Request], Response]


class Other:
    """A server that answers what a test says; begins uploads as OSS does."""

    def __init__(self) -> None:
        self.script: Script = lambda request: Response(200)
        self.server = LocalServer("127.0.0.1", 0, self._answer, "other")
        self.server.start()

    def _answer(self, request: Request) -> Response:
        while request.body.read(1 << 16):
            pass
        if "uploads" in request.params():
            return Response(
                200, [], b"<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>"
            )
        return self.script(request)


@pytest.fixture
def other() -> Iterator[Other]:
    made = Other()
    yield made
    made.server.stop()


def granted(bench: Any, other: Other, size: int) -> Grant:
    bench.granting = bench.made(endpoint=other.server.url)
    grant: Grant = bench.grant("a", size)
    return grant


ETAG = ("ETag", '"0"')
ZEROS = ("x-oss-hash-crc64ecma", "0")


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (Response(200, [ETAG]), BadAnswer),
        (Response(200, [ETAG, ("x-oss-hash-crc64ecma", "x")]), BadAnswer),
        (Response(200, [ZEROS]), BadAnswer),
        (Response(203, [ETAG, ZEROS]), BadAnswer),
        (Response(500, [], b"<html>"), ServiceFailed),
        (Response(503, [("Retry-After", "3")]), Unavailable),
    ],
    ids=lambda value: str(getattr(value, "status", value)),
)
def test_answers_to_a_put(bench: Any, other: Other, answer: Response, kind: type[VVOSError]) -> None:
    other.script = lambda request: answer
    with pytest.raises(kind) as caught:
        bench.store(granted(bench, other, 0), b"")
    assert "x-oss-signature" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (200, b"<Error><Code>InternalError</Code><Message>m</Message></Error>", ServiceFailed),
        (200, b"<Error><Code>FileAlreadyExists</Code></Error>", Exists),
        (200, b"<Something/>", BadAnswer),
        (200, b"no XML", BadAnswer),
        (200, b'<!DOCTYPE a [<!ENTITY b "b">]><CompleteMultipartUploadResult/>', BadAnswer),
        (200, b"<CompleteMultipartUploadResult/>", BadAnswer),  # without a checksum
        (404, b"<Error><Code>NoSuchUpload</Code></Error>", VVOSError),
    ],
    ids=lambda value: str(value)[:30],
)
def test_answers_to_a_completion(bench: Any, other: Other, status: int, body: bytes, kind: type[VVOSError]) -> None:
    grant = granted(bench, other, 300_000)
    other.script = lambda request: Response(404) if request.method == "HEAD" else Response(status, [], body)
    from vvos_core import Receipt

    receipts = [Receipt(number=n, size=102_400, proof="x", checksum="crc64ecma:1") for n in (1, 2, 3)]
    with pytest.raises(kind):
        Aliyun(None).complete(grant, receipts)


@pytest.mark.parametrize("body", [b"", b"<html>", b"<ListPartsResult><Part/></ListPartsResult>", b"<Other/>"])
def test_answers_to_the_granting_half(bench: Any, other: Other, body: bytes) -> None:
    grant = granted(bench, other, 300_000)
    other.script = lambda request: Response(404) if request.method == "HEAD" else Response(200, [], body)
    assert isinstance(bench.found(grant, parts=True), BadAnswer)


def test_something_that_begins_no_upload(bench: Any, other: Other) -> None:
    bench.granting = bench.made(endpoint=other.server.url)
    other._answer = lambda request: Response(200, [], b"<html>")  # type: ignore[method-assign]  # stands in for a service
    other.server.application = other._answer
    bench.refusal(BadAnswer, Ask(client_key="a", key="a", size=300_000))


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (Response(200, [], b"{}"), BadAnswer),
        (Response(200, [], b"<html>"), BadAnswer),
        (Response(503, [], b'{"Code": "Throttling.User", "Message": "m"}'), ServiceFailed),
        (Response(500, [], b"<html>"), ServiceFailed),
    ],
    ids=lambda value: str(getattr(value, "status", value)),
)
def test_answers_of_sts(sts_bench: Any, other: Other, answer: Response, kind: type[VVOSError]) -> None:
    other.script = lambda request: answer
    sts_bench.granting = sts_bench.made(sts_endpoint=other.server.url)
    error = sts_bench.refusal(kind, Ask(client_key="a", key="a", size=3))
    assert error.retryable == (kind is ServiceFailed)
