"""The table of errors: each code becomes the right error, retried only where that can help."""

from __future__ import annotations

import base64

import pytest
from vvos_aliyun.faults import fault, refused

from vvos_core import Answer

CASES = {
    ("FileAlreadyExists", 409): "EXISTS",
    ("FileImmutable", 409): "EXISTS",
    ("NoSuchUpload", 404): "NOT_FOUND",
    ("InvalidPart", 400): "NOT_FOUND",
    ("NoSuchKey", 404): "NOT_FOUND",
    ("NoSuchBucket", 404): "CONFIG",
    ("InvalidDigest", 400): "CHECKSUM_MISMATCH",
    ("EntityTooSmall", 400): "BAD_REQUEST",
    ("EntityTooLarge", 400): "TOO_LARGE",
    ("AccessDenied", 403): "DENIED",
    ("SignatureDoesNotMatch", 403): "DENIED",
    ("SecurityTokenExpired", 403): "TOKEN_EXPIRED",
    ("RequestTimeTooSkewed", 403): "DENIED",
    ("RequestTimeout", 400): "UNAVAILABLE",
    ("InternalError", 500): "SERVICE_FAILED",
    ("QpsLimitExceeded", 503): "SERVICE_FAILED",
    ("EntityNotExist.Role", 404): "CONFIG",
    ("NoPermission", 403): "CONFIG",
    ("NobodyKnows", 418): "BAD_REQUEST",
    ("NobodyKnows", 502): "SERVICE_FAILED",
    ("", 404): "NOT_FOUND",
    ("", 403): "DENIED",
    ("", 409): "EXISTS",
    ("", 301): "CONFIG",
    ("", 504): "SERVICE_FAILED",
    ("", 204): "BAD_ANSWER",
}


@pytest.mark.parametrize(("case", "code"), CASES.items(), ids=str)
def test_codes(case: tuple[str, int], code: str) -> None:
    error = fault(case[0], "words", case[1], "storing 'a'", key="a")
    assert error.code == code
    assert error.message.startswith("storing 'a': ")
    assert error.retryable == (code in ("UNAVAILABLE", "SERVICE_FAILED"))


def test_words_that_tell_one_denial_from_another() -> None:
    assert fault("AccessDenied", "Request has expired.", 403, "w", key=None).code == "TOKEN_EXPIRED"
    policy = "Invalid according to Policy: Policy expired."
    assert fault("AccessDenied", policy, 403, "w", key=None).code == "DENIED"
    assert fault("InvalidArgument", "Invalid signing region.", 400, "w", key=None, bucket="bilder").code == "CONFIG"


def test_capabilities_are_cut_out_of_the_services_words() -> None:
    words = f"bad x-oss-credential=LTAIabc/2026&x-oss-signature={'0a' * 32} Signature=abc STS.NabcD CAISxyz {'ab' * 32}"
    message = fault("AccessDenied", words, 403, "w", key=None).message
    assert not [piece for piece in ("LTAI", "0a0a", "abab", "STS.N", "CAIS") if piece in message]


def test_an_error_in_a_header_is_read() -> None:
    body = b"<Error><Code>NoSuchBucket</Code><Message>m</Message></Error>"
    answer = Answer(status=404, headers={"x-oss-err": base64.b64encode(body).decode()})
    assert refused(answer, "w", key="a").code == "CONFIG"


def test_a_wait_that_the_service_asks_for_is_kept() -> None:
    answer = Answer(status=503, headers={"Retry-After": "7"}, body=b"<html>")
    error = refused(answer, "w", key="a")
    assert (error.code, error.retry_after) == ("SERVICE_FAILED", 7)
