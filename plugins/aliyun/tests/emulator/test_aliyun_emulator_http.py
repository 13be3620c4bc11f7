"""What the SDK does not show: headers, error bodies, addresses, hostile requests, several servers, memory."""

from __future__ import annotations

import base64
import http.client
import socket
import threading
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import oss2  # type: ignore[import-untyped,unused-ignore]  # ships no types
import pytest
import requests
from vvos_aliyun import Aliyun, Settings
from vvos_aliyun.emulator import AliyunEmulator
from vvos_aliyun.v4 import Signer

from vvos_core import Http, Secret


def url(emulator: AliyunEmulator, method: str, key: str, headers: Any = None, **extra: str) -> str:
    """A URL that our own signer made."""
    info = emulator.info
    signing = Signer(Secret(info["access_key"]), Secret(info["secret_key"]), info["region"]).at(emulator.clock(), 60)
    query = signing.presign(method, f"/vvos/{key}", headers or {}, extra)
    return f"{info['endpoint']}/vvos/{key}?{query}"


def test_an_error_as_oss_writes_it(aliyun_emulator: AliyunEmulator) -> None:
    answer = requests.get(url(aliyun_emulator, "GET", "nothing"), timeout=5)
    root = ET.fromstring(answer.content)
    assert root.tag == "Error"  # without a namespace
    assert [child.tag for child in root] == ["Code", "Message", "RequestId", "HostId", "Key", "EC"]
    assert root.findtext("RequestId") == answer.headers["x-oss-request-id"]
    assert (answer.headers["x-oss-ec"], answer.headers["Server"]) == ("0026-00000001", "AliyunOSS")
    head = requests.head(url(aliyun_emulator, "HEAD", "nothing"), timeout=5)
    assert (head.status_code, head.content) == (404, b"")
    assert ET.fromstring(base64.b64decode(head.headers["x-oss-err"])).findtext("Code") == "NoSuchKey"


def test_every_write_and_read_says_the_checksum(aliyun_emulator: AliyunEmulator) -> None:
    put = requests.put(url(aliyun_emulator, "PUT", "a"), data=b"123456789", timeout=5)
    answers = [put] + [requests.request(m, url(aliyun_emulator, m, "a"), timeout=5) for m in ("GET", "HEAD")]
    assert {answer.headers["x-oss-hash-crc64ecma"] for answer in answers} == {str(0x995DC9BBDF1939FA)}
    assert {answer.headers["Content-MD5"] for answer in answers} == {"JfnnlDI7RTiF9RgfG2JNCw=="}
    assert [answer.headers["Content-Length"] for answer in answers] == ["0", "9", "9"]


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"x-oss-expires": "0"}, 400, "InvalidArgument"),
        ({"x-oss-expires": "604801"}, 400, "InvalidArgument"),
        ({"x-oss-expires": "61"}, 403, "SignatureDoesNotMatch"),
        ({"x-oss-date": "yesterday"}, 400, "InvalidArgument"),
        ({"x-oss-signature-version": "OSS2"}, 400, "InvalidArgument"),
        ({"x-oss-additional-headers": ""}, 400, "InvalidArgument"),
        ({"x-oss-additional-headers": "host;not-there"}, 400, "InvalidArgument"),
        ({"x-oss-credential": "a/b"}, 400, "InvalidArgument"),
        ({"x-oss-signature": "0" * 64}, 403, "SignatureDoesNotMatch"),
        ({"x-oss-signature": "é"}, 403, "SignatureDoesNotMatch"),
        ({"more": "1"}, 403, "SignatureDoesNotMatch"),
        ({"x-oss-security-token": "t"}, 403, "InvalidSecurityToken"),
    ],
    ids=str,
)
def test_tampered_urls(aliyun_emulator: AliyunEmulator, change: dict[str, str], status: int, code: str) -> None:
    from urllib.parse import parse_qsl, urlencode

    good = url(aliyun_emulator, "PUT", "a")
    path, _, query = good.partition("?")
    answer = requests.put(f"{path}?{urlencode(dict(parse_qsl(query)) | change)}", data=b"x", timeout=5)
    assert (answer.status_code, f"<Code>{code}</Code>" in answer.text) == (status, True), answer.text


