"""What S3's errors become, whoever asked."""

from __future__ import annotations

import http.server
import re
import socket
import threading
from collections.abc import Iterator
from typing import Any
from unittest import mock

import pytest
from vvos_s3.faults import fault
from vvos_s3.service import Service

from vvos_core.errors import (
    BadAnswer,
    BadInput,
    ConfigError,
    Denied,
    Exists,
    Mismatch,
    NotFound,
    ServiceFailed,
    TokenExpired,
    TooLarge,
    Unavailable,
    VVOSError,
)
from vvos_core.model import MIB, Receipt

TABLE: list[tuple[str, int, type[VVOSError], bool]] = [
    ("ExpiredToken", 400, TokenExpired, False),
    ("PreconditionFailed", 412, Exists, False),
    ("ConditionalRequestConflict", 409, Unavailable, True),
    ("NoSuchUpload", 404, NotFound, False),
    ("NoSuchKey", 404, NotFound, False),
    ("InvalidPart", 400, NotFound, False),
    ("BadDigest", 400, Mismatch, False),
    ("XAmzContentChecksumMismatch", 400, Mismatch, False),
    ("SlowDown", 503, ServiceFailed, True),
    ("InternalError", 500, ServiceFailed, True),
    ("RequestTimeout", 400, Unavailable, True),
    ("EntityTooLarge", 400, TooLarge, False),
    ("EntityTooSmall", 400, BadInput, False),
    ("AccessDenied", 403, Denied, False),
    ("SignatureDoesNotMatch", 403, Denied, False),
    ("InvalidAccessKeyId", 403, Denied, False),
    ("NoSuchBucket", 404, ConfigError, False),
    ("PermanentRedirect", 301, ConfigError, False),
    ("NotImplemented", 501, BadAnswer, False),
    ("NeverHeardOf", 400, BadInput, False),
    ("NeverHeardOf", 500, ServiceFailed, True),
    ("", 301, ConfigError, False),
    ("", 401, Denied, False),
    ("", 403, Denied, False),
    ("", 404, NotFound, False),
    ("", 409, Unavailable, True),
    ("", 412, Exists, False),
    ("", 429, Unavailable, True),
    ("", 500, ServiceFailed, True),
    ("", 501, BadAnswer, False),
    ("", 503, Unavailable, True),
]


@pytest.mark.parametrize(("code", "status", "kind", "retryable"), TABLE)
def test_table(code: str, status: int, kind: type[VVOSError], retryable: bool) -> None:
    error = fault(code, "Words of the service.", status, "storing 'a'", key="a", bucket="fotos", retry_after=3)
    assert type(error) is kind
    assert error.retryable is retryable
    assert (error.key, error.retry_after) == ("a", 3)
    assert error.message.startswith("storing 'a': ")
    assert error.message.endswith(".")
    assert "{" not in error.message


def test_a_failed_precondition_without_words_says_what_it_means() -> None:
    assert "may not be replaced" in fault("", "", 412, "x", key=None).message


def test_an_access_denied_that_speaks_of_expiry_is_an_expired_grant() -> None:
    assert isinstance(fault("AccessDenied", "Request has expired", 403, "x", key=None), TokenExpired)


def test_the_words_of_the_service_are_passed_on_without_capabilities() -> None:
    words = f"Key AKIAIOSFODNN7EXAMPLE sent X-Amz-Signature={'ab' * 32}&x {'0f' * 32}\n on\tpurpose. " + "long " * 99
    message = fault("AccessDenied", words, 403, "x", key=None).message
    assert "on purpose" in message
    assert len(message) < 300
    for secret in ("AKIAIOSFODNN7EXAMPLE", "abab", "0f0f", "\n"):
        assert secret not in message


class Scripted(http.server.ThreadingHTTPServer):
    """Answers every request with ``answer``: status, headers, body."""

    answer: tuple[int, dict[str, str], bytes] = (200, {}, b"")


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Scripted

    def handle_any(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        status, headers, body = self.server.answer
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_PUT = do_POST = do_GET = do_HEAD = do_DELETE = handle_any  # noqa: N815  # names that http.server asks for

    def log_message(self, format: str, *args: object) -> None:
        """Nothing; pytest's output is for results."""


@pytest.fixture
def service() -> Iterator[Scripted]:
    server = Scripted(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def xml(name: str, **fields: str) -> bytes:
    inside = "".join(f"<{key}>{value}</{key}>" for key, value in fields.items())
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<{name}>{inside}</{name}>'.encode()


@pytest.fixture
def scripted(bench: Any, service: Scripted) -> Any:
    """The bench, with the scripted service instead of the emulator."""
    bench.granting = bench.made(endpoint=f"http://127.0.0.1:{service.server_port}")
    return bench


RECEIPTS = [Receipt(number=n, size=5 * MIB, proof="e", checksum="crc64nvme:AAAAAAAAAAA=") for n in (1, 2)]


def sealed(bench: Any, service: Scripted) -> Any:
    service.answer = (200, {}, xml("InitiateMultipartUploadResult", UploadId="u1"))
    grant = bench.grant("a", 10 * MIB)
    return bench.renewed(grant, checksum="crc64nvme:AAAAAAAAAAA=")


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (200, xml("Error", Code="InternalError", Message="We failed."), ServiceFailed),
        (200, b"  \n\n  " + xml("Error", Code="SlowDown", Message="Slower."), ServiceFailed),
        (200, xml("Error", Code="NeverHeardOf", Message="?"), ServiceFailed),
        (200, xml("Error", Code="PreconditionFailed", Message="It is there."), Exists),
        (404, xml("Error", Code="NoSuchUpload", Message="Gone."), NotFound),
        (200, b"<html>hello</html>", BadAnswer),
        (200, b"", BadAnswer),
        (200, b"not XML", BadAnswer),
        (200, b"\xff\xfe<", BadAnswer),
        (
            200,
            b'<!DOCTYPE a [<!ENTITY b "bb">]><CompleteMultipartUploadResult>&b;</CompleteMultipartUploadResult>',
            BadAnswer,
        ),
        (200, xml("CompleteMultipartUploadResult", ETag="e", ChecksumCRC64NVME="AAAAAAAAAAE="), Mismatch),
    ],
    ids=lambda value: str(value)[:50],
)
def test_complete_reads_what_is_in_the_answer(
    scripted: Any, service: Scripted, status: int, body: bytes, kind: type[VVOSError]
) -> None:
    grant = sealed(scripted, service)
    service.answer = (status, {}, body)
    with pytest.raises(kind):
        scripted.storing.complete(grant, RECEIPTS)


