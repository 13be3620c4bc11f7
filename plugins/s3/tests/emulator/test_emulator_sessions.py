"""Temporary credentials from AssumeRole: they work with their token, until they end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

ROLE = {"RoleArn": "arn:aws:iam::123456789012:role/uploader", "RoleSessionName": "test-session"}


@pytest.fixture
def session(client_for: Any) -> dict[str, str]:
    """The client arguments of a fresh session of an hour."""
    found = client_for("sts").assume_role(**ROLE, DurationSeconds=3600)["Credentials"]
    return {
        "aws_access_key_id": found["AccessKeyId"],
        "aws_secret_access_key": found["SecretAccessKey"],
        "aws_session_token": found["SessionToken"],
    }


def test_a_session_can_do_what_the_root_can(client_for: Any, session: dict[str, str], raw: Any, bucket: str) -> None:
    client = client_for(**session)
    client.put_object(Bucket=bucket, Key="k", Body=b"x")
    url = client.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"})
    assert "X-Amz-Security-Token" in url
    assert raw.url(url, "GET").body == b"x"


def test_a_session_ends(client_for: Any, session: dict[str, str], bucket: str, later: Any, raw: Any) -> None:
    client = client_for(**session)
    # A presigned request outlives neither its own expiry nor the session.
    url = client.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"}, ExpiresIn=7200)
    later(3590)
    assert raw.url(url, "GET").code == "NoSuchKey"
    later(3601)
    assert raw.url(url, "GET").code == "ExpiredToken"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"aws_session_token": "wrong"}, "InvalidToken"),
        ({"aws_session_token": None}, "InvalidAccessKeyId"),
        ({"aws_secret_access_key": "wrong"}, "SignatureDoesNotMatch"),
        ({"aws_access_key_id": "ASIAUNKNOWN"}, "InvalidAccessKeyId"),
    ],
)
def test_wrong_session(
    client_for: Any, session: dict[str, str], bucket: str, changes: dict[str, Any], code: str, refused: Any
) -> None:
    client = client_for(**{**session, **changes})
    refused(code, client.put_object, Bucket=bucket, Key="k", Body=b"x")


def test_a_token_on_the_root_key(client_for: Any, bucket: str, refused: Any) -> None:
    client = client_for(aws_session_token="some token")
    refused("InvalidToken", client.put_object, Bucket=bucket, Key="k", Body=b"x")


def test_the_token_of_a_presigned_request_is_signed(
    client_for: Any, session: dict[str, str], raw: Any, bucket: str
) -> None:
    url = client_for(**session).generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"})
    kept, _, _ = url.partition("&X-Amz-Security-Token=")
    rest = url[len(kept) + 1 :].partition("&")[2]
    assert raw.url(f"{kept}&{rest}", "GET").code == "SignatureDoesNotMatch"


def test_sts_needs_a_signature(client_for: Any, raw: Any, refused: Any) -> None:
    refused("SignatureDoesNotMatch", client_for("sts", aws_secret_access_key="wrong").assume_role, **ROLE)
    body = b"Action=AssumeRole&Version=2011-06-15&RoleArn=arn:aws:iam::123456789012:role/x&RoleSessionName=abc"
    assert raw.send("POST", "/", {"Content-Type": "application/x-www-form-urlencoded"}, body).status == 403


def test_refused_role_requests(client_for: Any, refused: Any) -> None:
    sts = client_for("sts")
    refused("ValidationError", sts.assume_role, **{**ROLE, "RoleArn": "arn:aws:iam::1:user/someone"})
    refused("ValidationError", sts.assume_role, **ROLE, DurationSeconds=43_201)
    refused("NotImplemented", sts.get_caller_identity)


def test_sessions_end_with_a_reset(client_for: Any, session: dict[str, str], s3_emulator: Any, refused: Any) -> None:
    s3_emulator.reset()
    refused("InvalidAccessKeyId", client_for(**session).list_buckets)


def test_sessions_follow_the_emulators_clock(client_for: Any, later: Callable[[float], None], bucket: str) -> None:
    later(600)
    found = client_for("sts").assume_role(**ROLE, DurationSeconds=900)["Credentials"]
    later(0)
    assert found["Expiration"].timestamp() > 1400
    client = client_for(
        aws_access_key_id=found["AccessKeyId"],
        aws_secret_access_key=found["SecretAccessKey"],
        aws_session_token=found["SessionToken"],
    )
    client.put_object(Bucket=bucket, Key="k", Body=b"x")
