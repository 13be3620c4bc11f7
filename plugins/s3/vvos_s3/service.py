"""The half that asks the service with the profile's own keys: looks itself, begins, lists and aborts through boto3."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from msgspec import Struct

from vvos_core import (
    Answer,
    BadAnswer,
    BadInput,
    ConfigError,
    Denied,
    Grant,
    Http,
    NotFound,
    Page,
    PluginError,
    Receipt,
    RetryPolicy,
    TokenExpired,
    Unavailable,
    Unfinished,
    VVOSError,
)

from . import xml
from .address import Address
from .checksum import CRC64NVME, MD5
from .faults import fault, refused
from .metadata import encode
from .settings import Settings
from .sigv4 import Signer

THREADS = 8
"""Calls to the service at once, for all batches together; a call for one file goes in its caller's own thread."""
_LOOK_SECONDS = 900
_RETRY = RetryPolicy(attempts=3, seconds=20.0)
"""Of a look, as boto3 has it for the rest."""
_NEVER = threading.Event()
Item = TypeVar("Item")
Result = TypeVar("Result")


class Head(Struct, frozen=True, kw_only=True):
    """An object as the service knows it; ``checksum`` is empty where it keeps none that can be compared."""

    size: int
    checksum: str
    etag: str
    """As a listing tells it; empty where the object's encryption makes it another value than an MD5."""