def test_complete_takes_an_answer_without_a_checksum(scripted: Any, service: Scripted) -> None:
    grant = sealed(scripted, service)
    service.answer = (200, {}, b" \n " + xml("CompleteMultipartUploadResult", ETag="e"))
    assert scripted.storing.complete(grant, RECEIPTS).checksum == ""


@pytest.mark.parametrize(
    ("headers", "kind"),
    [({}, BadAnswer), ({"ETag": '"x"', "x-amz-checksum-crc64nvme": "AAAAAAAAAAE="}, Mismatch)],
    ids=["no ETag", "another checksum"],
)
def test_put_compares_what_the_service_says(
    scripted: Any, service: Scripted, headers: dict[str, str], kind: type[VVOSError]
) -> None:
    grant = scripted.grant("a", 1)
    service.answer = (200, headers, b"")
    with pytest.raises(kind):
        scripted.store(grant, b"x")


def test_a_part_that_the_service_says_is_another_is_a_mismatch_in_md5_mode(scripted: Any, service: Scripted) -> None:
    scripted.granting = scripted.made(endpoint=f"http://127.0.0.1:{service.server_port}", checksum="md5")
    grant = scripted.grant("a", 1)
    service.answer = (200, {"ETag": '"00000000000000000000000000000000"'}, b"")
    with pytest.raises(Mismatch):
        scripted.store(grant, b"x")


def test_retry_after_is_passed_on(scripted: Any, service: Scripted) -> None:
    grant = scripted.grant("a", 1)
    service.answer = (503, {"Retry-After": "9"}, xml("Error", Code="SlowDown", Message="Slower."))
    with pytest.raises(ServiceFailed) as caught:
        scripted.store(grant, b"x")
    assert caught.value.retry_after == 9


def test_an_answer_that_is_no_xml_is_judged_by_its_status(scripted: Any, service: Scripted) -> None:
    grant = scripted.grant("a", 1)
    service.answer = (502, {}, b"<html>Bad gateway</html>")
    with pytest.raises(ServiceFailed, match="HTTP 502"):
        scripted.store(grant, b"x")


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("NoSuchBucket", 404, ConfigError),
        ("AccessDenied", 403, Denied),
        ("ExpiredToken", 400, ConfigError),
        ("InvalidAccessKeyId", 403, Denied),
    ],
)
def test_the_granting_half_uses_the_same_table(
    scripted: Any, service: Scripted, code: str, status: int, kind: type[VVOSError]
) -> None:
    from vvos_core.model import Ask

    service.answer = (status, {}, xml("Error", Code=code, Message="No."))
    assert scripted.refusal(kind, Ask(client_key="a", key="a", size=10 * MIB)).key == "a"


def test_a_list_of_parts_without_an_end_is_given_up(scripted: Any, service: Scripted) -> None:
    grant = sealed(scripted, service)
    listing = xml("ListPartsResult", UploadId="u1", IsTruncated="true", NextPartNumberMarker="1")
    with mock.patch.object(Service, "head", return_value=None):
        service.answer = (200, {}, listing)
        error = scripted.found(grant, parts=True)
    assert isinstance(error, BadAnswer)


def test_half_an_answer_is_no_empty_list_and_no_object_without_a_size(scripted: Any, service: Scripted) -> None:
    grant = sealed(scripted, service)
    service.answer = (200, {}, b"")
    with mock.patch.object(Service, "head", return_value=None):
        assert isinstance(scripted.found(grant, parts=True), Unavailable)
    assert isinstance(scripted.found(grant), Unavailable)


def test_a_bucket_that_may_not_be_read_says_what_is_needed(scripted: Any, service: Scripted) -> None:
    grant = scripted.grant("a", 1)
    service.answer = (403, {}, b"")
    error = scripted.found(grant)
    assert isinstance(error, Denied)
    assert "s3:GetObject" in error.message


@pytest.fixture
def dead() -> Iterator[str]:
    """An address where nobody listens: the port is bound, so that nobody else gets it."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{taken.getsockname()[1]}"


def test_a_service_that_is_down_is_unavailable_on_both_sides(bench: Any, dead: str) -> None:
    bench.granting = bench.made(endpoint=f"http://{dead}")
    grant = bench.grant("a", 1)
    there = bench.found(grant)
    assert isinstance(there, Unavailable)
    assert dead in there.message
    with pytest.raises(Unavailable, match=f"{re.escape(dead)} refused"):
        bench.store(grant, b"x")


def test_a_bucket_in_another_region_is_a_matter_of_configuration(scripted: Any, service: Scripted) -> None:
    grant = scripted.grant("a", 1)
    service.answer = (301, {}, xml("Error", Code="PermanentRedirect", Message="Elsewhere.", Endpoint="x"))
    with pytest.raises(ConfigError, match="region"):
        scripted.store(grant, b"x")
