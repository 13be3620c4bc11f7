"""The transport and the life of an emulator: connections, broken requests, virtual hosts, isolation, limits."""

from __future__ import annotations

import contextlib
import io
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import boto3  # type: ignore[import-untyped,unused-ignore]  # ships no types
import pytest
import requests
from botocore.config import Config  # type: ignore[import-untyped,unused-ignore]  # ships no types
from vvos_s3.emulator import S3Emulator

MIB = 1024 * 1024


@contextlib.contextmanager
def connected(emulator: S3Emulator) -> Iterator[socket.socket]:
    parts = urlsplit(emulator.info["endpoint"])
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=10) as connection:
        yield connection


def talk(connection: socket.socket, head: str, body: bytes = b"") -> bytes:
    """Sends a request, says that no more will come, and reads all that comes back."""
    connection.sendall(head.replace("\n", "\r\n").encode() + b"\r\n" + body)
    connection.shutdown(socket.SHUT_WR)
    answer = b""
    while piece := connection.recv(65536):
        answer += piece
    return answer


def head_of(method: str, target: str, headers: dict[str, str]) -> str:
    return f"{method} {target} HTTP/1.1\n" + "".join(f"{name}: {value}\n" for name, value in headers.items())


def test_a_connection_serves_many_requests(s3_emulator: S3Emulator, raw: Any) -> None:
    url = s3_emulator.info["endpoint"]
    with requests.Session() as session:
        for number in range(5):
            target = raw.path(f"k{number}")
            headers = raw.sign("PUT", target, body=b"x")
            answer = session.put(url + target, data=b"x", headers=headers)
            assert (answer.status_code, answer.headers.get("Connection")) == (200, None)
            headers = raw.sign("GET", target)
            assert session.get(url + target, headers=headers).content == b"x"
        # A body that nobody reads must not become the next request.
        refused = session.put(url + raw.path("k"), data=b"GET / HTTP/1.1\r\n\r\n" * 100_000)
        assert (refused.status_code, refused.headers["Connection"]) == (403, "close")
        assert session.get(url + target, headers=headers).content == b"x"
    assert len(s3_emulator.requests) == 12


def test_truncated_body(s3_emulator: S3Emulator, raw: Any) -> None:
    headers = {**raw.sign("PUT", raw.path("k"), body=b"0123456789", payload="UNSIGNED-PAYLOAD"), "Content-Length": "10"}
    with connected(s3_emulator) as connection:
        answer = talk(connection, head_of("PUT", raw.path("k"), headers), b"01234")
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"<Code>IncompleteBody</Code>" in answer
    assert raw.signed("GET", raw.path("k")).code == "NoSuchKey"
    assert s3_emulator.requests[0].bytes_in == 5


def test_a_refusal_reaches_a_client_that_is_still_sending(s3_emulator: S3Emulator) -> None:
    with connected(s3_emulator) as connection:
        answer = talk(connection, head_of("PUT", "/vvos/k", {"Content-Length": str(30 * MIB)}), bytes(30 * MIB))
    assert answer.startswith(b"HTTP/1.1 403 ")


def test_expect_continue(s3_emulator: S3Emulator, raw: Any) -> None:
    headers = {**raw.sign("PUT", raw.path("k"), body=b"x"), "Content-Length": "1", "Expect": "100-continue"}
    with connected(s3_emulator) as connection:
        connection.sendall(head_of("PUT", raw.path("k"), headers).replace("\n", "\r\n").encode() + b"\r\n")
        assert connection.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"x")
        assert connection.recv(1000).startswith(b"HTTP/1.1 200 OK\r\n")
    headers["Authorization"] = headers["Authorization"][:-1] + "x"
    with connected(s3_emulator) as connection:
        connection.sendall(head_of("PUT", raw.path("k"), headers).replace("\n", "\r\n").encode() + b"\r\n")
        assert connection.recv(1000).startswith(b"HTTP/1.1 403 ")


def test_boto3_is_refused_before_it_sends_the_body(client_for: Any, s3_emulator: S3Emulator, bucket: str) -> None:
    wrong = client_for(aws_secret_access_key="wrong")
    with pytest.raises(wrong.exceptions.ClientError, match="SignatureDoesNotMatch"):
        wrong.put_object(Bucket=bucket, Key="k", Body=io.BytesIO(bytes(40 * MIB)))
    assert s3_emulator.requests[-1].bytes_in == 0


