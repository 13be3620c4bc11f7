"""Multipart uploads: the parts that are stored, and everything CompleteMultipartUpload must check about them.

Sources: AWS S3 API Reference, CreateMultipartUpload, UploadPart, CompleteMultipartUpload, ListParts,
ListMultipartUploads; User Guide, "Amazon S3 multipart upload limits" and "Checking object integrity".
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, field
from xml.etree import ElementTree

from vvos_core.testing.server import Headers

from . import checksums
from .blobs import Blob, Checksum, Content
from .errors import XMLNS, S3Error, xml_text

MIN_PART = 5 * 1024 * 1024
MAX_PARTS = 10_000


@dataclass(frozen=True)
class Part:
    """One stored part; `algorithm` is the checksum its sender declared, if any."""

    blob: Blob
    algorithm: str | None
    modified: float

    @property
    def etag(self) -> str:
        """The hex MD5 of the part."""
        return self.blob.digests["md5"].hex()


@dataclass
class Upload:
    """An upload under way. Without a declared algorithm S3 computes a CRC64NVME of the whole object."""

    bucket: str
    key: str
    upload_id: str
    initiated: float
    algorithm: str | None
    kind: str
    parts: dict[int, Part] = field(default_factory=dict)

    @property
    def effective(self) -> str:
        """The algorithm of the finished object's checksum."""
        return self.algorithm or checksums.DEFAULT


@dataclass(frozen=True)
class Completed:
    """A finished upload, kept so that the same request again gets the same answer."""

    bucket: str
    key: str
    request: tuple[tuple[int, str], ...]
    answer: bytes
    version: str


@dataclass(frozen=True)
class Named:
    """One part as the client's complete request names it."""

    number: int
    etag: str
    checksums: dict[str, str]


def checksum_mode(headers: Headers) -> tuple[str | None, str]:
    """Algorithm and type that CreateMultipartUpload asks for."""
    algorithm = headers.get("x-amz-checksum-algorithm")
    kind = headers.get("x-amz-checksum-type")
    if algorithm is None:
        if kind is not None:
            raise S3Error(
                "InvalidRequest", "The x-amz-checksum-type header can only be used with x-amz-checksum-algorithm."
            )
        return None, "FULL_OBJECT"
    name = algorithm.lower()
    if name not in checksums.SIZES:
        raise S3Error("InvalidRequest", f"Checksum algorithm provided is unsupported: {algorithm}")
    kind = kind or ("FULL_OBJECT" if name == checksums.DEFAULT else "COMPOSITE")
    allowed = {"COMPOSITE"} if name not in checksums.LINEAR else {"FULL_OBJECT", "COMPOSITE"}
    if name == checksums.DEFAULT:
        allowed = {"FULL_OBJECT"}
    if kind not in allowed:
        raise S3Error("InvalidRequest", f"The {kind} checksum type cannot be used with the {name} checksum algorithm.")
    return name, kind


def part_number(text: str) -> int:
    """The partNumber of a request."""
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 9 else 0
    if not 1 <= number <= MAX_PARTS:
        raise S3Error(
            "InvalidArgument",
            f"Part number must be an integer between 1 and {MAX_PARTS}, inclusive",
            ArgumentName="partNumber",
            ArgumentValue=text,
        )
    return number


def check_part_algorithm(upload: Upload, algorithm: str | None) -> None:
    """An upload made with an algorithm takes no part checked with another; a composite one needs it on every part."""
    if upload.algorithm is None or algorithm == upload.algorithm:
        return
    if algorithm is None and upload.kind == "FULL_OBJECT":
        return
    raise S3Error(
        "InvalidRequest",
        f"Checksum Type mismatch occurred, expected checksum Type: {upload.algorithm}, "
        f"actual checksum Type: {algorithm or 'null'}",
    )


def parse_complete(body: bytes) -> list[Named]:
    """The parts named by the XML body of CompleteMultipartUpload."""
    try:
        root = ElementTree.fromstring(body)
    except ElementTree.ParseError:
        raise S3Error("MalformedXML") from None
    if _local(root.tag) != "CompleteMultipartUpload":
        raise S3Error("MalformedXML")
    named = []
    for element in root:
        fields = {_local(child.tag): (child.text or "").strip() for child in element}
        number, etag = fields.get("PartNumber", ""), fields.get("ETag", "")
        if _local(element.tag) != "Part" or not etag or not (number.isascii() and number.isdigit()):
            raise S3Error("MalformedXML")
        sums = {name[len("Checksum") :].lower(): text for name, text in fields.items() if name.startswith("Checksum")}
        named.append(Named(part_number(number), etag.strip('"'), sums))
    if not named or len(named) > MAX_PARTS:
        raise S3Error("MalformedXML")
    return named


def assemble(upload: Upload, named: list[Named], headers: Headers) -> Content:
    """The object these parts make, after all checks."""
    numbers = [item.number for item in named]
    if numbers != sorted(set(numbers)):
        raise S3Error("InvalidPartOrder", UploadId=upload.upload_id)
    parts = [_named_part(upload, item) for item in named]
    for item, part in zip(named[:-1], parts[:-1], strict=True):
        if part.blob.size < MIN_PART:
            raise S3Error(
                "EntityTooSmall",
                ProposedSize=str(part.blob.size),
                MinSizeAllowed=str(MIN_PART),
                PartNumber=str(item.number),
                ETag=part.etag,
            )
    checksum = _checksum(upload, parts)
    size = sum(part.blob.size for part in parts)
    _check_headers(upload, checksum, size, headers)
    md5s = b"".join(part.blob.digests["md5"] for part in parts)
    etag = f"{hashlib.md5(md5s, usedforsecurity=False).hexdigest()}-{len(parts)}"
    return Content(tuple(part.blob for part in parts), etag, checksum, multipart=True)


