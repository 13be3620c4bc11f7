"""What the emulator knows: buckets, objects, unfinished uploads. Values and look-ups; no HTTP, no rights."""

from __future__ import annotations

import re
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from .blobs import Blob, BlobStore, Content
from .errors import OssError

_BUCKET = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
MAX_KEY_BYTES = 1023
ACLS = ("private", "public-read", "public-read-write")


@dataclass(frozen=True)
class Stored:
    """An object. A changed one is a new value, so a reader keeps what it began to read."""

    content: Content
    etag: str
    modified: float
    """Seconds since 1970, UTC."""
    kind: str = "Normal"
    """``x-oss-object-type``: Normal, Multipart, Appendable or Symlink."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """The headers that come back with it, names in lower case: its type, its metadata."""
    acl: str = "default"
    storage_class: str = "Standard"
    tags: tuple[tuple[str, str], ...] = ()
    target: str = ""
    """The key that a symbolic link points to."""

    @property
    def size(self) -> int:
        return self.content.size


@dataclass
class Part:
    """A part of an unfinished upload."""

    blob: Blob
    modified: float

    @property
    def etag(self) -> str:
        return self.blob.md5.hex().upper()


@dataclass
class Upload:
    """An unfinished multipart upload."""

    bucket: str
    key: str
    upload_id: str
    initiated: float
    draft: Stored
    """The object that it will be, without its bytes."""
    parts: dict[int, Part] = field(default_factory=dict)


@dataclass
class Bucket:
    """A bucket and all that is in it."""

    name: str
    created: float
    acl: str = "private"
    storage_class: str = "Standard"
    redundancy: str = "LRS"
    objects: dict[str, Stored] = field(default_factory=dict)
    uploads: dict[str, Upload] = field(default_factory=dict)
    settings: dict[str, bytes] = field(default_factory=dict)
    """Configuration documents (CORS, tagging …) as they were put."""


class Store:
    """All buckets. Whoever changes something holds ``lock``; values that were read stay good without it."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.blobs = BlobStore()
        self.buckets: dict[str, Bucket] = {}

    def bucket(self, name: str) -> Bucket:
        """The bucket ``name``. Raises ``OssError``."""
        if not _BUCKET.fullmatch(name):
            raise OssError("InvalidBucketName", BucketName=name)
        found = self.buckets.get(name)
        if found is None:
            raise OssError("NoSuchBucket", BucketName=name)
        return found

    def make_bucket(self, name: str, created: float) -> Bucket:
        """The bucket ``name``, which may be there already. Raises ``OssError`` for an impossible name."""
        if not _BUCKET.fullmatch(name):
            raise OssError("InvalidBucketName", BucketName=name)
        with self.lock:
            return self.buckets.setdefault(name, Bucket(name, created))

    def object(self, bucket: str, key: str) -> Stored:
        """The object, not followed if it is a link. Raises ``OssError``."""
        found = self.bucket(bucket).objects.get(key)
        if found is None:
            raise OssError("NoSuchKey", Key=key)
        return found

    def followed(self, bucket: str, key: str) -> Stored:
        """The object, or what a link points to, with the link's own headers."""
        found = self.object(bucket, key)
        if found.kind != "Symlink":
            return found
        target = self.bucket(bucket).objects.get(found.target)
        if target is None:
            raise OssError("SymlinkTargetNotExist", TargetKey=found.target)
        if target.kind == "Symlink":
            raise OssError("InvalidTargetType", TargetKey=found.target)
        return replace(found, content=target.content, etag=target.etag)

    def put(self, bucket: str, key: str, value: Stored, *, forbid: bool) -> None:
        """Make an object. With ``forbid`` it must not be there yet: decided and done in one step."""
        with self.lock:
            objects = self.bucket(bucket).objects
            if forbid and key in objects:
                raise OssError("FileAlreadyExists")
            objects[key] = value

    def upload(self, bucket: str, key: str, upload_id: str) -> Upload:
        """The unfinished upload. Raises ``OssError``."""
        found = self.bucket(bucket).uploads.get(upload_id)
        if found is None or found.key != key:
            raise OssError("NoSuchUpload", UploadId=upload_id)
        return found

    def begin(self, bucket: str, key: str, draft: Stored, now: float) -> Upload:
        """Begin a multipart upload."""
        with self.lock:
            upload = Upload(bucket, key, secrets.token_hex(16).upper(), now, draft)
            self.bucket(bucket).uploads[upload.upload_id] = upload
            return upload

    def reset(self) -> None:
        """Forget all."""
        with self.lock:
            self.buckets.clear()

    def close(self) -> None:
        """Forget all, for good."""
        self.reset()
        self.blobs.close()


def check_key(key: str) -> None:
    """Raises ``OssError`` for what cannot be an object's name (OSS, "InvalidObjectName")."""
    if len(key.encode(errors="surrogatepass")) > MAX_KEY_BYTES:
        raise OssError(
            "InvalidObjectName", "The length of object name must be less than 1024.", ec="0016-00000002", ObjectName=key
        )
    if key.startswith(("/", "\\")):
        raise OssError("InvalidObjectName", ObjectName=key)
