"""Qiniu Kodo's dialect: forms, resumable v2, looking at objects, and the hosts of a bucket."""

from __future__ import annotations

import base64
import hashlib
import re
import zlib
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qsl, unquote

import msgspec

from ..content import BLOCK, Stretch, Sums, Tape, qetag, stretch_of
from .request import Answer, Counts, Request
from .uploads import Upload, Uploads

_UPLOAD = re.compile(r"/buckets/[^/]+/objects/([^/]+)/uploads(?:/([^/]+)(?:/(\d+))?)?")
_FIELD = re.compile(rb'\r\nContent-Disposition: form-data; name="(\w+)"([^\r]*)(?:\r\n[^\r]+)*\r\n\r\n', re.IGNORECASE)
_EXPIRES = 4_000_000_000


class Qiniu:
    """The dialect."""

    def __init__(self, tape: Tape) -> None:
        self.tape = tape
        self.uploads = Uploads()

    def content(self, request: Request, size: int) -> Sequence[Stretch]:
        """See ``Dialect``."""
        match = _UPLOAD.fullmatch(request.path) if request.method == "PUT" else None
        if match is None or not match[3]:
            return ()
        return self.uploads.candidates(_key(match[1]), size, int(match[3]))

    def answer(self, request: Request, body: bytes, stretch: Stretch | None, counts: Counts) -> Answer:
        """See ``Dialect``."""
        method, path = request.method, request.path
        if path == "/" and method == "POST":
            return self._form(request, body, counts)
        if path.startswith("/buckets/"):
            match = _UPLOAD.fullmatch(path)
            if match is not None:
                return self._parts(request, match, body, stretch, counts)
        if path.startswith("/stat/"):
            told = self._stat(path, counts)
            return _json(told["code"], told["data"])
        if path == "/batch":
            told_all = [self._stat(op, counts) for name, op in parse_qsl(body.decode()) if name == "op"]
            return _json(200 if all(told["code"] == 200 for told in told_all) else 298, told_all)
        if path in ("/v4/query", "/v2/query"):
            return self._hosts(request)
        if len(counts.unknown) < 5:
            counts.unknown.append(f"{method} {path}")
        return _json(400, {"error": "not spoken here"})

    def _form(self, request: Request, body: bytes, counts: Counts) -> Answer:
        boundary = request.headers["content-type"].partition("boundary=")[2].strip('"').encode()
        fields: dict[str, bytes] = {}
        at = 0
        while (match := _FIELD.search(body, at)) is not None:
            name = match[1].decode()
            # Only the file may have the boundary in it, and it comes last.
            find = body.rfind if name == "file" else body.find
            at = find(b"\r\n--" + boundary, match.end())
            fields[name] = body[match.end() : at]
        key, content = fields.get("key", b"").decode(), fields.get("file", b"")
        whole = stretch_of(key)
        if whole is None or len(content) != whole.size or not self.tape.same(whole, 0, content):
            counts.wrong += 1
            return _json(400, {"error": "these are not the bytes of that name"})
        if "crc32" in fields:
            if int(fields["crc32"]) != zlib.crc32(content):
                counts.wrong += 1
                return _json(406, {"error": "crc32"})
            counts.proven += 1
        self.uploads.put(key, whole)
        counts.stored += 1
        counts.received += len(content)
        return _json(200, {"hash": self.tape.sums(whole).qetag, "key": key})

    def _parts(
        self, request: Request, match: re.Match[str], body: bytes, stretch: Stretch | None, counts: Counts
    ) -> Answer:
        key, upload_id, number = _key(match[1]), match[2], match[3]
        if not upload_id:
            return _json(200, {"uploadId": self.uploads.begin(key), "expireAt": _EXPIRES})
        upload = self.uploads.unfinished.get(upload_id)
        if upload is None:
            return _json(612, {"error": "no such uploadId"})
        if number and stretch is not None:
            sums = self.tape.sums(stretch)
            said = request.headers.get("content-md5")
            if said is not None and said != sums.md5.hex():
                counts.wrong += 1
                return _json(400, {"error": "md5"})
            counts.proven += said is not None
            counts.parts += 1
            upload.parts[int(number)] = stretch
            return _json(200, {"etag": sums.qetag, "md5": sums.md5.hex()})
        if request.method == "GET":
            return self._list(upload, upload_id)
        if request.method == "DELETE":
            del self.uploads.unfinished[upload_id]
            return _json(200, {})
        numbers = [part["partNumber"] for part in msgspec.json.decode(body)["parts"]]
        sizes = [upload.parts[n].size for n in numbers if n in upload.parts]
        digests = [self.tape.sums(upload.parts[n]) for n in numbers if n in upload.parts]
        whole = self.uploads.complete(upload_id, numbers)
        if whole is None:
            counts.wrong += 1
            return _json(400, {"error": "these parts are not the object"})
        counts.stored += 1
        self.uploads.forms[key] = self._hash(whole, sizes, digests)
        return _json(200, {"hash": self.uploads.forms[key], "key": key})

    def _list(self, upload: Upload, upload_id: str) -> Answer:
        parts = [
            {"partNumber": number, "size": part.size, "etag": self.tape.sums(part).qetag, "putTime": 1}
            for number, part in sorted(upload.parts.items())
        ]
        return _json(200, {"uploadId": upload_id, "expireAt": _EXPIRES, "partNumberMarker": 0, "parts": parts})

    def _hash(self, whole: Stretch, sizes: list[int], parts: list[Sums]) -> str:
        if all(size == BLOCK for size in sizes[:-1]) and sizes[-1] <= BLOCK:
            return self.tape.sums(whole).qetag
        digests = b"".join(base64.urlsafe_b64decode(sums.qetag)[1:] for sums in parts)
        return qetag(0x9E, hashlib.sha1(digests, usedforsecurity=False).digest())

    def _stat(self, path: str, counts: Counts) -> dict[str, Any]:
        entry = unquote(path).strip("/").split("/")[1]
        key = base64.urlsafe_b64decode(entry).decode().partition(":")[2]
        stretch, new = self.uploads.look(key)
        counts.looked += new
        if stretch is None:
            return {"code": 612, "data": {"error": "no such file or directory"}}
        told = self.uploads.forms.get(key) or self.tape.sums(stretch).qetag
        data = {"fsize": stretch.size, "hash": told, "mimeType": "application/octet-stream", "putTime": 1, "type": 0}
        return {"code": 200, "data": data}

    def _hosts(self, request: Request) -> Answer:
        domains = {"domains": [request.headers["host"]]}
        names = ("up", "io", "rs", "rsf", "api", "uc")
        region = {"region": "z0", "ttl": 86400, **dict.fromkeys(names, domains), "s3": {"domains": []}}
        return _json(200, {"hosts": [region]})


def _key(encoded: str) -> str:
    return base64.urlsafe_b64decode(encoded).decode()


def _json(status: int, told: Any) -> Answer:
    return Answer(status, {"Content-Type": "application/json", "X-Reqid": "bench"}, msgspec.json.encode(told))