class Service:
    """A bucket, asked with its owner's keys. The SDK is imported and connected on first use; shared by threads."""

    def __init__(self, settings: Settings, address: Address, signer: Signer) -> None:
        self._settings = settings
        self._address = address
        self._signer = signer
        self._http = Http(timeout=(5.0, 30.0), pool=4 * THREADS)
        self._lock = threading.Lock()
        self._client: Any = None
        self._pool: ThreadPoolExecutor | None = None

    def each(self, do: Callable[[Item], Result], items: Sequence[Item]) -> list[Result | VVOSError]:
        """``do`` for each item, several at once: its answer, or the error that it raised."""

        def one(item: Item) -> Result | VVOSError:
            try:
                return do(item)
            except VVOSError as error:
                return error

        if len(items) < 2:
            return [one(item) for item in items]
        with self._lock:
            self._pool = self._pool or ThreadPoolExecutor(THREADS, thread_name_prefix="vvos-s3")
        return list(self._pool.map(one, items))

    def begin(self, grant: Grant) -> str:
        """Begin a multipart upload; answers its id."""
        arguments = {} if self._settings.checksum == MD5 else _FULL_OBJECT
        answer = self._call(
            _BEGIN,
            f"beginning the upload of {grant.key!r}",
            grant.key,
            ContentType=grant.type,
            Metadata=encode(grant.metadata),
            **arguments,
        )
        upload_id: str = answer["UploadId"]
        return upload_id

    def head(self, key: str) -> Head | None:
        """The object under ``key``; None when there is none."""
        what = f"looking for {key!r}"
        try:
            # Not through boto3, which takes twice the time: each file is looked at when it is finished.
            headers = _RETRY.run(lambda: self._look(key, what), _NEVER).headers
        except NotFound:
            return None
        size, etag, crc = (headers.get(name, "") for name in ("Content-Length", "ETag", "x-amz-checksum-crc64nvme"))
        if not size.isdecimal() or not etag:
            raise _half(what, key)
        checksum = ""
        if self._settings.checksum == MD5:
            checksum = f"{MD5}:{_bare(etag)}"
        elif crc and headers.get("x-amz-checksum-type", "FULL_OBJECT") == "FULL_OBJECT":
            checksum = f"{CRC64NVME}:{crc}"
        encryption = headers.get("x-amz-server-side-encryption", "")
        opaque = encryption.startswith("aws:kms") or "x-amz-server-side-encryption-customer-algorithm" in headers
        return Head(size=int(size), checksum=checksum, etag="" if opaque else _bare(etag).lower())

    def page(self, prefix: str, after: str, most: int) -> Page:
        """The objects whose keys begin with ``prefix`` and come behind ``after``, at most ``most``. Asked for once."""
        address, what = self._address, "listing objects"
        path = address.root + "/"
        extra = {"encoding-type": "url", "list-type": "2", "max-keys": str(most), "prefix": prefix}
        if after:
            extra["start-after"] = after
        query = self._signer.at(time.time(), _LOOK_SECONDS).presign("GET", path, {"host": address.host}, extra)
        answer = self._http.send("GET", f"{address.origin}{path}?{query}", what=what)
        if answer.status != 200:
            raise refused(answer, what, key=None, bucket=self._settings.bucket)
        return xml.page(answer.body)

    def _look(self, key: str, what: str) -> Answer:
        address, headers = self._address, {"x-amz-checksum-mode": "ENABLED"}
        path = address.path(key)
        query = self._signer.at(time.time(), _LOOK_SECONDS).presign("HEAD", path, {"host": address.host, **headers})
        answer = self._http.send("HEAD", f"{address.origin}{path}?{query}", headers=headers, what=what)
        if answer.status != 200:
            error = fault(
                "", "", answer.status, what, key=key, bucket=self._settings.bucket, retry_after=answer.retry_after
            )
            raise _of_profile(error, what, looking=True)
        return answer

    def parts(self, grant: Grant) -> tuple[Receipt, ...]:
        """The stored parts of an unfinished upload; none when it is gone."""
        what = f"listing the parts of {grant.key!r}"
        found: list[Receipt] = []
        last = 0
        while True:
            try:
                answer = self._call("list_parts", what, grant.key, UploadId=grant.upload_id, PartNumberMarker=last)
            except NotFound:
                return ()
            if "UploadId" not in answer:
                raise _half(what, grant.key)
            found += [self._receipt(part) for part in answer.get("Parts", ())]
            if not answer.get("IsTruncated"):
                return tuple(found)
            if answer.get("NextPartNumberMarker", 0) <= last:
                raise BadAnswer(f"{what}: the service says that there are more, and gives none.", key=grant.key)
            last = answer["NextPartNumberMarker"]

    def abort(self, grant: Grant) -> None:
        """Forget an unfinished upload; harmless when it is gone."""
        try:
            self._call("abort_multipart_upload", f"aborting {grant.key!r}", grant.key, UploadId=grant.upload_id)
        except NotFound:
            return

    def unfinished(self, key: str) -> list[Unfinished]:
        """The unfinished uploads of ``key``."""
        found: list[Unfinished] = []
        marker: dict[str, str] = {}
        while True:
            answer = self._call(
                "list_multipart_uploads", f"listing the uploads of {key!r}", key, Prefix=key, MaxUploads=1000, **marker
            )
            uploads = answer.get("Uploads", ())
            # By key, and a key comes before those that it begins.
            mine = [item for item in uploads if item["Key"] == key]
            found += [Unfinished(upload_id=item["UploadId"], begun_at=item["Initiated"].timestamp()) for item in mine]
            last = marker
            marker = {
                "KeyMarker": answer.get("NextKeyMarker", ""),
                "UploadIdMarker": answer.get("NextUploadIdMarker", ""),
            }
            if not answer.get("IsTruncated") or len(mine) < len(uploads) or marker == last:
                return found

    def _receipt(self, part: dict[str, Any]) -> Receipt:
        etag = _bare(part["ETag"])
        crc = part.get("ChecksumCRC64NVME")
        checksum = f"{CRC64NVME}:{crc}" if crc else ""
        if self._settings.checksum == MD5:
            checksum = f"{MD5}:{etag}"
        return Receipt(number=part["PartNumber"], size=part["Size"], proof=etag, checksum=checksum)

    def ask(self, method: str, what: str, **arguments: object) -> Any:
        """Any other call of the SDK, with all its arguments."""
        return self._send(method, what, str(arguments.get("Key", "")), arguments)

    def _call(self, method: str, what: str, key: str, **arguments: object) -> Any:
        where = {} if "Prefix" in arguments else {"Key": key}
        return self._send(method, what, key, {"Bucket": self._settings.bucket, **where, **arguments})

    def _send(self, method: str, what: str, key: str, arguments: dict[str, object]) -> Any:
        def call() -> Any:
            return self._try(method, what, key, arguments)

        # What may have been begun without an answer is left to the broker, which noted it, and its sweep.
        return call() if method == _BEGIN else _RETRY.run(call, threading.Event())

    def _try(self, method: str, what: str, key: str, arguments: dict[str, object]) -> Any:
        client = self._connect()
        from botocore import exceptions as b  # type: ignore[import-untyped,unused-ignore]  # ships no types

        try:
            return getattr(client, method)(**arguments)
        except b.ClientError as error:
            raise self._refused(error, what, key) from None
        except b.ParamValidationError as error:
            raise BadInput(f"{what}: {' '.join(str(error).split())[:200]}", key=key) from None
        except b.SSLError as error:
            if "certificate verify failed" not in str(error):
                raise Unavailable(f"{what}: {self._address.host} broke off the TLS handshake.", key=key) from None
            raise BadAnswer(
                f"{what}: {self._address.host} cannot be trusted; its TLS certificate was refused."
            ) from None
        except (b.HTTPClientError, b.ConnectionError):
            raise Unavailable(f"{what}: {self._address.host} could not be reached, or was silent.", key=key) from None
        except b.BotoCoreError as error:
            raise BadAnswer(f"{what}: the SDK failed with {type(error).__name__}.", key=key) from None

    def _refused(self, error: Any, what: str, key: str) -> VVOSError:
        details = error.response.get("Error", {})
        metadata = error.response.get("ResponseMetadata", {})
        status = metadata.get("HTTPStatusCode", 500)
        code = details.get("Code", "")
        headers = metadata.get("HTTPHeaders", {})
        told = {"Retry-After": headers.get("retry-after", ""), "Date": headers.get("date", "")}
        result = fault(
            "" if code.isdigit() else code,  # a HEAD's error has no body, and botocore puts the status there
            details.get("Message", ""),
            status,
            what,
            key=key,
            bucket=self._settings.bucket,
            retry_after=Answer(status=status, headers=told).retry_after,
        )
        return _of_profile(result, what, looking=error.operation_name == "HeadObject")

    def _connect(self) -> Any:
        with self._lock:
            if self._client is None:
                self._client = _client(self._settings, self._address)
            return self._client