def test_a_parameter_that_is_there_twice_is_not_two_meanings(aliyun_emulator: AliyunEmulator) -> None:
    good = url(aliyun_emulator, "GET", "a", **{"response-content-type": "a/b"})
    assert requests.get(good + "&response-content-type=c%2Fd", timeout=5).status_code == 400


def test_an_additional_header_is_signed(aliyun_emulator: AliyunEmulator) -> None:
    signed = url(aliyun_emulator, "PUT", "a", {"content-length": "3"})
    assert requests.put(signed, data=b"abc", timeout=5).status_code == 200
    assert requests.put(signed, data=b"abcd", timeout=5).status_code == 403


def test_v4_with_the_headers_in_the_documents_order(aliyun_emulator: AliyunEmulator) -> None:
    """``Credential=…,AdditionalHeaders=…,Signature=…``, as the documents have it; oss2 writes another order."""
    info = aliyun_emulator.info
    bucket = oss2.Bucket(
        oss2.AuthV4(info["access_key"], info["secret_key"]), info["endpoint"], "vvos", region=info["region"]
    )
    request = oss2.http.Request(
        "PUT",
        f"{info['endpoint']}/vvos/a",
        data=b"x",
        headers={"host": urlsplit(info["endpoint"]).netloc},
        region=info["region"],
        product="oss",
    )
    bucket.auth._sign_request(request, "vvos", "a", ["host"])
    head, signature, additional = request.headers["authorization"].split(", ")
    request.headers["authorization"] = f"{head},{additional},{signature}"
    answer = requests.put(request.url, data=b"x", headers={n: v for n, v in request.headers.items() if v}, timeout=5)
    assert answer.status_code == 200, answer.text
    bucket.session.session.close()


@pytest.mark.parametrize(
    "text", ["OSS a", "OSS :x", "OSS4-HMAC-SHA256", "OSS4-HMAC-SHA256 Credential=a", "Basic eDp5", ""]
)
def test_an_authorization_that_is_none(aliyun_emulator: AliyunEmulator, text: str) -> None:
    answer = requests.get(f"{aliyun_emulator.info['endpoint']}/vvos/a", headers={"Authorization": text}, timeout=5)
    assert answer.status_code in (400, 403)


HOSTILE = [
    ("GET", "/vvos/%ff", {}, b""),
    ("GET", "/%00/a", {}, b""),
    ("GET", "//vvos//a", {}, b""),
    ("PUT", "/vvos/a", {"Content-Length": "9" * 30}, b""),
    ("PUT", "/vvos/a", {"Content-Length": "-1"}, b""),
    ("PUT", "/vvos/a", {"Transfer-Encoding": "gzip, chunked"}, b"0\r\n\r\n"),
    ("POST", "/vvos/?delete", {"Content-Length": "3"}, b"<a>"),
    ("POST", "/", {"Content-Type": "application/x-www-form-urlencoded", "Content-Length": "3"}, b"a=b"),
    ("OPTIONS", "/vvos/a", {}, b""),
    ("GET", "/?Action=AssumeRole&Action=x", {}, b""),
    ("GET", "/vvos/a?x-oss-signature-version=OSS4-HMAC-SHA256", {}, b""),
    ("GET", "/vvos/a?Signature=x&Expires=y&OSSAccessKeyId=z", {}, b""),
    ("DELETE", "/", {}, b""),
    ("GET", "/vvos/a", {"Host": "no-such-bucket.example.com"}, b""),
    ("GET", "/vvos/a", {"Host": "..."}, b""),
    ("PUT", "/vvos/a", {"Date": "x", "Authorization": "OSS a:b"}, b""),
]


@pytest.mark.parametrize(("method", "target", "headers", "body"), HOSTILE, ids=str)
def test_hostile_requests_are_refused_and_the_server_goes_on(
    aliyun_emulator: AliyunEmulator, method: str, target: str, headers: dict[str, str], body: bytes
) -> None:
    netloc = urlsplit(aliyun_emulator.info["endpoint"]).netloc
    connection = http.client.HTTPConnection(netloc, timeout=5)
    connection.putrequest(method, target, skip_host="Host" in headers)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders(body)
    assert 400 <= connection.getresponse().status < 500
    connection.close()
    assert requests.put(url(aliyun_emulator, "PUT", "a"), data=b"x", timeout=5).status_code == 200