@pytest.mark.parametrize(
    ("head", "status"),
    [
        ("PUT /vvos/k HTTP/1.1\nContent-Length: many\n", 400),
        ("PUT /vvos/k HTTP/1.1\nContent-Length: 1\nContent-Length: 2\n", 400),
        ("PUT /vvos/k HTTP/1.1\nContent-Length: 1\nTransfer-Encoding: chunked\n", 400),
        ("PUT /vvos/k HTTP/1.1\nTransfer-Encoding: gzip\n", 400),
        ("GET / HTTP/1.1\nx: " + "y" * 70_000 + "\n", 431),
        ("GET / HTTP/1.1\n" + "x: y\n" * 20_000, 431),
    ],
)
def test_what_is_not_http(s3_emulator: S3Emulator, head: str, status: int) -> None:
    with connected(s3_emulator) as connection:
        answer = talk(connection, head)
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"Connection: close" in answer


def test_metadata_cannot_split_an_answer(raw: Any) -> None:
    raw.signed("PUT", raw.path("k"), {"x-amz-meta-a": "b"}, b"x")
    query = "?response-content-type=a%0D%0AEvil%3A%20yes"
    answer = raw.signed("GET", raw.path("k") + query)
    assert (answer.status, "evil" in answer.headers) == (200, False)


@pytest.mark.parametrize("host", ["vvos.localhost", "vvos.s3.localhost"])
def test_virtual_hosts(raw: Any, host: str) -> None:
    name = f"{host}:{raw.netloc.rpartition(':')[2]}"
    assert raw.signed("PUT", "/folder/k%20%2B", body=b"x", host=name).status == 200
    assert raw.signed("GET", "/vvos/folder/k%20%2B").body == b"x"
    assert b"<Key>folder/k +</Key>" in raw.signed("GET", "/?list-type=2", host=name).body
    assert raw.signed("GET", "/vvos/folder/k%20%2B", host=f"s3.localhost:{raw.netloc.rpartition(':')[2]}").body == b"x"


def test_keys_have_at_most_1024_bytes(raw: Any) -> None:
    assert raw.signed("PUT", raw.path("键" * 341 + "x"), body=b"").status == 200
    assert raw.signed("PUT", raw.path("键" * 341 + "xx"), body=b"").code == "KeyTooLongError"
    assert raw.signed("PUT", f"/{raw.bucket}/%FF%FE", body=b"").code == "InvalidURI"


def test_entity_too_large(s3_emulator: S3Emulator, raw: Any) -> None:
    for target in (raw.path("k"), raw.path("k") + "?partNumber=1&uploadId=u"):
        headers = raw.sign("PUT", target, body=b"", payload="UNSIGNED-PAYLOAD")
        headers["Content-Length"] = str(5 * 1024**3 + 1)
        with connected(s3_emulator) as connection:
            answer = talk(connection, head_of("PUT", target, headers))
        assert b"<Code>EntityTooLarge</Code>" in answer or b"<Code>NoSuchUpload</Code>" in answer


def test_a_put_needs_a_length(s3_emulator: S3Emulator, raw: Any) -> None:
    headers = raw.sign("PUT", raw.path("k"))
    with connected(s3_emulator) as connection:
        assert b"411 Length Required" in talk(connection, head_of("PUT", raw.path("k"), headers))


def test_errors_have_the_form_of_s3(raw: Any) -> None:
    answer = raw.send("GET", "/vvos/k?a=<&>")
    assert answer.headers["content-type"] == "application/xml"
    request_id = answer.headers["x-amz-request-id"]
    assert answer.body.decode() == (
        '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>AccessDenied</Code><Message>Access Denied</Message>'
        f"<Resource>/vvos/k</Resource><RequestId>{request_id}</RequestId></Error>"
    )
    missing = raw.signed("GET", raw.path("none"))
    assert f"<RequestId>{missing.headers['x-amz-request-id']}</RequestId>".encode() in missing.body


def test_what_is_not_emulated_says_so(raw: Any) -> None:
    assert raw.signed("POST", f"/{raw.bucket}", {}, b"x").status == 501
    assert raw.signed("DELETE", "/").code == "MethodNotAllowed"
    assert raw.signed("DELETE", raw.path("k") + "?uploads=").code == "MethodNotAllowed"


