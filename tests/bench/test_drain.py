"""The drain notices what is not right: it looks at little, but not at nothing."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import re
import socket
import zlib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

import pytest
from hypothesis import given, strategies as st
from vvos_aliyun.checksum import Crc64Hasher
from vvos_qiniu.checksum import Qetag, QetagHasher
from vvos_s3.checksum import Crc64NvmeHasher

from vvos_core import Receipt

from .content import MIB, Stretch, Tape, tape_name, write_tape, zeros_name
from .drain.checking import AwsChunks
from .servers import Drain, drain, trust, write_certificates

SIZE = 9 * MIB
PART = 2 * MIB
KEY = f"/bench/批/{tape_name(1000, SIZE)}"
SPOTS = [0, SIZE // 2, SIZE - 1]


@pytest.fixture(scope="module")
def tape(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tape") / "tape"
    write_tape(path, 10 * MIB)
    return path


@pytest.fixture(scope="module")
def content(tape: Path) -> bytes:
    return tape.read_bytes()[1000 : 1000 + SIZE]


@pytest.fixture(scope="module")
def s3(tape: Path) -> Iterator[Drain]:
    with drain("s3", tape) as server:
        yield server


@pytest.fixture(scope="module")
def qiniu(tape: Path) -> Iterator[Drain]:
    with drain("qiniu", tape) as server:
        yield server


def send(
    server: Drain, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
) -> tuple[int, http.client.HTTPMessage, bytes]:
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=30)
    try:
        connection.request(method, quote(path, safe="/?=&"), body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def changed(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


@pytest.mark.parametrize("full", [True, False])
def test_what_is_right_is_counted_and_there_afterwards(s3: Drain, content: bytes, full: bool) -> None:
    path = KEY.replace("批", f"批{full}")
    s3.counts(full=full)
    assert send(s3, "HEAD", path)[0] == 404
    status, headers, _ = send(s3, "PUT", path, content)
    assert (status, headers["ETag"]) == (200, f'"{hashlib.md5(content).hexdigest()}"')
    status, headers, _ = send(s3, "HEAD", path)
    assert (status, headers["Content-Length"]) == (200, str(SIZE))
    counts = s3.counts(full=full)
    assert (counts.requests, counts.received, counts.stored, counts.looked) == (3, SIZE, 1, 1)
    assert (counts.wrong, counts.short, counts.unknown) == (0, 0, [])


def test_a_list_has_what_is_there_and_counts_it_as_looked_at_once(s3: Drain, content: bytes) -> None:
    names = sorted(tape_name(n, 4096) for n in range(1500))
    s3.counts(full=True)
    body = content + bytes(1)
    tape_at = {name: int(name[1:].partition("-")[0]) for name in names}
    for name in names[:20]:
        at = tape_at[name]
        if at >= 1000:
            assert send(s3, "PUT", f"/bench/列/{name}", body[at - 1000 :][:4096])[0] == 200
    there = [name for name in names[:20] if tape_at[name] >= 1000]
    query = f"list-type=2&prefix=列/t&start-after=列/{there[0]}&max-keys="
    assert s3.counts(full=True).looked == 0
    _, _, some = send(s3, "GET", f"/bench/?{query}2")
    assert (some.count(b"<Key>"), b"<IsTruncated>true" in some) == (2, True)
    _, _, all_ = send(s3, "GET", f"/bench/?{query}1000")
    keys = re.findall(rb"<Key>([^<]*)</Key>", all_)
    assert [unquote(key.decode()) for key in keys] == [f"列/{name}" for name in there[1:]]
    etags = re.findall(rb"<ETag>&quot;([0-9a-f]*)&quot;</ETag><Size>4096</Size>", all_)
    assert etags[0].decode() == hashlib.md5(body[tape_at[there[1]] - 1000 :][:4096]).hexdigest()
    assert b"<IsTruncated>false" in all_
    assert s3.counts(full=True).looked == len(there) - 1


@pytest.mark.parametrize("at", SPOTS)
def test_one_wrong_byte_is_noticed(s3: Drain, content: bytes, at: int) -> None:
    s3.counts(full=True)
    assert send(s3, "PUT", KEY.replace("批", f"错{at}"), changed(content, at))[0] == 400
    counts = s3.counts(full=False)
    assert (counts.wrong, counts.stored, counts.received) == (1, 0, 0)


@pytest.mark.parametrize("at", [SPOTS[0], SPOTS[2]])
def test_at_the_ends_it_is_noticed_always(s3: Drain, content: bytes, at: int) -> None:
    s3.counts(full=False)
    assert send(s3, "PUT", KEY.replace("批", f"错{at}"), changed(content, at))[0] == 400
    assert s3.counts(full=False).wrong == 1


@pytest.mark.parametrize("wrong", ["shorter", "longer"])
def test_another_length_is_noticed(s3: Drain, content: bytes, wrong: str) -> None:
    s3.counts(full=False)
    body = content[:-1] if wrong == "shorter" else content + b"x"
    assert send(s3, "PUT", KEY.replace("批", wrong), body)[0] == 400
    counts = s3.counts(full=False)
    assert (counts.wrong, counts.stored) == (1, 0)


@pytest.mark.parametrize("full", [True, False])
def test_a_body_that_breaks_off_is_counted_and_not_kept(s3: Drain, content: bytes, full: bool) -> None:
    s3.counts(full=full)
    address = urlsplit(s3.url)
    path = quote(KEY.replace("批", "短"))
    with socket.create_connection((address.hostname, address.port), timeout=30) as connection:
        connection.sendall(f"PUT {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {SIZE}\r\n\r\n".encode() + content[:-1])
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1) == b""
    counts = s3.counts(full=False)
    assert (counts.short, counts.stored, counts.received) == (1, 0, 0)


def begun(server: Drain, path: str) -> str:
    body = send(server, "POST", f"{path}?uploads")[2]
    return body.partition(b"<UploadId>")[2].partition(b"<")[0].decode()


def test_parts_make_an_object_only_whole_and_in_their_places(s3: Drain, content: bytes) -> None:
    path = KEY.replace("批", "parts")
    upload = begun(s3, path)
    parts = [content[start : start + PART] for start in range(0, SIZE, PART)]
    s3.counts(full=True)
    assert send(s3, "PUT", f"{path}?partNumber=1&uploadId={upload}", parts[1])[0] == 400
    assert s3.counts(full=False).wrong == 1
    for number, part in enumerate(parts, 1):
        assert send(s3, "PUT", f"{path}?partNumber={number}&uploadId={upload}", part)[0] == 200

    def complete(numbers: list[int], crc: str = "") -> int:
        body = "".join(f"<Part><PartNumber>{number}</PartNumber></Part>" for number in numbers)
        headers = {"x-amz-checksum-crc64nvme": crc} if crc else {}
        return send(s3, "POST", f"{path}?uploadId={upload}", body.encode(), headers)[0]

    assert complete([1, 2, 3, 4]) == 400
    assert complete([2, 1, 3, 4, 5]) == 400
    assert s3.counts(full=False).stored == 0
    hasher = Crc64NvmeHasher()
    hasher.update(memoryview(content))
    assert complete([1, 2, 3, 4, 5], hasher.value().partition(":")[2]) == 200
    counts = s3.counts(full=False)
    assert (counts.stored, counts.proven) == (1, 1)


@pytest.mark.parametrize("name", ["content-md5", "x-amz-checksum-crc64nvme"])
def test_a_checksum_that_is_wrong_is_refused(s3: Drain, content: bytes, name: str) -> None:
    wrong = base64.b64encode(bytes(8 if "crc" in name else 16)).decode()
    s3.counts(full=False)
    assert send(s3, "PUT", KEY.replace("批", name), content, {name: wrong})[0] == 400
    counts = s3.counts(full=False)
    assert (counts.wrong, counts.proven, counts.stored) == (1, 0, 0)


def test_many_requests_go_over_one_connection(s3: Drain, content: bytes) -> None:
    s3.counts(full=False)
    connection = http.client.HTTPConnection(urlsplit(s3.url).netloc, timeout=30)
    for number in range(20):
        connection.request("PUT", f"/bench/many/{tape_name(1000 + number, 100)}", content[number : number + 100])
        assert connection.getresponse().read() == b""
    connection.close()
    counts = s3.counts(full=False)
    assert (counts.stored, counts.received, counts.wrong) == (20, 2000, 0)


def test_wrapped_bodies_are_unwrapped(s3: Drain, content: bytes) -> None:
    """As boto3 sends them: aws-chunked inside of HTTP's own chunks, with a trailer."""
    path = quote(KEY.replace("批", "wrapped"))
    body, less = (
        b"%x\r\n%b\r\n0\r\nx-amz-checksum-crc32: AAAAAA==\r\n\r\n" % (len(piece), piece)
        for piece in (content, content[:-1])
    )
    headers = {"x-amz-decoded-content-length": str(SIZE), "content-encoding": "aws-chunked"}
    for sent, status in ((body, 200), (changed(body, SIZE // 2), 400), (less, 400)):
        s3.counts(full=True)
        connection = http.client.HTTPConnection(urlsplit(s3.url).netloc, timeout=30)
        blocks = (sent[start : start + MIB] for start in range(0, len(sent), MIB))
        connection.request("PUT", path, blocks, headers, encode_chunked=True)
        assert connection.getresponse().status == status
        connection.close()
        assert s3.counts(full=False).stored == (status == 200)


@given(st.lists(st.binary(min_size=1, max_size=300), max_size=5), st.integers(1, 400), st.booleans())
def test_aws_chunks_come_apart_however_they_are_cut(pieces: list[bytes], step: int, signed: bool) -> None:
    extension = b";chunk-signature=" + b"0" * 64 if signed else b""
    wire = b"".join(b"%x%b\r\n%b\r\n" % (len(piece), extension, piece) for piece in pieces)
    wire += b"0%b\r\nx-amz-checksum-crc32: AAAAAA==\r\n\r\n" % extension
    chunks = AwsChunks()
    found = b"".join(
        bytes(piece) for start in range(0, len(wire), step) for piece in chunks.pieces(wire[start : start + step])
    )
    assert found == b"".join(pieces)


@given(st.integers(0, 4 * MIB), st.one_of(st.integers(0, 9000), st.just(5 * MIB)), st.booleans())
def test_checksums_are_those_of_the_providers(tape: Path, offset: int, size: int, zeros: bool) -> None:
    data = bytes(size) if zeros else tape.read_bytes()[offset : offset + size]
    sums = Tape(tape).sums(Stretch(-1 if zeros else offset, size))
    hashers = Crc64NvmeHasher(), Crc64Hasher(), QetagHasher()
    for hasher in hashers:
        hasher.update(memoryview(data))
    assert [sums.crc64nvme, str(sums.crc64xz), sums.qetag] == [hasher.value().partition(":")[2] for hasher in hashers]
    assert sums.md5 == hashlib.md5(data).digest()


def test_oss_is_told_its_crc(tape: Path, content: bytes) -> None:
    hasher = Crc64Hasher()
    hasher.update(memoryview(content))
    with drain("aliyun", tape) as server:
        for method in ("PUT", "HEAD"):
            headers = send(server, method, KEY, content if method == "PUT" else b"")[1]
            assert headers["x-oss-hash-crc64ecma"] == hasher.value().partition(":")[2]


def form(key: str, content: bytes, crc32: int) -> tuple[bytes, dict[str, str]]:
    told = {"token": "t", "key": key, "crc32": str(crc32)}
    fields = "".join(f'--b\r\nContent-Disposition: form-data; name="{n}"\r\n\r\n{v}\r\n' for n, v in told.items())
    head = '--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\nContent-Type: a/b\r\n\r\n'
    return (fields + head).encode() + content + b"\r\n--b--\r\n", {"Content-Type": "multipart/form-data; boundary=b"}


def test_a_form_is_compared(qiniu: Drain, content: bytes) -> None:
    key, part = f"表/{tape_name(1000, 5000)}", content[:5000]
    crc = zlib.crc32(part)
    qiniu.counts(full=False)
    assert send(qiniu, "POST", "/", *form(key, changed(part, 2500), crc))[0] == 400
    assert send(qiniu, "POST", "/", *form(key, part, crc ^ 1))[0] == 406
    assert qiniu.counts(full=False).wrong == 2
    assert send(qiniu, "POST", "/", *form(key, part, crc))[0] == 200
    counts = qiniu.counts(full=False)
    assert (counts.stored, counts.received, counts.proven) == (1, 5000, 1)


@pytest.mark.parametrize("part_size", [PART, 4 * MIB])
def test_qiniu_is_told_the_hash_that_parts_make(qiniu: Drain, content: bytes, part_size: int) -> None:
    key = f"{part_size}/{zeros_name(SIZE)}" if part_size == PART else f"{part_size}/{tape_name(1000, SIZE)}"
    data = bytes(SIZE) if part_size == PART else content
    path = f"/buckets/bench/objects/{base64.urlsafe_b64encode(key.encode()).decode()}/uploads"
    upload = json.loads(send(qiniu, "POST", path)[2])["uploadId"]
    receipts = []
    for number, start in enumerate(range(0, SIZE, part_size), 1):
        part = data[start : start + part_size]
        etag = json.loads(send(qiniu, "PUT", f"{path}/{upload}/{number}", part)[2])["etag"]
        receipts.append(Receipt(number=number, size=len(part), proof=etag, checksum=f"qetag:{etag}"))
    body = json.dumps({"parts": [{"partNumber": r.number, "etag": r.proof} for r in receipts]}).encode()
    told = json.loads(send(qiniu, "POST", f"{path}/{upload}", body)[2])
    assert f"qetag:{told['hash']}" == Qetag().combine(receipts)


def test_over_tls_it_is_the_same(tape: Path, content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import requests

    pair = tmp_path / "authority.pem", tmp_path / "server.pem"
    write_certificates(*pair)
    for name, value in trust(pair[0]).items():
        monkeypatch.setenv(name, value)
    with drain("s3", tape, pair) as server, requests.Session() as session:
        for full in (True, False):
            server.counts(full=full)
            assert session.put(server.url + KEY, data=content, timeout=30).status_code == 200
            assert session.put(server.url + KEY, data=changed(content, SIZE - 1), timeout=30).status_code == 400
            counts = server.counts(full=False)
            assert (counts.received, counts.stored, counts.wrong) == (SIZE, 1, 1)
