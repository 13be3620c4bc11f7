"""What the service's refusals become: the whole table, whether to try again, and no secret in any sentence."""

from __future__ import annotations

import pytest
from vvos_qiniu.faults import FINAL, fault, refused, text

from vvos_core import Answer, VVOSError

TOKEN = "iN7NgwM31j4-BZacMjPrOQBs34UG1maYCAQmhdCV:QFMGhpPXQhBAtBEzUVGCLYe-6nA=:eyJzY29wZSI6ImEifQ=="


@pytest.mark.parametrize(
    ("status", "said", "code", "retryable"),
    [
        (400, "invalid argument", "BAD_REQUEST", False),
        (400, "invalid part", "NOT_FOUND", False),
        (400, "invalid Content-MD5", "CHECKSUM_MISMATCH", False),
        (401, "bad token", "BAD_TOKEN", False),
        (401, "expired token", "TOKEN_EXPIRED", False),
        (401, "token out of date", "TOKEN_EXPIRED", False),
        (403, "key doesn't match with scope", "KEY_NOT_GRANTED", False),
        (403, "exceed FsizeLimit", "TOO_LARGE", False),
        (403, "limited mimeType: this file type (a/b) is forbidden to upload", "DENIED", False),
        (403, "", "DENIED", False),
        (404, "", "BAD_ANSWER", False),
        (405, "", "BAD_ANSWER", False),
        (406, "crc32 is not correct", "CHECKSUM_MISMATCH", False),
        (408, "", "UNAVAILABLE", True),
        (413, "exceed FsizeLimit", "TOO_LARGE", False),
        (418, "", "DENIED", False),
        (419, "", "DENIED", False),
        (429, "", "UNAVAILABLE", True),
        (500, "", "SERVICE_FAILED", True),
        (502, "", "SERVICE_FAILED", True),
        (503, "", "SERVICE_FAILED", True),
        (573, "", "UNAVAILABLE", True),
        (579, "callback failed", "BAD_ANSWER", False),
        (599, "", "SERVICE_FAILED", True),
        (608, "", "UNAVAILABLE", True),
        (612, "no such uploadId", "NOT_FOUND", False),
        (614, "file exists", "EXISTS", False),
        (630, "too many buckets", "DENIED", False),
        (631, "no such bucket", "CONFIG", False),
        (701, "invalid ctx", "NOT_FOUND", False),
        (302, "", "BAD_ANSWER", False),
        (204, "", "BAD_ANSWER", False),
    ],
)
def test_the_table(status: int, said: str, code: str, retryable: bool) -> None:
    error = fault(status, said, "storing 'a'", key="a", bucket="photos", retry_after=3.0)
    assert (error.code, error.retryable, error.key, error.retry_after) == (code, retryable, "a", 3.0)
    assert str(error).startswith("storing 'a': ")
    assert str(error).endswith(".")
    assert "\n" not in str(error)


def test_no_final_status_is_tried_again_as_a_failure() -> None:
    assert {status for status in FINAL if fault(status, "", "x", key=None).code == "SERVICE_FAILED"} == set()


def test_the_bucket_is_named() -> None:
    assert "photos" in str(fault(631, "", "x", key=None, bucket="photos"))


@pytest.mark.parametrize("status", [400, 403, 404, 579, 630])
def test_a_token_in_the_services_words_is_not_repeated(status: int) -> None:
    error = fault(status, f"cannot use {TOKEN} here {'x' * 500}", "x", key="a")
    assert "BZacMjPrOQBs34UG1maY" not in str(error)
    assert "QFMGhpPXQhBAtBEz" not in str(error)
    assert "eyJzY29wZSI6" not in str(error)
    assert len(str(error)) < 400


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"error":3}', b'"x"', b"\xff"])
def test_a_body_that_is_no_error_says_nothing(body: bytes) -> None:
    assert text(body) == ""


def test_a_bare_401_past_the_deadline_is_an_expired_token() -> None:
    answer = Answer(status=401, headers={}, body=b'{"error":"bad token"}')

    def code(expired: bool) -> str:
        error: VVOSError = refused(answer, "x", key="a", expired=expired)
        return error.code

    assert (code(False), code(True)) == ("BAD_TOKEN", "TOKEN_EXPIRED")
