"""A raw socket that writes down every request as it came, and answers as each of the storage services would."""

from __future__ import annotations

import hashlib
import socket
import threading
from types import TracebackType

import msgspec
from fastcrc import crc64

_JSON = b'{"etag": "e", "ctx": "c", "uploadId": "id", "expireAt": 4000000000}'
_BEGUN = b"<InitiateMultipartUploadResult><UploadId>id</UploadId></InitiateMultipartUploadResult>"
_DONE = b"<CompleteMultipartUploadResult><ETag>e</ETag></CompleteMultipartUploadResult>"


class Seen(msgspec.Struct, frozen=True):
    """One request. ``target`` is what stood between method and version, undecoded; headers' names in lower case."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def names(self) -> set[str]:
        return {name for name, _ in self.headers}


class Wire:
    """Listens on the loopback interface while it is used as a context manager."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve)
        self.port: int = self._listener.getsockname()[1]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Wire:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            try:
                stream, _ = self._listener.accept()
            except OSError:
                return
            with stream:
                seen = _read(stream)
                if seen is not None:
                    self.seen.append(seen)
                    stream.sendall(_answer(seen))


def _read(stream: socket.socket) -> Seen | None:
    data = b""
    while b"\r\n\r\n" not in data:
        more = stream.recv(1 << 16)
        if not more:
            return None
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    fields = tuple((name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines))
    length = int(dict(fields).get("content-length", "0"))
    if "100-continue" in dict(fields).get("expect", "").lower():
        stream.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    while len(body) < length:
        body += stream.recv(1 << 16)
    method, target, _ = first.split(" ")
    return Seen(method, target, fields, body)


def _answer(seen: Seen) -> bytes:
    """What lets each provider go on: an ETag and a CRC for a put, XML for S3 and OSS, JSON for Kodo, 201 for WebDAV."""
    status, body = "200 OK", b""
    etag = hashlib.md5(seen.body, usedforsecurity=False).hexdigest()
    extra = f"ETag: {etag}\r\nx-oss-hash-crc64ecma: {crc64.xz(seen.body)}\r\n"
    query = seen.target.partition("?")[2]
    if seen.method == "HEAD":
        status, extra = "404 Not Found", ""
    elif seen.method == "POST" and ("uploads" in query.split("&") or query.startswith("uploads")):
        body = _BEGUN
    elif seen.method == "POST" and "uploadId=" in query:
        body, extra = _DONE, "ETag: e\r\nx-oss-hash-crc64ecma: 0\r\n"
    elif seen.path.startswith(("/buckets/", "/mkblk/", "/mkfile/")) or seen.path == "/":
        body = _JSON
    elif seen.path.startswith("/folder/"):
        status = "201 Created"
    elif seen.path == "/batch":
        status, body = "298 some failed", b'[{"code": 612, "data": {"error": "no such file or directory"}}]'
    head = f"HTTP/1.1 {status}\r\n{extra}X-Reqid: x\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return head.encode() + (b"" if seen.method == "HEAD" else body)
