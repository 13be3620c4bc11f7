"""The gate in front of a WebDAV server: everybody may read, and every put has to be signed for. It is WSGI."""

from __future__ import annotations

import hmac
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from typing import IO, TYPE_CHECKING

from vvos_webdav.signing import sign

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


class Gate:
    """Passes on to ``app`` what ``secret`` has signed. ``clock`` gives seconds since 1970, UTC."""

    def __init__(self, app: WSGIApplication, secret: str, clock: Callable[[], float] = time.time) -> None:
        self._app, self._secret, self.clock = app, secret, clock
        self._writing = threading.Lock()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] in ("GET", "HEAD"):
            return self._app(environ, start_response)
        refusal = self._refusal(environ)
        with tempfile.TemporaryFile() as body:
            if not _received(environ, None if refusal else body):
                refusal = refusal or "400 Bad Request"
            if refusal:
                start_response(refusal, [("Content-Length", "0"), ("WWW-Authenticate", "VVOS")])
                return []
            environ["wsgi.input"] = body
            # One at a time, or two could find that there is nothing under a key, and both put it there.
            with self._writing:
                self._make_folders(environ)
                return list(self._app(environ, start_response))

    def _refusal(self, environ: WSGIEnvironment) -> str:
        """The status that a request is refused with; empty where it is signed for, and in time."""
        scheme, expires, signature = [*environ.pop("HTTP_AUTHORIZATION", "").split(" "), "", "", ""][:3]
        right = sign(
            self._secret,
            expires,
            environ["PATH_INFO"].encode("latin-1").decode(errors="replace"),
            environ.get("CONTENT_LENGTH", ""),
            environ.get("CONTENT_TYPE", ""),
            cover=environ.get("HTTP_IF_NONE_MATCH") != "*",
        )
        signed = scheme == "VVOS" and hmac.compare_digest(right.encode(), signature.encode())
        if environ["REQUEST_METHOD"] != "PUT" or not signed:
            return "403 Forbidden"
        return "401 Unauthorized" if self.clock() >= float(expires) else ""

    def _make_folders(self, environ: WSGIEnvironment) -> None:
        """A key is one name to VVOS, whatever slashes are in it, and WebDAV wants a folder for each."""
        parts = environ["PATH_INFO"].split("/")[1:-1]
        for depth in range(1, len(parts) + 1):
            path = "/" + "/".join(parts[:depth])
            make = {**environ, "REQUEST_METHOD": "MKCOL", "PATH_INFO": path, "CONTENT_LENGTH": "0"}
            list(self._app(make, lambda *_: _unused))


def _received(environ: WSGIEnvironment, file: IO[bytes] | None) -> bool:
    """Reads the whole body, into ``file`` where it is wanted; False where the client broke off. Then the server behind
    has seen nothing of it, and makes no half object."""
    left = int(environ.get("CONTENT_LENGTH") or 0)
    while left > 0 and (block := environ["wsgi.input"].read(min(left, 1 << 16))):
        left -= len(block)
        if file:
            file.write(block)
    if file:
        file.seek(0)
    return not left


def _unused(data: bytes) -> None:
    """The ``write`` of WSGI, which nobody calls any more."""