def _named_part(upload: Upload, item: Named) -> Part:
    part = upload.parts.get(item.number)
    wrong = S3Error("InvalidPart", UploadId=upload.upload_id, PartNumber=str(item.number), ETag=item.etag)
    if part is None or part.etag != item.etag.lower():
        raise wrong
    if upload.kind == "COMPOSITE" and upload.effective not in item.checksums:
        raise S3Error(
            "InvalidRequest",
            f"The upload was created using a {upload.effective} checksum. The complete request must include the "
            f"checksum for each part. It was missing for part {item.number} in the request.",
        )
    for algorithm, text in item.checksums.items():
        known = part.blob.digests.get(algorithm)
        if known is None or checksums.encode(known) != text:
            raise wrong
    return part


def _checksum(upload: Upload, parts: list[Part]) -> Checksum:
    algorithm = upload.effective
    digests = [part.blob.digests[algorithm] for part in parts]
    if upload.kind == "COMPOSITE":
        return Checksum(
            algorithm, f"{checksums.encode(checksums.composite(algorithm, digests))}-{len(parts)}", "COMPOSITE"
        )
    pairs = [(digest, part.blob.size) for digest, part in zip(digests, parts, strict=True)]
    return Checksum(algorithm, checksums.encode(checksums.combine(algorithm, pairs)), "FULL_OBJECT")


def _check_headers(upload: Upload, checksum: Checksum, size: int, headers: Headers) -> None:
    kind = headers.get("x-amz-checksum-type")
    if kind is not None and kind != upload.kind:
        raise S3Error(
            "InvalidRequest",
            f"The upload was created using the {upload.kind} checksum mode. "
            "The complete request must use the same checksum mode.",
        )
    for algorithm, text in checksums.named(headers).items():
        if algorithm != checksum.algorithm:
            raise S3Error(
                "InvalidRequest",
                f"Checksum Type mismatch occurred, expected checksum Type: {checksum.algorithm}, "
                f"actual checksum Type: {algorithm}",
            )
        base, _, count = text.partition("-")
        value = checksums.parse(algorithm, base)
        expected, _, parts = checksum.text.partition("-")
        if value != checksums.parse(algorithm, expected) or (count and count != parts):
            raise S3Error(
                "BadDigest",
                f"The {algorithm} you specified did not match the calculated checksum.",
                ExpectedDigest=text,
                CalculatedDigest=checksum.text,
            )
    declared = headers.get("x-amz-mp-object-size")
    if declared is not None and declared != str(size):
        raise S3Error(
            "InvalidRequest",
            f"The provided 'x-amz-mp-object-size' header value {declared} does not match what was computed: {size}",
        )


def complete_xml(upload: Upload, content: Content) -> bytes:
    """The answer to CompleteMultipartUpload."""
    checksum = content.checksum
    name = f"Checksum{checksum.algorithm.upper()}"
    return _document(
        "CompleteMultipartUploadResult",
        f"<Location>http://{upload.bucket}.s3.amazonaws.com/{xml_text(upload.key)}</Location>"
        f"<Bucket>{upload.bucket}</Bucket><Key>{xml_text(upload.key)}</Key><ETag>&quot;{content.etag}&quot;</ETag>"
        f"<{name}>{checksum.text}</{name}><ChecksumType>{checksum.kind}</ChecksumType>",
    )


def list_parts_xml(upload: Upload, params: dict[str, str]) -> bytes:
    """The answer to ListParts: paged by part number, gaps or not."""
    marker, limit = _integer(params, "part-number-marker", 0), min(_integer(params, "max-parts", 1000), 1000)
    after = [number for number in sorted(upload.parts) if number > marker]
    shown, rest = after[:limit], after[limit:]
    items = []
    for number in shown:
        part = upload.parts[number]
        name = part.algorithm or upload.effective
        items.append(
            f"<Part><PartNumber>{number}</PartNumber><LastModified>{iso(part.modified)}</LastModified>"
            f"<ETag>&quot;{part.etag}&quot;</ETag><Size>{part.blob.size}</Size>"
            f"<Checksum{name.upper()}>{checksums.encode(part.blob.digests[name])}</Checksum{name.upper()}></Part>"
        )
    return _document(
        "ListPartsResult",
        f"<Bucket>{upload.bucket}</Bucket><Key>{xml_text(upload.key)}</Key>"
        f"<UploadId>{upload.upload_id}</UploadId>"
        f"<PartNumberMarker>{marker}</PartNumberMarker>"
        f"<NextPartNumberMarker>{shown[-1] if shown else marker}</NextPartNumberMarker>"
        f"<MaxParts>{limit}</MaxParts><IsTruncated>{str(bool(rest)).lower()}</IsTruncated>"
        + "".join(items)
        + f"<StorageClass>STANDARD</StorageClass><ChecksumAlgorithm>{upload.effective.upper()}</ChecksumAlgorithm>"
        f"<ChecksumType>{upload.kind}</ChecksumType>",
    )


def iso(seconds: float) -> str:
    """A time as the XML answers write it."""
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(seconds))


def _integer(params: dict[str, str], name: str, default: int) -> int:
    text = params.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 11):
        raise S3Error("InvalidArgument", f"Provided {name} not an integer or within integer range", ArgumentName=name)
    return int(text)


def _document(root: str, inner: str) -> bytes:
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<{root} xmlns="{XMLNS}">{inner}</{root}>'.encode()


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]
