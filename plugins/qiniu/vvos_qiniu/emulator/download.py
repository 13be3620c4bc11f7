"""Reading an object by its key, as at a bucket's domain: whole or in ranges, signed where the bucket is private."""

from __future__ import annotations

import re
from email.utils import formatdate
from urllib.parse import quote, unquote

from .errors import KodoError
from .messages import Request, Response
from .store import Object, Store
from .tokens import Keys


class Download:
    """Answers GET and HEAD of objects of one bucket; one per emulator."""

    def __init__(self, store: Store, keys: Keys, bucket: str) -> None:
        self._store = store
        self._keys = keys
        self._bucket = bucket

    def __call__(self, request: Request) -> tuple[str, Response]:
        """The key, and the answer. Raises ``KodoError``."""
        key = unquote(request.path[1:])
        if self._store.bucket(self._bucket).private:
            self._keys.check_download(request)
        try:
            item = self._store.find(self._bucket, key)
        except KodoError:
            raise KodoError(404, "Document not found") from None
        if item.status:
            raise KodoError(403, "file is disabled")  # [?] the text
        return key, self._content(request, item)

    def _content(self, request: Request, item: Object) -> Response:
        headers = {
            "Content-Type": item.mime,
            "Etag": f'"{item.hash}"',
            "Last-Modified": formatdate(item.put_time // 10_000_000, usegmt=True),
            "Accept-Ranges": "bytes",
        }
        headers |= {f"X-Qn-Meta-{name}": value for name, value in item.metadata.items()}
        attachment = request.params().get("attname")
        if attachment:
            headers["Content-Disposition"] = f"attachment; filename*=utf-8''{quote(attachment)}"
        span = _range(request.headers.get("Range", ""), item.size)
        if span is None:
            return Response(200, headers, item.read(0, item.size), item.size)
        start, stop = span
        if start >= stop:
            return Response(416, {"Content-Range": f"bytes */{item.size}"})
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{item.size}"
        return Response(206, headers, item.read(start, stop), stop - start)


def _range(said: str, size: int) -> tuple[int, int] | None:
    """The bytes [start, stop) of a range request; None where it asks for all, or for what is not understood."""
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", said, re.ASCII)
    if match is None or not (match[1] or match[2]):
        return None
    if not match[1]:
        return max(size - int(match[2]), 0), size
    stop = min(int(match[2]) + 1, size) if match[2] else size
    return int(match[1]), stop
