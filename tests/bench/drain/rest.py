"""What S3 and OSS have in common on the wire: path-style addresses, uploads in parts, XML answers."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from urllib.parse import quote, unquote

from ..content import Stretch, Sums, Tape
from .request import Answer, Counts, Request
from .uploads import Uploads

DATE = "Thu, 01 Jan 2026 00:00:00 GMT"
_NUMBER = re.compile(rb"<PartNumber>\s*(\d+)\s*</PartNumber>")
_LAST = "<NextPartNumberMarker>10000</NextPartNumberMarker>"
_XML = {"Content-Type": "application/xml"}


class Rest:
    """The common dialect; checksums are those of the subclass."""

    namespace = ""

    def __init__(self, tape: Tape) -> None:
        self.tape = tape
        self.uploads = Uploads()

    def content(self, request: Request, size: int) -> Sequence[Stretch]:
        """See ``Dialect``."""
        if request.method != "PUT" or "/" not in request.path[1:]:
            return ()
        number = request.query.get("partNumber")
        return self.uploads.candidates(request.path, size, int(number) if number else None)

    def answer(self, request: Request, body: bytes, stretch: Stretch | None, counts: Counts) -> Answer:
        """See ``Dialect``."""
        method, query, key = request.method, request.query, request.path
        if method == "PUT" and stretch is not None:
            return self._put(request, stretch, counts)
        if method in ("HEAD", "GET") and "/" in key[1:].rstrip("/"):
            if "uploadId" in query:
                return self._list(query["uploadId"])
            return self._look(key, counts)
        if method == "POST" and "uploads" in query:
            return self._xml("InitiateMultipartUploadResult", f"<UploadId>{self.uploads.begin(key)}</UploadId>", key)
        if method == "POST" and "uploadId" in query:
            return self._complete(request, body, counts)
        if method == "DELETE":
            self.uploads.unfinished.pop(query.get("uploadId", ""), None)
            return Answer(204)
        if method in ("HEAD", "PUT") and "/" not in key[1:].rstrip("/"):
            return Answer(200)  # the bucket
        if method == "GET" and "/" not in key[1:].rstrip("/"):
            return self._list_objects(request, counts)
        if len(counts.unknown) < 5:
            counts.unknown.append(f"{method} {key} {sorted(query)}")
        return self.error(400, "NotImplemented")

    def error(self, status: int, code: str) -> Answer:
        return Answer(status, _XML, f"<Error><Code>{code}</Code><Message>{code}</Message></Error>".encode())

    def said(self, request: Request, sums: Sums) -> bool | None:
        """Whether the checksum that a request for this content names is right; None where it names none."""
        md5 = request.headers.get("content-md5")
        return None if md5 is None else md5 == base64.b64encode(sums.md5).decode()

    def said_of_object(self, request: Request, sums: Sums) -> bool | None:
        """The same for a request that completes it."""
        return None

    def etag(self, sums: Sums) -> str:
        return sums.md5.hex()

    def checksum(self, request: Request, sums: Sums) -> dict[str, str]:
        """The headers that tell of an object's or part's checksum in the answer to its PUT."""
        return {}

    def checksum_of_object(self, sums: Sums) -> tuple[dict[str, str], str]:
        """What tells of an object's checksum: headers, and what stands in the answer to its completion."""
        return {}, ""

    def checksum_of_part(self, sums: Sums) -> str:
        """What stands in a list of parts."""
        return ""

    def _put(self, request: Request, stretch: Stretch, counts: Counts) -> Answer:
        sums = self.tape.sums(stretch)
        said = self.said(request, sums)
        if said is False:
            counts.wrong += 1
            return self.error(400, "BadDigest")
        counts.proven += said is True
        number = request.query.get("partNumber")
        if number is None:
            if not self.uploads.put(request.path, stretch):
                counts.wrong += 1
                return self.error(400, "IncompleteBody")
            counts.stored += 1
        else:
            upload = self.uploads.unfinished.get(request.query.get("uploadId", ""))
            if upload is None or upload.key != request.path:
                return self.error(404, "NoSuchUpload")
            upload.parts[int(number)] = stretch
            counts.parts += 1
        return Answer(200, {"ETag": f'"{self.etag(sums)}"', **self.checksum(request, sums)})

    def _complete(self, request: Request, body: bytes, counts: Counts) -> Answer:
        upload = self.uploads.unfinished.get(request.query["uploadId"])
        if upload is None:
            return self.error(404, "NoSuchUpload")
        numbers = [int(number) for number in _NUMBER.findall(body)]
        whole = self.uploads.complete(request.query["uploadId"], numbers)
        if whole is None:
            counts.wrong += 1
            return self.error(400, "InvalidPart")
        sums = self.tape.sums(whole)
        said = self.said_of_object(request, sums)
        if said is False:
            del self.uploads.objects[request.path]
            counts.wrong += 1
            return self.error(400, "BadDigest")
        counts.proven += said is True
        counts.stored += 1
        headers, element = self.checksum_of_object(sums)
        etag = self._etag_of(request.path, whole)
        inner = f"<Location>x</Location><Key>{_escaped(request.path)}</Key><ETag>&quot;{etag}&quot;</ETag>"
        answer = self._xml("CompleteMultipartUploadResult", inner + element, request.path)
        return Answer(200, {**answer.headers, **headers}, answer.body)

    def _etag_of(self, key: str, stretch: Stretch) -> str:
        count = self.uploads.cut.get(key)
        return self.etag(self.tape.sums(stretch)) if count is None else f"{stretch.offset}x{stretch.size}-{count}"

    def _list_objects(self, request: Request, counts: Counts) -> Answer:
        """ListObjectsV2, of objects alone: without a delimiter, and names quoted whatever was asked."""
        bucket = request.path.rstrip("/") + "/"
        prefix, after = (unquote(request.query.get(name, "")) for name in ("prefix", "start-after"))
        most = min(int(request.query.get("max-keys", "1000")), 1000)
        found: list[str] = []
        more = False
        for name in self.uploads.names.after(max(bucket + after, _before(bucket + prefix))):
            if not name.startswith(bucket + prefix):
                break
            if len(found) == most:
                more = True
                break
            stretch, new = self.uploads.look(name)
            if stretch is not None:
                counts.looked += new
                found.append(
                    f"<Contents><Key>{quote(name[len(bucket) :])}</Key><LastModified>2026-01-01T00:00:00.000Z"
                    f"</LastModified><ETag>&quot;{self._etag_of(name, stretch)}&quot;</ETag><Size>{stretch.size}</Size>"
                    "<StorageClass>STANDARD</StorageClass></Contents>"
                )
        head = f"<KeyCount>{len(found)}</KeyCount><EncodingType>url</EncodingType>"
        state = f"<IsTruncated>{'true' if more else 'false'}</IsTruncated>"
        return self._xml("ListBucketResult", head + state + "".join(found), request.path)

    def _look(self, key: str, counts: Counts) -> Answer:
        stretch, new = self.uploads.look(key)
        counts.looked += new
        if stretch is None:
            return Answer(404, {**_XML, "Content-Length": "0"})
        headers, _ = self.checksum_of_object(self.tape.sums(stretch))
        etag = f'"{self._etag_of(key, stretch)}"'
        about = {"Content-Length": str(stretch.size), "Last-Modified": DATE, "ETag": etag, "Accept-Ranges": "bytes"}
        return Answer(200, {**about, **headers})

    def _list(self, upload_id: str) -> Answer:
        upload = self.uploads.unfinished.get(upload_id)
        if upload is None:
            return self.error(404, "NoSuchUpload")
        parts = "".join(
            f"<Part><PartNumber>{number}</PartNumber><Size>{part.size}</Size>"
            f"<ETag>&quot;{self.etag(self.tape.sums(part))}&quot;</ETag>{self.checksum_of_part(self.tape.sums(part))}</Part>"
            for number, part in sorted(upload.parts.items())
        )
        return self._xml("ListPartsResult", f"<IsTruncated>false</IsTruncated>{_LAST}{parts}", upload.key)

    def _xml(self, name: str, inner: str, key: str) -> Answer:
        bucket, _, rest = key[1:].partition("/")
        about = f"<Bucket>{bucket}</Bucket><Key>{_escaped(rest)}</Key>" if "<Key>" not in inner else ""
        head = '<?xml version="1.0" encoding="UTF-8"?>'
        return Answer(200, _XML, f"{head}<{name}{self.namespace}>{about}{inner}</{name}>".encode())


