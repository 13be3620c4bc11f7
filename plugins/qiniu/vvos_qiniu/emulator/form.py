"""Form upload: ``POST /`` with multipart/form-data, read as a stream; the fields may come in any order."""

from __future__ import annotations

from dataclasses import dataclass, field

from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.http import parse_options_header
from werkzeug.sansio.multipart import NEED_DATA, Data, Epilogue, Event, Field, File, MultipartDecoder

from . import errors
from .blobs import Blob, BlobStore, BlobWriter
from .errors import KodoError
from .finish import Arrived, Finish
from .messages import Request, Response
from .policy import Policy
from .tokens import Keys

_READ = 256 * 1024
_MAX_FIELD = 1024 * 1024
MAX_FILE = 1024 * 1024 * 1024
"""Bytes of the largest object that a form may carry."""


@dataclass
class _Parsed:
    fields: dict[str, str] = field(default_factory=dict)
    blob: Blob | None = None
    fname: str = ""
    mime: str = ""


class Form:
    """Answers form uploads; one per emulator."""

    def __init__(self, blobs: BlobStore, keys: Keys, finish: Finish) -> None:
        self._blobs = blobs
        self._keys = keys
        self._finish = finish

    def __call__(self, request: Request) -> tuple[str, str, Response]:
        """Bucket, key and answer. Raises ``KodoError``."""
        parsed = self._parse(request)
        fields = parsed.fields
        policy = self._policy(fields)
        if parsed.blob is None:
            raise errors.invalid("file is not specified in multipart")
        crc32 = fields.get("crc32", "")
        if crc32:
            if not (crc32.isascii() and crc32.isdigit()):
                raise errors.invalid("invalid crc32")
            if int(crc32) != parsed.blob.crc32:
                raise errors.wrong_crc32()
        key, response = self._finish(
            policy,
            Arrived(
                key=fields.get("key"),
                blobs=(parsed.blob,),
                etag=parsed.blob.etag,
                mime=parsed.mime,
                fname=parsed.fname,
                variables={name: value for name, value in fields.items() if name.startswith(("x:", "x-qn-meta-"))},
            ),
        )
        return policy.bucket, key, response

    def _policy(self, fields: dict[str, str]) -> Policy:
        return self._keys.upload_policy(fields.get("token", ""))

    def _parse(self, request: Request) -> _Parsed:
        kind, options = parse_options_header(request.headers.get("Content-Type"))
        boundary = options.get("boundary", "")
        if kind != "multipart/form-data" or not boundary:
            raise errors.invalid("request Content-Type isn't multipart/form-data")
        decoder = MultipartDecoder(boundary.encode("latin-1"), max_form_memory_size=_MAX_FIELD, max_parts=1000)
        try:
            return self._collect(request, decoder)
        except (ValueError, RequestEntityTooLarge):
            raise errors.invalid("invalid multipart format") from None

    def _collect(self, request: Request, decoder: MultipartDecoder) -> _Parsed:
        parsed = _Parsed()
        text = bytearray()
        name = ""
        writer: BlobWriter | None = None
        ended = False
        try:
            while True:
                event: Event = decoder.next_event()
                if event is NEED_DATA:
                    if ended:
                        raise errors.invalid("unexpected EOF")
                    piece = request.body.read(_READ)
                    ended = not piece
                    decoder.receive_data(piece or None)
                elif isinstance(event, File) and event.name == "file" and parsed.blob is None:
                    self._refuse_early(parsed)
                    writer = self._blobs.writer()
                    parsed.fname, parsed.mime = event.filename, event.headers.get("Content-Type", "")
                elif isinstance(event, Field | File):
                    name = event.name
                    text.clear()
                elif isinstance(event, Data) and writer is not None:
                    writer.write(event.data)
                    if writer.size > MAX_FILE:
                        raise KodoError(413, "request entity too large")
                    if not event.more_data:
                        parsed.blob = writer.finish()
                        writer = None
                elif isinstance(event, Data):
                    text += event.data
                    if len(text) > _MAX_FIELD:
                        raise errors.invalid("a form field is too long")
                    if not event.more_data:
                        parsed.fields.setdefault(name, _text(bytes(text)))
                elif isinstance(event, Epilogue):
                    return parsed
        finally:
            if writer is not None:
                writer.__exit__()

    def _refuse_early(self, parsed: _Parsed) -> None:
        """A bad token that came before the file is refused before the file is read."""
        if "token" in parsed.fields:
            self._policy(parsed.fields)


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise errors.invalid("a form field is not utf8") from None
