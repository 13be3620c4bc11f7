"""The only file that touches moto: names, metadata, versions, tags and listings live there, the bytes do not.

moto gets every write with an empty body, and is then given a file object that reads from our blobs. That is what
keeps memory bounded: moto itself would hold several copies of a body, and would concatenate the parts of a multipart
upload in memory. Its own handler class is called directly; Flask is not needed for that.

Each store is an account of its own in moto, so emulators in one process share nothing. moto keeps one namespace of
bucket names for all accounts; a name is taken out of it as soon as the bucket is made. What cannot be kept apart:
moto's `mock_aws` resets every account of the process when it ends, ours too. Use one or the other in a process.

Written against moto 5.2 (moto/s3/models.py, moto/s3/responses.py); tests/emulator would show a change.
"""

from __future__ import annotations

import io
import re
import secrets
import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import quote, urlencode

from moto.core.request import PRESERVED_HEADER_NAMES_ENVIRON_KEY, Request
from moto.s3.models import FakeKey, FakeMultipart, s3_backends
from moto.s3.responses import S3Response
from moto.utilities.utils import get_partition

from vvos_core.testing.server import Response

from . import checksums
from .blobs import Blob, Checksum, Content, ContentFile
from .errors import S3Error

# Creating a bucket registers its name process-wide for a moment.
_NAMESPACE = threading.Lock()
_REQUEST_ID = re.compile(rb"(?<=<RequestId>)[^<]*(?=</RequestId>)")
# Hop-by-hop or set by our server; or moto's own idea of checksums, which the gate replaces.
_DROPPED = frozenset(
    ("date", "server", "connection", "content-length", "status", "x-amzn-requestid", "x-amz-sdk-checksum-algorithm")
)


