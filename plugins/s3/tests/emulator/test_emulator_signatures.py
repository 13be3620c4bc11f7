"""Header signatures: boto3's are accepted, and nothing that differs from them in any way is."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from botocore import UNSIGNED  # type: ignore[import-untyped,unused-ignore]  # ships no types
from botocore.auth import SigV4Auth  # type: ignore[import-untyped,unused-ignore]  # ships no types
from botocore.awsrequest import AWSRequest  # type: ignore[import-untyped,unused-ignore]  # ships no types
from botocore.config import Config  # type: ignore[import-untyped,unused-ignore]  # ships no types
from botocore.credentials import Credentials  # type: ignore[import-untyped,unused-ignore]  # ships no types
from hypothesis import HealthCheck, given, settings, strategies as st

QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def test_an_untouched_request_is_accepted(raw: Any) -> None:
    assert raw.signed("PUT", raw.path("k"), body=b"x").status == 200
    assert raw.signed("GET", raw.path("k")).body == b"x"


def test_wrong_secret(client_for: Any, bucket: str, refused: Any) -> None:
    wrong = client_for(aws_secret_access_key="not the secret")
    refused("SignatureDoesNotMatch", wrong.put_object, Bucket=bucket, Key="k", Body=b"x")
    refused("SignatureDoesNotMatch", wrong.list_objects_v2, Bucket=bucket)


def test_unknown_access_key(client_for: Any, bucket: str, refused: Any) -> None:
    unknown = client_for(aws_access_key_id="AKIANOBODY")
    refused("InvalidAccessKeyId", unknown.put_object, Bucket=bucket, Key="k", Body=b"x")


def test_wrong_region(client_for: Any, bucket: str, s3_emulator: Any) -> None:
    elsewhere = client_for(region_name="eu-west-1")
    # boto3 reads the right region from the refusal and asks again.
    elsewhere.put_object(Bucket=bucket, Key="k", Body=b"x")
    assert s3_emulator.requests[0].error == "AuthorizationHeaderMalformed"
    assert s3_emulator.requests[-1].error is None


def test_anonymous(client_for: Any, raw: Any, s3_client: Any, bucket: str, refused: Any) -> None:
    s3_client.put_object(Bucket=bucket, Key="k", Body=b"x")
    anonymous = client_for(config=Config(signature_version=UNSIGNED))
    for call in (anonymous.get_object, anonymous.delete_object, anonymous.put_object):
        refused("AccessDenied", call, Bucket=bucket, Key="k")
    refused("AccessDenied", anonymous.list_objects_v2, Bucket=bucket)
    assert (raw.send("GET", "/").status, raw.send("POST", "/").code) == (403, "AccessDenied")


def test_signature_version_2_is_refused(client_for: Any, bucket: str, refused: Any) -> None:
    old = client_for(config=Config(signature_version="s3", s3={"addressing_style": "path"}))
    refused("InvalidRequest", old.put_object, Bucket=bucket, Key="k", Body=b"x")
    url = old.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"})
    assert "AWSAccessKeyId" in url


@QUICK
@given(data=st.data())
def test_a_signature_changed_at_any_byte(raw: Any, data: st.DataObject) -> None:
    headers = raw.sign("PUT", raw.path("k"), {"Content-Type": "text/plain"}, b"x")
    value = headers["Authorization"]
    index = data.draw(st.integers(0, len(value) - 1))
    other = data.draw(st.characters(min_codepoint=33, max_codepoint=126).filter(lambda c: c != value[index]))
    headers["Authorization"] = value[:index] + other + value[index + 1 :]
    answer = raw.send("PUT", raw.path("k"), headers, b"x")
    assert answer.status in (400, 403), (headers["Authorization"], answer)


@QUICK
@given(data=st.data())
def test_a_path_changed_at_any_byte(raw: Any, data: st.DataObject) -> None:
    target = raw.path("folder/name.txt")
    headers = raw.sign("PUT", target, body=b"x")
    index = data.draw(st.integers(1, len(target) - 1))
    other = data.draw(st.sampled_from("abcdxyz/.-_~!0189").filter(lambda c: c != target[index]))
    answer = raw.send("PUT", target[:index] + other + target[index + 1 :], headers, b"x")
    assert (answer.status, answer.code) == (403, "SignatureDoesNotMatch")


def test_the_same_path_in_another_encoding_is_the_same_path(raw: Any) -> None:
    headers = raw.sign("PUT", raw.path("a~b"), body=b"x")
    assert raw.send("PUT", raw.path("a~b").replace("~", "%7e"), headers, b"x").status == 200


def test_changed_method(raw: Any) -> None:
    headers = raw.sign("GET", raw.path("k"))
    assert raw.send("DELETE", raw.path("k"), headers).code == "SignatureDoesNotMatch"


@pytest.mark.parametrize("target", ["?acl", "?uploads", "?list-type=2", "?a=1&b=2", "?x-amz-copy-source=/b/k"])
def test_added_query(raw: Any, target: str) -> None:
    headers = raw.sign("GET", raw.path("k"))
    assert raw.send("GET", raw.path("k") + target, headers).code == "SignatureDoesNotMatch"


def test_changed_query(raw: Any) -> None:
    headers = raw.sign("GET", f"/{raw.bucket}?list-type=2&prefix=mine")
    assert raw.send("GET", f"/{raw.bucket}?list-type=2&prefix=yours", headers).code == "SignatureDoesNotMatch"
    assert raw.send("GET", f"/{raw.bucket}?prefix=mine&list-type=2", headers).status == 200


def test_changed_host(raw: Any) -> None:
    headers = {**raw.sign("GET", raw.path("k")), "Host": "other.example"}
    assert raw.send("GET", raw.path("k"), headers).code == "SignatureDoesNotMatch"


@pytest.mark.parametrize("name", ["Content-Type", "Content-MD5", "x-amz-meta-a", "x-amz-date", "Content-Length"])
def test_changed_signed_header(raw: Any, name: str) -> None:
    signed = {"Content-Type": "text/plain", "Content-MD5": "XrY7u+Ae7tCTyyK7j1rNww==", "x-amz-meta-a": "1"}
    headers = raw.sign("PUT", raw.path("k"), {**signed, "Content-Length": "11"}, b"hello world")
    assert raw.send("PUT", raw.path("k"), headers, b"hello world").status == 200
    spelled = next(key for key in headers if key.lower() == name.lower())
    changed = {
        "Content-Type": "text/html",
        "Content-MD5": "XUFAKrxLKna5cZ2REBfFkg==",
        "x-amz-meta-a": "2",
        "x-amz-date": time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(time.time() - 7)),
        "Content-Length": "5",
    }[name]
    headers[spelled] = changed
    answer = raw.send("PUT", raw.path("k"), headers, b"hello world"[: int(headers["Content-Length"])])
    assert answer.code in ("SignatureDoesNotMatch", "AuthorizationHeaderMalformed")


def test_removed_signed_header(raw: Any) -> None:
    headers = raw.sign("PUT", raw.path("k"), {"x-amz-meta-a": ""}, b"x")
    del headers["x-amz-meta-a"]
    assert raw.send("PUT", raw.path("k"), headers, b"x").code == "SignatureDoesNotMatch"


@pytest.mark.parametrize(
    "name", ["x-amz-acl", "X-Amz-Meta-Evil", "x-amz-copy-source", "x-amz-tagging", "x-amz-security-token"]
)
def test_unsigned_amz_header(raw: Any, name: str) -> None:
    raw.signed("PUT", raw.path("secret"), body=b"x")
    headers = {**raw.sign("PUT", raw.path("k"), body=b""), name: f"/{raw.bucket}/secret"}
    answer = raw.send("PUT", raw.path("k"), headers)
    assert (answer.status, answer.code) == (403, "AccessDenied")
    assert answer.message == "There were headers present in the request which were not signed"
    assert f"<HeadersNotSigned>{name.lower()}</HeadersNotSigned>".encode() in answer.body


def test_host_must_be_signed(raw: Any) -> None:
    headers = raw.sign("GET", raw.path("k"))
    headers["Authorization"] = headers["Authorization"].replace("SignedHeaders=host;", "SignedHeaders=")
    assert raw.send("GET", raw.path("k"), headers).code == "AuthorizationHeaderMalformed"


def test_the_credential_must_be_of_the_day_of_the_request(raw: Any) -> None:
    headers = raw.sign("GET", raw.path("k"))
    headers["Authorization"] = re.sub(r"/\d{8}/", "/20200101/", headers["Authorization"])
    assert raw.send("GET", raw.path("k"), headers).code == "AuthorizationHeaderMalformed"


@pytest.mark.parametrize(("seconds", "status"), [(-901, 403), (-890, 200), (890, 200), (901, 403)])
def test_clock_skew(raw: Any, later: Callable[[float], None], seconds: float, status: int) -> None:
    later(seconds)
    answer = raw.signed("PUT", raw.path("k"), body=b"x")
    assert answer.status == status
    assert answer.code == (None if status == 200 else "RequestTimeTooSkewed")


def test_a_body_other_than_the_signed_one(raw: Any) -> None:
    headers = raw.sign("PUT", raw.path("k"), body=b"signed")
    answer = raw.send("PUT", raw.path("k"), headers, b"forged")
    assert (answer.status, answer.code) == (400, "XAmzContentSHA256Mismatch")
    assert raw.signed("GET", raw.path("k")).status == 404


def test_the_body_hash_must_be_declared(raw: Any) -> None:
    info = raw.emulator.info
    request = AWSRequest("GET", f"http://{raw.netloc}{raw.path('k')}")
    # The signer of other services, which leaves the hash out of the headers and is right in all else.
    SigV4Auth(Credentials(info["access_key"], info["secret_key"]), "s3", info["region"]).add_auth(request)
    answer = raw.send("GET", raw.path("k"), dict(request.headers.items()))
    assert (answer.code, "x-amz-content-sha256" in answer.message) == ("InvalidRequest", True)


def test_the_body_hash_must_be_one(raw: Any) -> None:
    answer = raw.signed("PUT", raw.path("k"), body=b"x", payload="anything")
    assert answer.code == "InvalidArgument"


def test_unsigned_payload_is_allowed(raw: Any) -> None:
    assert raw.signed("PUT", raw.path("k"), body=b"x", payload="UNSIGNED-PAYLOAD").status == 200


@pytest.mark.parametrize(
    "value",
    [
        "",
        "AWS4-HMAC-SHA256",
        "AWS4-HMAC-SHA256 Credential=a/b",
        "Basic abc",
        "AWS4-HMAC-SHA256 Credential=, ,=",
        "\xff",
    ],
)
def test_malformed_authorization(raw: Any, value: str) -> None:
    headers = {**raw.sign("GET", raw.path("k")), "Authorization": value}
    assert raw.send("GET", raw.path("k"), headers).status == 400


def test_refusals_store_nothing_and_are_counted(raw: Any, s3_emulator: Any) -> None:
    headers = raw.sign("PUT", raw.path("k"), body=b"x", secret="wrong")
    raw.send("PUT", raw.path("k"), headers, b"x")
    record = s3_emulator.requests[-1]
    assert (record.method, record.status, record.error, record.bytes_in) == ("PUT", 403, "SignatureDoesNotMatch", 0)
    assert s3_emulator.counts == {"Refused": 1}
    assert not any(name.lower() == "authorization" for name, _ in record.headers)
    assert raw.signed("GET", raw.path("k")).status == 404
