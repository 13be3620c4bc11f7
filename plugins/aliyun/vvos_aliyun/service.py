"""The half that asks the service with the profile's own keys: looks and lists parts itself, the rest through oss2."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar
from xml.etree import ElementTree

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
    TokenExpired,
    Unavailable,
    Unfinished,
    VVOSError,
)

from . import metadata, xml
from .address import Address
from .checksum import text
from .faults import fault, refused
from .settings import Settings
from .v4 import Signer

THREADS = 8
"""Calls to the service at once, for all batches together; a call for one file goes in its caller's own thread."""
_LOOK_SECONDS = 900
Item = TypeVar("Item")
Result = TypeVar("Result")


class Head(Struct, frozen=True, kw_only=True):
    """An object as the service knows it; ``checksum`` is empty where it said none."""

    size: int
    checksum: str
    etag: str
    """As a listing tells it; empty where the object's encryption may make it another value than an MD5."""


class Service:
    """A bucket, asked with its owner's keys. The SDK is imported and connected on first use; shared by threads.

    ``clock``: seconds since 1970, UTC; looks are signed by it, as oss2 signs the rest by its own.
    """

    def __init__(self, settings: Settings, address: Address, signer: Signer, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._address = address
        self._signer = signer
        self._clock = clock
        self._http = Http(timeout=(5.0, 30.0), pool=4 * THREADS)
        self._lock = threading.Lock()
        self._bucket: Any = None
        self._pool: ThreadPoolExecutor | None = None

    def each(self, do: Callable[[Item], Result], items: Sequence[Item]) -> list[Result | VVOSError]:
        """``do`` for each item, several at once: its result, or the error that it raised."""

        def one(item: Item) -> Result | VVOSError:
            try:
                return do(item)
            except VVOSError as error:
                return error

        if len(items) < 2:
            return [one(item) for item in items]
        with self._lock:
            self._pool = self._pool or ThreadPoolExecutor(THREADS, thread_name_prefix="vvos-aliyun")
        return list(self._pool.map(one, items))

    def begin(self, grant: Grant) -> str:
        """Begin a multipart upload; answers its id."""
        headers: dict[str, str | bytes] = {"content-type": grant.type}
        # As bytes: http.client takes text for latin-1, and oss2 would sign it as UTF-8.
        headers |= {name: value.encode("latin-1") for name, value in metadata.headers(grant.metadata).items()}
        what = f"beginning the upload of {grant.key!r}"
        answer = self._call("init_multipart_upload", what, grant.key, headers=headers)
        upload_id: str = answer.upload_id
        return upload_id

    def head(self, key: str) -> Head | None:
        """The object under ``key``; None when there is none."""
        what = f"looking for {key!r}"
        try:
            # Not through oss2, which takes twice the time: each file is looked at when it is finished.
            headers = self._look("HEAD", key, {}, what).headers
        except NotFound:
            return None
        size, crc = headers.get("Content-Length", ""), headers.get("x-oss-hash-crc64ecma", "")
        if not size.isdecimal():
            raise BadAnswer(f"{what}: the service answered no size; is it OSS?", key=key)
        etag = headers.get("ETag", "").strip().strip('"').lower()
        if headers.get("x-oss-server-side-encryption", "AES256") != "AES256":
            etag = ""
        return Head(size=int(size), checksum=text(crc) if crc.isdecimal() else "", etag=etag)

    def page(self, prefix: str, after: str, most: int) -> Page:
        """The objects whose keys begin with ``prefix`` and come behind ``after``, at most ``most``. Asked for once."""
        parameters = {"encoding-type": "url", "list-type": "2", "max-keys": str(most), "prefix": prefix}
        if after:
            parameters["start-after"] = after
        return xml.page(self._look("GET", "", parameters, "listing objects").body)

    def parts(self, grant: Grant) -> tuple[Receipt, ...]:
        """The stored parts of an unfinished upload; none when it is gone.

        Not through oss2, whose ``list_parts`` drops the checksums of the parts (``HashCrc64ecma``).
        """
        what = f"listing the parts of {grant.key!r}"
        found: list[Receipt] = []
        marker = "0"
        while True:
            try:
                page = self._page(grant, marker, what)
            except NotFound:
                return ()
            found += [_receipt(part) for part in page.findall("Part")]
            following = page.findtext("NextPartNumberMarker") or ""
            if page.findtext("IsTruncated") != "true" or not following.isdigit() or int(following) <= int(marker):
                return tuple(found)
            marker = following

    def abort(self, grant: Grant) -> None:
        """Forget an unfinished upload; harmless when it is gone."""
        try:
            self._call("abort_multipart_upload", f"aborting {grant.key!r}", grant.key, upload_id=grant.upload_id)
        except NotFound:
            return

    def unfinished(self, key: str) -> list[Unfinished]:
        """The unfinished uploads of ``key``."""
        found: list[Unfinished] = []
        marker = ("", "")
        while True:
            answer = self._call(
                "list_multipart_uploads",
                f"listing the uploads of {key!r}",
                key,  # as the prefix
                key_marker=marker[0],
                upload_id_marker=marker[1],
            )
            # By key, and a key comes before those that it begins.
            mine = [item for item in answer.upload_list if item.key == key]
            found += [Unfinished(upload_id=item.upload_id, begun_at=float(item.initiation_date)) for item in mine]
            last, marker = marker, (answer.next_key_marker, answer.next_upload_id_marker)
            if not answer.is_truncated or len(mine) < len(answer.upload_list) or marker == last:
                return found

    def _page(self, grant: Grant, marker: str, what: str) -> Any:
        parameters = {"uploadId": grant.upload_id, "max-parts": "1000", "part-number-marker": marker}
        answer = self._look("GET", grant.key, parameters, what)
        page = xml.parse(answer.body)
        if page.tag != "ListPartsResult":
            raise BadAnswer(f"{what}: the service answered <{page.tag[:40]}>; is it OSS?", key=grant.key)
        return page

    def _look(self, method: str, key: str, parameters: Mapping[str, str], what: str) -> Answer:
        address = self._address
        signing = self._signer.at(self._clock(), _LOOK_SECONDS)
        query = signing.presign(method, address.resource(key), {"host": address.host}, parameters)
        answer = self._http.send(method, f"{address.origin}{address.path(key)}?{query}", what=what)
        if answer.status != 200:
            raise self._own(refused(answer, what, key=key, bucket=self._settings.bucket), what)
        return answer

    def ask(self, method: str, what: str, *arguments: object) -> Any:
        """Any other call of the SDK's bucket."""
        return self._send(method, what, "", arguments, {})

    def _call(self, method: str, what: str, key: str, **arguments: object) -> Any:
        return self._send(method, what, key, (key,), arguments)

    def _send(self, method: str, what: str, key: str, arguments: tuple[object, ...], named: dict[str, object]) -> Any:
        bucket = self._connect()
        from oss2 import exceptions as o  # type: ignore[import-untyped,unused-ignore]  # ships no types

        try:
            return getattr(bucket, method)(*arguments, **named)
        except o.RequestError as error:
            raise self._unreachable(error.exception, what, key) from None
        except o.ServerError as error:
            result = fault(
                error.code,
                error.message or "",
                error.status,
                what,
                key=key,
                bucket=self._settings.bucket,
                retry_after=Answer(status=error.status, headers=error.headers).retry_after,
            )
            raise self._own(result, what) from None
        except o.ClientError as error:
            raise BadInput(f"{what}: {' '.join(str(error.body).split())[:200]}", key=key) from None
        except (
            o.OssError,
            ElementTree.ParseError,
            RuntimeError,
            ValueError,
        ) as error:  # what its parsers raise for a foreign answer
            raise BadAnswer(f"{what}: the SDK failed with {type(error).__name__}; is it OSS?", key=key) from None

    def _unreachable(self, error: BaseException, what: str, key: str) -> VVOSError:
        from requests import exceptions as r

        # Without its cause: the texts hold the URL.
        if isinstance(error, r.SSLError) and "certificate verify failed" in str(error):
            return BadAnswer(
                f"{what}: {self._address.host} cannot be trusted; its TLS certificate was refused.", key=key
            )
        return Unavailable(f"{what}: {self._address.host} could not be reached, or was silent.", key=key)

    def _own(self, error: VVOSError, what: str) -> VVOSError:
        """The error of a call with the profile's own keys, which renewing a grant would not mend."""
        if isinstance(error, TokenExpired):
            return ConfigError(
                f"{what}: the credentials of the profile have expired; give it fresh ones.", key=error.key
            )
        if isinstance(error, Denied) and error.code == Denied.code:
            hint = "The keys need oss:PutObject, oss:GetObject, oss:ListParts and oss:AbortMultipartUpload."
            return Denied(f"{error.message} {hint}", key=error.key)
        return error

    def _connect(self) -> Any:
        with self._lock:
            if self._bucket is None:
                self._bucket = _bucket(self._settings, self._address)
            return self._bucket


def _bucket(settings: Settings, address: Address) -> Any:
    try:
        import oss2  # type: ignore[import-untyped,unused-ignore]  # ships no types
    except ImportError as error:
        raise PluginError(
            "granting uploads to OSS needs oss2; install it: pip install 'vvos-aliyun[broker]'"
        ) from error
    token = settings.session_token
    provider = oss2.StaticCredentialsProvider(
        settings.access_key.reveal(), settings.secret_key.reveal(), token.reveal() if token else None
    )
    session = oss2.Session(pool_size=4 * THREADS)
    # Else requests looks into ~/.netrc, and what it finds there replaces the signature.
    session.session.auth = lambda request: request
    return oss2.Bucket(
        oss2.ProviderAuthV4(provider),
        address.endpoint,
        settings.bucket,
        is_cname=address.cname,
        session=session,
        connect_timeout=(5, 30),
        region=settings.region,
        is_path_style=address.path_style,
    )


def _receipt(part: Any) -> Receipt:
    number, size = part.findtext("PartNumber") or "", part.findtext("Size") or ""
    crc = (part.findtext("HashCrc64ecma") or "").strip()
    if not number.isdigit() or not size.isdigit():
        raise BadAnswer("the service listed a part without its number or size; is it OSS?")
    return Receipt(
        number=int(number),
        size=int(size),
        proof=(part.findtext("ETag") or "").strip().strip('"'),
        checksum=text(crc) if crc.isdigit() else "",
    )