class MotoStore:
    """One account of moto's S3. `lock` must be held over every sequence of calls that has to be atomic."""

    def __init__(self, region: str) -> None:
        self.lock = threading.RLock()
        self._region = region
        self._partition = get_partition(region)
        self._account = ""
        self.reset()

    @property
    def _backend(self) -> Any:
        return s3_backends[self._account][self._partition]

    def reset(self) -> None:
        """Forgets everything, by starting over in a new account."""
        with self.lock:
            self.close()
            self._account = f"{secrets.randbelow(10**12):012d}"

    def close(self) -> None:
        """Takes the account out of moto."""
        with self.lock:
            if not self._account:
                return
            # Not through moto's reset(): that would dispose of the objects of every account in the process.
            models: tuple[Any, ...] = (FakeKey, FakeMultipart)
            for model in models:
                tracked = model.instances_tracked
                for instance in [item for item in tracked if item.account_id == self._account]:
                    instance.dispose()
                    tracked.remove(instance)
            s3_backends.pop(self._account, None)
            self._account = ""

    def call(
        self,
        method: str,
        bucket: str,
        key: str,
        params: dict[str, str],
        headers: Iterable[tuple[str, str]],
        body: bytes = b"",
    ) -> Response:
        """Runs one request through moto."""
        with self.lock:
            request = Request(self._environ(method, bucket, key, params, headers, body))
            handler = S3Response()
            respond: Callable[..., Any] = handler.key_response if key else handler.bucket_response
            status, raw_headers, content = respond(request, request.raw_url, request.headers)
        if isinstance(content, str):
            content = content.encode()
        response = Response(int(status), [], content)
        for name, value in raw_headers.items():
            if name.lower() not in _DROPPED:
                response.headers.append((name, str(value)))
        return response

    def create_bucket(self, bucket: str) -> None:
        """Makes a bucket unless it is there."""
        with self.lock, _NAMESPACE:
            if bucket not in self._backend.buckets:
                self._backend.create_bucket(bucket, self._region)
                s3_backends.bucket_accounts.pop(bucket, None)

    def request_bucket(self, bucket: str, headers: Iterable[tuple[str, str]], body: bytes) -> Response:
        """CreateBucket as a client asks for it. An owner may repeat it in us-east-1 only, says its API page."""
        with self.lock, _NAMESPACE:
            if bucket in self._backend.buckets:
                if self._region != "us-east-1":
                    raise S3Error("BucketAlreadyOwnedByYou", BucketName=bucket)
                return Response(200, [("Location", f"/{bucket}")])
            response = self.call("PUT", bucket, "", {}, headers, body)
            s3_backends.bucket_accounts.pop(bucket, None)
            return response

    def bucket_exists(self, bucket: str) -> bool:
        """Whether the account has this bucket."""
        with self.lock:
            return bucket in self._backend.buckets

    def cors_rules(self, bucket: str) -> list[Any]:
        """The bucket's CORS rules (moto's CorsRule), none if there is no such bucket."""
        with self.lock:
            found = self._backend.buckets.get(bucket)
            return [] if found is None else list(found.cors)

    def content(self, bucket: str, key: str, version: str | None = None) -> Content | None:
        """The bytes of an object; None if there is no such object."""
        with self.lock:
            found = self._key(bucket, key, version)
            if found is None:
                return None
            if not isinstance(found._value_buffer, ContentFile):
                # An object that moto made from bytes of its own: a copy, an access log.
                self._attach(found, single(found.value))
            content: Content = found._value_buffer.content
            return content

    def put(
        self, bucket: str, key: str, params: dict[str, str], headers: Iterable[tuple[str, str]], content: Content
    ) -> Response:
        """PutObject."""
        with self.lock:
            response = self.call("PUT", bucket, key, params, headers)
            if response.status == 200:
                self._attach(self._key(bucket, key), content)
                response.set("ETag", f'"{content.etag}"')
            return response

    def replace(self, bucket: str, key: str, content: Content) -> None:
        """Gives an object that moto has just copied our content in place of moto's own."""
        with self.lock:
            self._attach(self._key(bucket, key), content)

    def modified(self, bucket: str, key: str) -> str:
        """The time of an object as the XML answers write it."""
        with self.lock:
            text: str = self._key(bucket, key).last_modified_ISO8601
            return text

    def complete(self, bucket: str, upload_id: str, content: Content) -> str:
        """Turns moto's multipart upload into an object with this content; answers its version id."""
        with self.lock:
            multipart = self._backend.get_bucket(bucket).multiparts[upload_id]
            # moto would check and concatenate its parts here; it has none, the gate has checked ours.
            multipart.complete = lambda _body: (b"", content.etag, None)
            made = self._backend.complete_multipart_upload(bucket, upload_id, iter(()))
            self._attach(made, content)
            version: str = made.version_id
            return version

    def abort(self, bucket: str, upload_id: str) -> None:
        """Forgets a multipart upload."""
        with self.lock:
            self._backend.abort_multipart_upload(bucket, upload_id)

    def _key(self, bucket: str, key: str, version: str | None = None) -> Any:
        return self._backend.get_object(bucket, key, version_id=version)

    @staticmethod
    def _attach(key: Any, content: Content) -> None:
        key._value_buffer.close()
        key._value_buffer = ContentFile(content)
        key.contentsize = content.size
        key._etag = content.etag
        # For GetObjectAttributes, which moto answers.
        key.checksum_algorithm = content.checksum.algorithm.upper()
        key.checksum_value = content.checksum.text
        key.checksum_type = content.checksum.kind

    def _environ(
        self,
        method: str,
        bucket: str,
        key: str,
        params: dict[str, str],
        headers: Iterable[tuple[str, str]],
        body: bytes,
    ) -> dict[str, Any]:
        path = f"/{bucket}/{key}" if key else f"/{bucket}"
        raw = quote(path, safe="/")
        query = urlencode(params, quote_via=quote)
        environ: dict[str, Any] = {
            "REQUEST_METHOD": method,
            "SCRIPT_NAME": "",
            "PATH_INFO": path.encode().decode("latin-1"),
            "QUERY_STRING": query,
            "RAW_URI": f"{raw}?{query}" if query else raw,
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(body),
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }
        spelling = {}
        for name, value in headers:
            field = name.upper().replace("-", "_")
            if field == "CONTENT_TYPE":
                environ[field] = value
            elif field != "CONTENT_LENGTH":
                field = f"HTTP_{field}"
                environ[field] = f"{environ[field]},{value}" if field in environ else value
                if "_" in name:
                    spelling[field] = name
        # An IP address makes moto read the bucket from the path; the account and the region come from these two.
        environ["HTTP_HOST"] = "127.0.0.1"
        environ["HTTP_AUTHORIZATION"] = (
            f"AWS4-HMAC-SHA256 Credential=AKIAEMULATOR/20000101/{self._region}/s3/aws4_request"
        )
        environ["HTTP_X_MOTO_ACCOUNT_ID"] = self._account
        environ[PRESERVED_HEADER_NAMES_ENVIRON_KEY] = spelling
        return environ


def single(data: bytes) -> Content:
    """The content of an object whose bytes are at hand."""
    digests = {}
    for algorithm in ("md5", checksums.DEFAULT):
        digest = checksums.new(algorithm)
        digest.update(data)
        digests[algorithm] = digest.digest()
    blob = Blob(data, len(data), digests)
    checksum = Checksum(checksums.DEFAULT, checksums.encode(digests[checksums.DEFAULT]), "FULL_OBJECT")
    return Content((blob,), digests["md5"].hex(), checksum)


def with_request_id(body: bytes, request_id: str) -> bytes:
    """An XML answer of moto's with our request id in it."""
    return _REQUEST_ID.sub(request_id.encode(), body)