def test_cors(raw: Any, s3_client: Any, bucket: str) -> None:
    asked = {"Origin": "https://app.example", "Access-Control-Request-Method": "PUT"}
    assert raw.send("OPTIONS", raw.path("k"), asked).status == 403
    rule = {
        "AllowedMethods": ["PUT", "GET"],
        "AllowedOrigins": ["https://*.example"],
        "AllowedHeaders": ["content-*"],
        "ExposeHeaders": ["ETag"],
    }
    s3_client.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [rule]})
    headers = {**asked, "Access-Control-Request-Headers": "content-type, content-md5"}
    allowed = raw.send("OPTIONS", raw.path("k"), headers)
    assert (allowed.status, allowed.headers["access-control-allow-origin"]) == (200, "https://app.example")
    assert raw.send("OPTIONS", raw.path("k"), {**headers, "Origin": "https://evil.test"}).status == 403
    assert raw.send("OPTIONS", raw.path("k"), {**asked, "Access-Control-Request-Headers": "x-evil"}).status == 403
    put = raw.signed("PUT", raw.path("k"), {"Origin": "https://app.example"}, b"x")
    assert put.headers["access-control-expose-headers"] == "ETag"
    # A browser shows a refusal to its page only with these headers.
    assert (
        "access-control-allow-origin" in raw.signed("GET", raw.path("none"), {"Origin": "https://app.example"}).headers
    )


def client_of(emulator: S3Emulator) -> Any:
    info = emulator.info
    return boto3.client(
        "s3",
        endpoint_url=info["endpoint"],
        aws_access_key_id=info["access_key"],
        aws_secret_access_key=info["secret_key"],
        region_name=info["region"],
        config=Config(signature_version="s3v4"),
    )


def test_two_emulators_share_nothing() -> None:
    with S3Emulator(bucket="same-name") as one, S3Emulator(bucket="same-name", region="eu-central-1") as two:
        first, second = client_of(one), client_of(two)
        first.put_object(Bucket="same-name", Key="k", Body=b"one")
        second.put_object(Bucket="same-name", Key="k", Body=b"two")
        one.reset()
        assert "Contents" not in first.list_objects_v2(Bucket="same-name")
        assert second.get_object(Bucket="same-name", Key="k")["Body"].read() == b"two"
        first.create_bucket(Bucket="only-one")
        with pytest.raises(second.exceptions.ClientError, match="404"):
            second.head_bucket(Bucket="only-one")
        with pytest.raises(second.exceptions.BucketAlreadyOwnedByYou):
            second.create_bucket(Bucket="same-name", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
        first.close()
        second.close()


def test_its_life() -> None:
    emulator = S3Emulator(access_key="AK", secret_key="SK")
    with pytest.raises(RuntimeError, match="not running"):
        emulator.info  # noqa: B018  # it raises
    with emulator:
        assert set(emulator.info) == {"endpoint", "access_key", "secret_key", "bucket", "region"}
        assert (emulator.info["access_key"], emulator.info["secret_key"]) == ("AK", "SK")
        port = int(emulator.info["endpoint"].rpartition(":")[2])
        with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1:{port}"):
            S3Emulator(port=port).start()
        with connected(emulator) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert connection.recv(10_000).startswith(b"HTTP/1.1 403")
            emulator.stop()
            assert connection.recv(1) == b""
    emulator.stop()
    with S3Emulator(port=port) as again:
        assert again.info["endpoint"].endswith(f":{port}")


def test_importing_is_cheap() -> None:
    code = "import sys, vvos_s3.emulator; print({'moto', 'boto3', 'botocore', 'awscrt', 'flask'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_the_log_counts_requests(s3_emulator: S3Emulator, s3_client: Any, bucket: str) -> None:
    s3_client.put_object(Bucket=bucket, Key="文 件", Body=b"12345")
    s3_client.list_objects_v2(Bucket=bucket)
    record = s3_emulator.requests[0]
    assert (record.operation, record.bucket, record.key, record.bytes_in, record.status, record.error) == (
        "PutObject",
        bucket,
        "文 件",
        5,
        200,
        None,
    )
    assert s3_emulator.counts == {"PutObject": 1, "ListObjectsV2": 1}
    s3_emulator.reset()
    assert (len(s3_emulator.requests), s3_emulator.counts) == (0, {})
