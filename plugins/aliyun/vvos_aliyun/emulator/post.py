"""PostObject: an upload by an HTML form, within a signed policy. Sources: OSS, "PostObject" and its V4 signature."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Callable, Iterator
from dataclasses import replace
from urllib.parse import quote

from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.http import parse_options_header
from werkzeug.sansio.multipart import Data, Epilogue, Event, Field, File, MultipartDecoder, NeedData

from vvos_core import Secret
from vvos_core.testing.server import Headers, Response

from ..v4 import ALGORITHM, signing_key
from . import callback
from .blobs import PIECE, Content
from .call import MAX_PUT, Call
from .credentials import Credential, Credentials
from .errors import OssError
from .objects import written
from .post_policy import FormPolicy, parse_policy
from .signatures import same, v1_signature
from .store import check_key
from .xml import document

MAX_FIELDS = 64 * 1024
"""Bytes of all fields before the file."""


def post(call: Call, credentials: Credentials, region: str, rights: Callable[[Credential | None], None]) -> Response:
    """PostObject. ``rights`` is told who signed the policy, before ``call.may`` is asked."""
    kind, options = parse_options_header(call.header("content-type"))
    if kind != "multipart/form-data" or not options.get("boundary"):
        raise OssError("RequestIsNotMultiPartContent")
    form = _Form(call, options["boundary"])
    fields = form.fields
    policy = _policy(fields, credentials, region, call, rights)
    key = fields.get("key", "").replace("${filename}", form.filename)
    if not key:
        raise OssError("InvalidArgument", "Bucket POST must contain a field named 'key'.", ec="0010-00000012")
    check_key(key)
    call.key = key
    call.may("oss:PutObject", call.bucket, key)
    if policy is not None:
        policy.check(fields | {"key": key, "bucket": call.bucket}, call.clock())
    call.request = replace(call.request, headers=_headers(fields, form.content_type))
    draft, forbid = call.draft(), call.forbids_overwrite
    variables = {name: value for name, value in fields.items() if name.startswith("x:")}
    asked = callback.parse(fields["callback"], dict(variables)) if fields.get("callback") else None
    low, high = policy.size if policy else (0, MAX_PUT)
    blob = call.store.blobs.write(form.file(min(high, MAX_PUT)))
    if blob.size < low:
        raise OssError("EntityTooSmall", ec="0010-00000033", MinSizeAllowed=str(low), ProposedSize=str(blob.size))
    value = call.finished(draft, Content((blob,)), blob.md5.hex().upper())
    call.store.put(call.bucket, key, value, forbid=forbid)
    response = _success(call, fields, value.etag)
    for name, text in written(value):
        response.set(name, text)
    return asked.sent(call, value, response) if asked else response


def _success(call: Call, fields: dict[str, str], etag: str) -> Response:
    location = f"http://{call.host}/{quote(call.key)}"
    redirect = fields.get("success_action_redirect", "")
    if redirect.startswith(("http://", "https://")):
        query = f"bucket={call.bucket}&key={quote(call.key, safe='')}&etag={quote(etag)}"
        return Response(303, [("Location", f"{redirect}{'&' if '?' in redirect else '?'}{query}")])
    status = fields.get("success_action_status", "204")
    if status == "201":
        body = [("Bucket", call.bucket), ("Location", location), ("Key", call.key), ("ETag", f'"{etag}"')]
        return Response(201, [("Content-Type", "application/xml")], document("PostResponse", body))
    return Response(200 if status == "200" else 204, [("Location", location)])


def _policy(
    fields: dict[str, str],
    credentials: Credentials,
    region: str,
    call: Call,
    rights: Callable[[Credential | None], None],
) -> FormPolicy | None:
    """The signed policy; None for an anonymous form, whose bucket has to allow it. Raises ``OssError``."""
    text = fields.get("policy", "")
    version = fields.get("x-oss-signature-version", "")
    token = fields.get("x-oss-security-token")
    if not text and not fields.get("ossaccesskeyid") and not version:
        rights(None)
        return None
    if version == ALGORITHM:
        scope = fields.get("x-oss-credential", "").split("/")
        if len(scope) != 5 or scope[2:] != [region, "oss", "aliyun_v4_request"]:
            raise OssError("InvalidArgument", "Invalid credential scope.", ec="0002-00000224")
        credential = credentials.find(scope[0], token)
        secret = signing_key(Secret(credential.secret_key), scope[1], region)
        expected = hmac.digest(secret, text.encode(), "sha256").hex()
        provided = fields.get("x-oss-signature", "")
    else:
        credential = credentials.find(fields.get("ossaccesskeyid", ""), token)
        expected, provided = v1_signature(credential.secret_key, text.encode()), fields.get("signature", "")
    if not same(expected, provided):
        raise OssError(
            "SignatureDoesNotMatch",
            OSSAccessKeyId=credential.access_key,
            SignatureProvided=provided,
            StringToSign=text,
        )
    rights(credential)
    return parse_policy(base64.b64decode(text + "=" * (-len(text) % 4), validate=False))


def _headers(fields: dict[str, str], content_type: str) -> Headers:
    """The fields that mean what a header of PutObject means."""
    headers = {name: value.encode().decode("latin-1") for name, value in fields.items() if name in _AS_HEADERS}
    headers |= {name: value.encode().decode("latin-1") for name, value in fields.items() if name.startswith("x-oss-")}
    kind = fields.get("x-oss-content-type") or fields.get("content-type") or content_type
    if kind:
        headers["content-type"] = kind
    return Headers(headers.items())


_AS_HEADERS = ("cache-control", "content-disposition", "content-encoding", "content-language", "expires")


class _Form:
    """The fields of a form up to its file, read; and its file, to be read. What follows the file is ignored."""

    def __init__(self, call: Call, boundary: str) -> None:
        self._call = call
        self._decoder = MultipartDecoder(boundary.encode(), max_form_memory_size=MAX_FIELDS, max_parts=200)
        self.fields: dict[str, str] = {}
        """Names in lower case."""
        self._read_fields()

    def _read_fields(self) -> None:
        name, value = "", bytearray()
        for event in self._events():
            if isinstance(event, File) or (isinstance(event, Field) and event.name == "file"):
                self.filename = getattr(event, "filename", None) or ""
                self.content_type = event.headers.get("content-type", "")
                return
            if isinstance(event, Field):
                name, value = event.name.lower(), bytearray()
            elif isinstance(event, Data):
                value += event.data
                if not event.more_data:
                    self.fields[name] = value.decode("utf-8", "replace")
                    if sum(map(len, self.fields.values())) > MAX_FIELDS:
                        raise OssError("FieldItemTooLong")
        raise OssError("InvalidArgument", "POST requires exactly one file upload per request.", ec="0010-00000011")

    def file(self, limit: int) -> Iterator[bytes]:
        """The bytes of the file. Raises ``OssError`` when they are more than ``limit``, or cut off."""
        size = 0
        for event in self._events():
            if isinstance(event, Data):
                size += len(event.data)
                if size > limit:
                    raise OssError(
                        "EntityTooLarge", ec="0010-00000034", MaxSizeAllowed=str(limit), ProposedSize=str(size)
                    )
                yield bytes(event.data)
                if not event.more_data:
                    while self._call.request.body.read(PIECE):
                        pass
                    return
        raise OssError("MalformedPOSTRequest")

    def _events(self) -> Iterator[Event]:
        body = self._call.request.body
        while True:
            try:
                event = self._decoder.next_event()
                if isinstance(event, NeedData):
                    piece = body.read(MAX_FIELDS // 2)  # the decoder holds no more than MAX_FIELDS
                    self._decoder.receive_data(piece or None)
                    continue
            except RequestEntityTooLarge:
                raise OssError("FieldItemTooLong") from None
            except ValueError:
                raise OssError("MalformedPOSTRequest") from None
            if isinstance(event, Epilogue):
                return
            yield event