def _client(settings: Settings, address: Address) -> Any:
    try:
        import boto3  # type: ignore[import-untyped,unused-ignore]  # ships no types
        import botocore.config  # type: ignore[import-untyped,unused-ignore]  # ships no types
        import botocore.session  # type: ignore[import-untyped,unused-ignore]  # ships no types
    except ImportError as error:
        raise PluginError("granting uploads to S3 needs boto3; install it: pip install 'vvos-s3[broker]'") from error
    # The profile says all; a shared AWS configuration file or AWS_PROFILE of the machine must not change it.
    nothing = (None, None, None, None)
    session = botocore.session.Session(session_vars={"profile": nothing, "config_file": nothing})
    config = botocore.config.Config(
        signature_version="s3v4",
        s3={"addressing_style": "path" if address.path_style else "virtual"},
        retries={"mode": "standard", "total_max_attempts": 1},
        connect_timeout=5,
        read_timeout=30,
        max_pool_connections=4 * THREADS,
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    token = settings.session_token
    return boto3.session.Session(botocore_session=session).client(
        "s3",
        region_name=settings.region,
        endpoint_url=address.endpoint,
        aws_access_key_id=settings.access_key.reveal(),
        aws_secret_access_key=settings.secret_key.reveal(),
        aws_session_token=token.reveal() if token else None,
        config=config,
    )


def _of_profile(error: VVOSError, what: str, *, looking: bool) -> VVOSError:
    """The error of a call with the profile's own keys."""
    if isinstance(error, TokenExpired):
        # Renewing a grant would not help.
        return ConfigError(
            f"{what}: the session credentials of the profile have expired; give it fresh ones.",
            key=error.key,
        )
    if isinstance(error, Denied) and looking:
        return Denied(
            f"{error.message} The keys need s3:GetObject, and s3:ListBucket to tell what is not there.", key=error.key
        )
    return error


def _half(what: str, key: str) -> VVOSError:
    # http.client, below boto3, takes a head that breaks off for a whole one, and the answer for an empty one.
    return Unavailable(f"{what}: the service's answer broke off.", key=key)


_BEGIN = "create_multipart_upload"
_RETRY = RetryPolicy(attempts=3)
"""Of the broker's calls that may be made again; the SDK does not, for it would begin uploads twice."""
_FULL_OBJECT = {"ChecksumAlgorithm": "CRC64NVME", "ChecksumType": "FULL_OBJECT"}


def _bare(etag: str) -> str:
    return etag.strip('"')
