"""Presigned requests: they do what was signed, until they expire, and nothing else."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from hashlib import md5, sha256
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
Presign = Callable[..., str]


@pytest.fixture
def presign(s3_client: Any, bucket: str) -> Presign:
    def make(operation: str, expires: int = 60, key: str = "键 1.txt", **params: Any) -> str:
        url: str = s3_client.generate_presigned_url(
            operation, Params={"Bucket": bucket, "Key": key, **params}, ExpiresIn=expires
        )
        return url

    return make


def with_query(url: str, **changes: str) -> str:
    parts = urlsplit(url)
    query = {**dict(parse_qsl(parts.query)), **changes}
    return urlunsplit(parts._replace(query=urlencode(query, quote_via=quote)))


def test_put_and_get(raw: Any, presign: Presign) -> None:
    assert raw.url(presign("put_object"), "PUT", {"Content-Type": "text/x"}, b"hello").status == 200
    got = raw.url(presign("get_object", ResponseContentDisposition="attachment"), "GET", {"Range": "bytes=1-2"})
    assert (got.status, got.body, got.headers["content-disposition"]) == (206, b"el", "attachment")
    assert raw.url(presign("head_object"), "HEAD").headers["content-type"] == "text/x"
    assert raw.url(presign("delete_object"), "DELETE").status == 204
    assert raw.url(presign("get_object"), "GET").code == "NoSuchKey"


def test_a_whole_multipart_upload(raw: Any, presign: Presign) -> None:
    created = raw.url(presign("create_multipart_upload"), "POST")
    upload_id = created.body.partition(b"<UploadId>")[2].partition(b"</UploadId>")[0].decode()
    bodies = [bytes(5 * 1024 * 1024), b"end"]
    parts = ""
    for number, body in enumerate(bodies, 1):
        put = raw.url(presign("upload_part", UploadId=upload_id, PartNumber=number), "PUT", {}, body)
        parts += f"<Part><PartNumber>{number}</PartNumber><ETag>{put.headers['etag']}</ETag></Part>"
    listed = raw.url(presign("list_parts", UploadId=upload_id), "GET")
    assert listed.body.count(b"<Part>") == 2
    xml = f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>".encode()
    done = raw.url(presign("complete_multipart_upload", UploadId=upload_id), "POST", {}, xml)
    assert (done.status, b"<ChecksumCRC64NVME>" in done.body) == (200, True)
    assert raw.url(presign("get_object"), "GET").body == b"".join(bodies)


@pytest.mark.parametrize(("seconds", "status"), [(0, 200), (50, 200), (62, 403), (86_400, 403)])
def test_expiry(raw: Any, presign: Presign, later: Callable[[float], None], seconds: float, status: int) -> None:
    url = presign("put_object", expires=60)
    later(seconds)
    answer = raw.url(url, "PUT", {}, b"x")
    assert answer.status == status
    if status == 403:
        assert (answer.code, answer.message) == ("AccessDenied", "Request has expired")


def test_a_date_in_the_future(raw: Any, presign: Presign, later: Callable[[float], None]) -> None:
    url = presign("put_object", expires=604_800)
    later(-800)
    assert raw.url(url, "PUT", {}, b"x").status == 200
    later(-1000)
    assert (raw.url(url, "PUT", {}, b"x").code, raw.url(url, "PUT").status) == ("AccessDenied", 403)


@pytest.mark.parametrize("expires", ["604801", "0", "-1", "ten", "9" * 30])
def test_expiry_outside_the_limits(raw: Any, expires: str) -> None:
    # Signed with the impossible value, so that not the signature is what is refused.
    assert raw.url(raw.presign("GET", raw.path("k"), expires), "GET").code == "AuthorizationQueryParametersError"


def test_a_week_is_allowed(raw: Any, presign: Presign, later: Callable[[float], None]) -> None:
    url = presign("put_object", expires=604_800)
    later(604_790)
    assert raw.url(url, "PUT", {}, b"x").status == 200


def test_expiry_cannot_be_extended(raw: Any, presign: Presign) -> None:
    url = with_query(presign("get_object", expires=60), **{"X-Amz-Expires": "600"})
    assert raw.url(url, "GET").code == "SignatureDoesNotMatch"


@QUICK
@given(data=st.data())
def test_a_url_changed_at_any_byte(raw: Any, presign: Presign, data: st.DataObject) -> None:
    parts = urlsplit(presign("put_object", key="name"))
    target = f"{parts.path}?{parts.query}"
    index = data.draw(st.integers(1, len(target) - 1))
    # Upper and lower case of an escape are the same byte; they are not a change.
    other = data.draw(st.sampled_from("ghijkGHIJK!_.-~=&/?0123456789").filter(lambda c: c != target[index]))
    answer = raw.send("PUT", target[:index] + other + target[index + 1 :], {}, b"x")
    assert answer.status in (400, 403), (target, index, other, answer)


@pytest.mark.parametrize("operation", ["get_object", "put_object", "delete_object"])
def test_for_one_method_only(raw: Any, presign: Presign, operation: str) -> None:
    method = operation.split("_")[0].upper()
    for other in {"GET", "PUT", "DELETE", "POST", "HEAD"} - {method}:
        assert raw.url(presign(operation), other, {}, b"").status == 403


def test_for_one_key_only(raw: Any, presign: Presign) -> None:
    url = presign("put_object", key="mine").replace("/mine?", "/yours?")
    assert raw.url(url, "PUT", {}, b"x").code == "SignatureDoesNotMatch"


def test_for_one_part_of_one_upload_only(raw: Any, presign: Presign) -> None:
    url = presign("upload_part", UploadId="one", PartNumber=1)
    for change in ({"partNumber": "2"}, {"uploadId": "two"}):
        assert raw.url(with_query(url, **change), "PUT", {}, b"x").code == "SignatureDoesNotMatch"
    assert raw.url(url, "PUT", {}, b"x").code == "NoSuchUpload"


def test_a_signed_content_type(raw: Any, presign: Presign) -> None:
    url = presign("put_object", ContentType="image/png")
    assert raw.url(url, "PUT", {"Content-Type": "image/png"}, b"x").status == 200
    assert raw.url(url, "PUT", {"Content-Type": "text/html"}, b"x").code == "SignatureDoesNotMatch"
    assert raw.url(url, "PUT", {}, b"x").code == "SignatureDoesNotMatch"


def test_a_signed_content_length(raw: Any, presign: Presign) -> None:
    url = presign("put_object", ContentLength=5)
    assert "content-length" in url
    assert raw.url(url, "PUT", {}, b"12345").status == 200
    assert raw.url(url, "PUT", {}, b"123456").code == "SignatureDoesNotMatch"
    assert raw.url(url, "PUT", {"Transfer-Encoding": "chunked"}, b"5\r\n12345\r\n0\r\n\r\n").status == 403


@pytest.mark.parametrize("name", ["x-amz-acl", "x-amz-meta-a", "x-amz-content-sha256", "x-amz-checksum-crc32"])
def test_an_unsigned_amz_header(raw: Any, presign: Presign, name: str) -> None:
    answer = raw.url(presign("put_object"), "PUT", {name: "value"}, b"x")
    assert (answer.status, answer.code) == (403, "AccessDenied")
    assert f"<HeadersNotSigned>{name}</HeadersNotSigned>".encode() in answer.body


def test_a_put_cannot_be_turned_into_a_copy(raw: Any, presign: Presign, s3_client: Any, bucket: str) -> None:
    s3_client.put_object(Bucket=bucket, Key="secret", Body=b"secret")
    answer = raw.url(presign("put_object"), "PUT", {"x-amz-copy-source": f"/{bucket}/secret"})
    assert (answer.code, b"x-amz-copy-source" in answer.body) == ("AccessDenied", True)
    part = presign("upload_part", UploadId="u", PartNumber=1)
    assert raw.url(part, "PUT", {"x-amz-copy-source": f"/{bucket}/secret"}).code == "AccessDenied"
    hoisted = presign("put_object") + f"&x-amz-copy-source=/{bucket}/secret"
    assert raw.url(hoisted, "PUT").code == "SignatureDoesNotMatch"


def test_a_signed_checksum_is_enforced(raw: Any, presign: Presign) -> None:
    value = b64encode(sha256(b"hello").digest()).decode()
    url = presign("put_object", ChecksumSHA256=value)
    headers = {} if value in dict(parse_qsl(urlsplit(url).query)).values() else {"x-amz-checksum-sha256": value}
    assert raw.url(url, "PUT", headers, b"hello").headers["x-amz-checksum-sha256"] == value
    assert raw.url(url, "PUT", headers, b"other").code == "BadDigest"


def test_content_md5_needs_no_signature_and_is_enforced(raw: Any, presign: Presign) -> None:
    value = b64encode(md5(b"hello").digest()).decode()
    assert raw.url(presign("put_object"), "PUT", {"Content-MD5": value}, b"hello").status == 200
    assert raw.url(presign("put_object"), "PUT", {"Content-MD5": value}, b"other").code == "BadDigest"


def test_if_none_match_needs_no_signature(raw: Any, presign: Presign) -> None:
    assert raw.url(presign("put_object"), "PUT", {"If-None-Match": "*"}, b"1").status == 200
    assert raw.url(presign("put_object"), "PUT", {"If-None-Match": "*"}, b"2").code == "PreconditionFailed"


@pytest.mark.parametrize("missing", ["Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature"])
def test_each_query_field_is_needed_once(raw: Any, presign: Presign, missing: str) -> None:
    url = presign("get_object")
    parts = urlsplit(url)
    kept = [piece for piece in parts.query.split("&") if not piece.startswith(f"X-Amz-{missing}=")]
    answer = raw.send("GET", f"{parts.path}?{'&'.join(kept)}")
    assert answer.status in (400, 403)
    repeated = next(piece for piece in parts.query.split("&") if piece.startswith(f"X-Amz-{missing}="))
    assert raw.url(f"{url}&{repeated}", "GET").code == "AuthorizationQueryParametersError"


def test_not_with_an_authorization_header_as_well(raw: Any, presign: Presign) -> None:
    headers = raw.sign("GET", raw.path("k"))
    assert raw.url(presign("get_object"), "GET", {"Authorization": headers["Authorization"]}).code == "InvalidArgument"


def test_the_log_has_no_signature(raw: Any, presign: Presign, s3_emulator: Any) -> None:
    raw.url(presign("upload_part", UploadId="u", PartNumber=7), "PUT", {}, b"x")
    record = s3_emulator.requests[-1]
    assert "partNumber=7" in record.query
    assert not any(word in record.query for word in ("Signature=", "Credential", "Token"))