def test_connections_are_kept_alive(aliyun_emulator: AliyunEmulator) -> None:
    connection = http.client.HTTPConnection(urlsplit(aliyun_emulator.info["endpoint"]).netloc, timeout=5)
    ports = set()
    for number in range(3):
        parts = urlsplit(url(aliyun_emulator, "PUT", f"k{number}"))
        connection.request("PUT", f"{parts.path}?{parts.query}", b"x")
        assert connection.getresponse().read() == b""
        ports.add(connection.sock.getsockname()[1])
    connection.close()
    assert len(ports) == 1


def test_a_document_type_is_not_read(aliyun_emulator: AliyunEmulator, aliyun_bucket: Any) -> None:
    upload = aliyun_bucket.init_multipart_upload("a").upload_id
    etag = aliyun_bucket.upload_part("a", upload, 1, b"x").etag
    part = f"<Part><PartNumber>&b;</PartNumber><ETag>{etag}</ETag></Part>"
    body = f'<!DOCTYPE a [<!ENTITY b "1">]><CompleteMultipartUpload>{part}</CompleteMultipartUpload>'
    answer = requests.post(url(aliyun_emulator, "POST", "a", uploadId=upload), data=body, timeout=5)
    assert (answer.status_code, "MalformedXML" in answer.text) == (400, True)


@pytest.fixture
def domain() -> Iterator[AliyunEmulator]:
    with AliyunEmulator(cnames={"files.example.com": "vvos"}) as emulator:
        yield emulator


@pytest.mark.parametrize("host", ["vvos.oss-cn-hangzhou.aliyuncs.com", "files.example.com"])
def test_virtual_hosts_and_custom_domains(domain: AliyunEmulator, host: str) -> None:
    """The requests of a real profile, taken to the emulator by their Host header."""
    from vvos_aliyun.grants import read

    from vvos_core import Ask, TokenRequest

    info = domain.info
    own = (
        {"endpoint": f"http://{host}", "cname": True}
        if host.startswith("files")
        else {"endpoint": f"http://{host[5:]}"}
    )
    provider = Aliyun(
        Settings(
            bucket="vvos", region=info["region"], access_key=Secret(info["access_key"]),
            secret_key=Secret(info["secret_key"]), **own,
        )
    )  # fmt: skip
    now = time.time()
    ask = Ask(client_key="文", key="文/a", size=3)
    (grant,) = provider.token(TokenRequest(files=(ask,), request_token="x", issued_at=now, expires_at=now + 60))
    signed = read(grant).put()  # type: ignore[arg-type]  # a grant
    assert signed.url.startswith(f"http://{host}/%E6%96%87/a?")
    here = signed.url.replace(f"http://{host}", info["endpoint"])
    assert requests.put(here, data=b"abc", headers={**signed.headers, "Host": host}, timeout=5).status_code == 200
    assert requests.put(here, data=b"abc", headers=signed.headers, timeout=5).status_code >= 400
    assert b"".join(domain.read("文/a")) == b"abc"


def test_cors_rules(aliyun_emulator: AliyunEmulator, aliyun_bucket: Any) -> None:
    endpoint = f"{aliyun_emulator.info['endpoint']}/vvos/a"
    asking = {
        "Origin": "https://a.example",
        "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": "X-A",
    }
    assert requests.options(endpoint, headers=asking, timeout=5).status_code == 403
    rule = oss2.models.CorsRule(["https://a.example"], ["PUT"], ["*"], ["ETag"], 60)
    aliyun_bucket.put_bucket_cors(oss2.models.BucketCors([rule]))
    answer = requests.options(endpoint, headers=asking, timeout=5)
    assert answer.status_code == 200
    assert answer.headers["Access-Control-Allow-Headers"] == "x-a"
    put = requests.put(url(aliyun_emulator, "PUT", "a"), data=b"x", headers={"Origin": "https://a.example"}, timeout=5)
    assert put.headers["Access-Control-Expose-Headers"] == "ETag"
    assert requests.options(endpoint, headers={**asking, "Origin": "https://b.example"}, timeout=5).status_code == 403