def _before(name: str) -> str:
    """What sorts before ``name``, with no name between the two that ends as names here do."""
    return name[:-1] + chr(ord(name[-1]) - 1) + chr(0x10FFFF)


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")


class S3(Rest):
    """S3: CRC64NVME of the whole object (AWS, "Checking object integrity")."""

    namespace = ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'

    def said(self, request: Request, sums: Sums) -> bool | None:
        crc = request.headers.get("x-amz-checksum-crc64nvme")
        return super().said(request, sums) if crc is None else crc == sums.crc64nvme

    def said_of_object(self, request: Request, sums: Sums) -> bool | None:
        crc = request.headers.get("x-amz-checksum-crc64nvme")
        return None if crc is None else crc == sums.crc64nvme

    def checksum(self, request: Request, sums: Sums) -> dict[str, str]:
        if "x-amz-checksum-crc64nvme" in request.headers:
            return {"x-amz-checksum-crc64nvme": sums.crc64nvme, "x-amz-checksum-type": "FULL_OBJECT"}
        # What else a client names is not computed here, only said again.
        return {name: value for name, value in request.headers.items() if name.startswith("x-amz-checksum-")}

    def checksum_of_object(self, sums: Sums) -> tuple[dict[str, str], str]:
        crc = sums.crc64nvme
        element = f"<ChecksumCRC64NVME>{crc}</ChecksumCRC64NVME><ChecksumType>FULL_OBJECT</ChecksumType>"
        return {"x-amz-checksum-crc64nvme": crc, "x-amz-checksum-type": "FULL_OBJECT"}, element

    def checksum_of_part(self, sums: Sums) -> str:
        return f"<ChecksumCRC64NVME>{sums.crc64nvme}</ChecksumCRC64NVME>"


class Aliyun(Rest):
    """OSS: CRC-64/XZ in every answer to a write, and ETags in upper case."""

    def etag(self, sums: Sums) -> str:
        return sums.md5.hex().upper()

    def checksum(self, request: Request, sums: Sums) -> dict[str, str]:
        return {"x-oss-hash-crc64ecma": str(sums.crc64xz), "x-oss-request-id": "bench"}

    def checksum_of_object(self, sums: Sums) -> tuple[dict[str, str], str]:
        return {"x-oss-hash-crc64ecma": str(sums.crc64xz), "x-oss-request-id": "bench"}, ""

    def checksum_of_part(self, sums: Sums) -> str:
        return f"<HashCrc64ecma>{sums.crc64xz}</HashCrc64ecma>"