def test_two_emulators_share_nothing() -> None:
    with AliyunEmulator() as one, AliyunEmulator(bucket="other") as two:
        assert list(one.info) == ["endpoint", "access_key", "secret_key", "bucket", "region"]
        assert requests.put(url(one, "PUT", "a"), data=b"x", timeout=5).status_code == 200
        wrong = url(one, "GET", "a").replace(one.info["endpoint"], two.info["endpoint"])
        assert requests.get(wrong, timeout=5).status_code == 403
        assert (one.counts["PutObject"], two.counts["PutObject"]) == (1, 0)
        folder = one._running.store.blobs._folder.name  # type: ignore[union-attr]  # it runs
    import os

    assert not os.path.exists(folder)


def test_a_port_that_is_taken_is_said() -> None:
    with AliyunEmulator() as emulator:
        port = int(emulator.info["endpoint"].rpartition(":")[2])
        with pytest.raises(OSError, match=str(port)):
            AliyunEmulator(port=port).start()


def test_two_that_write_one_key_at_once_and_only_one_may(aliyun_emulator: AliyunEmulator) -> None:
    forbid = {"x-oss-forbid-overwrite": "true"}
    statuses: list[int] = []
    gate = threading.Barrier(8)

    def put(number: int) -> None:
        signed = url(aliyun_emulator, "PUT", "a", forbid)
        gate.wait()
        statuses.append(requests.put(signed, data=bytes([number]) * 50_000, headers=forbid, timeout=9).status_code)

    threads = [threading.Thread(target=put, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200] + [409] * 7


def test_a_connection_that_breaks_off_stores_nothing(aliyun_emulator: AliyunEmulator, aliyun_bucket: Any) -> None:
    parts = urlsplit(url(aliyun_emulator, "PUT", "a"))
    connection = http.client.HTTPConnection(parts.netloc, timeout=5)
    connection.putrequest("PUT", f"{parts.path}?{parts.query}")
    connection.putheader("Content-Length", "100000")
    connection.endheaders(b"x" * 50_000)
    connection.sock.shutdown(socket.SHUT_WR)
    assert connection.getresponse().status == 400
    connection.close()
    assert aliyun_emulator.requests[-1].code == "RequestTimeout"
    assert not aliyun_bucket.object_exists("a")


def test_a_part_that_comes_in_while_its_upload_is_aborted_is_not_kept(
    aliyun_emulator: AliyunEmulator, aliyun_bucket: Any
) -> None:
    upload = aliyun_bucket.init_multipart_upload("a").upload_id
    parts = urlsplit(url(aliyun_emulator, "PUT", "a", partNumber="1", uploadId=upload))
    connection = http.client.HTTPConnection(parts.netloc, timeout=5)
    connection.putrequest("PUT", f"{parts.path}?{parts.query}")
    connection.putheader("Content-Length", "6")
    connection.putheader("Expect", "100-continue")
    connection.endheaders()
    assert connection.sock.recv(100).startswith(b"HTTP/1.1 100")  # it was let in, and now waits for the body
    aliyun_bucket.abort_multipart_upload("a", upload)
    connection.send(b"abcdef")
    answer = connection.getresponse()
    assert (answer.status, b"NoSuchUpload" in answer.read()) == (404, True)
    connection.close()


def test_objects_are_on_disk_and_not_in_memory(aliyun_emulator: AliyunEmulator, aliyun_bucket: Any) -> None:
    import os
    import tracemalloc

    size = 64 << 20
    block = memoryview(bytes(1 << 20))

    class Large:
        number, offset = 1, 0

        def __len__(self) -> int:
            return size

        def __iter__(self) -> Iterator[memoryview]:
            return iter([block] * 64)

    tracemalloc.start()
    signed = url(aliyun_emulator, "PUT", "big", {"content-length": str(size)})
    http_ = Http()
    answer = http_.send("PUT", signed, body=Large(), what="storing")
    http_.close()
    got = requests.get(url(aliyun_emulator, "GET", "big"), timeout=60, stream=True)
    total = sum(map(len, got.iter_content(1 << 20)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (answer.status, total) == (200, size)
    assert peak < 16 << 20
    folder = aliyun_emulator._running.store.blobs._folder.name  # type: ignore[union-attr]  # it runs
    assert sum(entry.stat().st_size for entry in os.scandir(folder)) >= size
    aliyun_bucket.delete_object("big")
    assert not [entry for entry in os.scandir(folder) if entry.stat().st_size == size]
