"""The reference provider behind HTTP, for faults of the wire: a small service that trusts nobody, and its provider."""

from __future__ import annotations

import base64
import hmac
import threading
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
from msgspec.structs import replace

from vvos_core import (
    BadToken,
    Chunk,
    ExistsRequest,
    Found,
    Grant,
    Http,
    Receipt,
    Secret,
    Stored,
    TokenRequest,
    VVOSError,
    hookimpl,
)
from vvos_core.builtin.directory import DirectorySettings
from vvos_core.builtin.folder import Folder
from vvos_core.errors import from_code
from vvos_core.http import Answer

from .mistakes import Bytes, Named

SECRET = "geheim-秘密-0123456789"


def mac(secret: str, grant: Grant) -> str:
    """The signature of a grant by the account's secret."""
    said = msgspec.json.encode(replace(grant, data={}, access_token=""))
    return hmac.new(secret.encode(), said, "sha256").hexdigest()


class WebService:
    """The service, on a free port. The flaws are for the broken providers."""

    def __init__(self, root: Path, secret: str, flaws: Sequence[str] = ()) -> None:
        self.root, self.secret, self.flaws = root, secret, flaws
        self.types: dict[str, str] = {}
        self.metadata: dict[str, Mapping[str, str]] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def answer(self, what: str, number: int, headers: Mapping[str, str], body: bytes) -> bytes:
        """What a request gets. Raises the ``VVOSError`` that it is refused with."""
        grant = msgspec.json.decode(base64.b64decode(headers.get("X-Grant", "")), type=Grant)
        if "any secret" not in self.flaws and not hmac.compare_digest(
            mac(self.secret, grant), headers.get("X-Mac", "")
        ):
            raise BadToken("the signature is wrong.")
        folder = Folder(str(self.root))
        own = replace(grant, data={"signature": folder.sign(grant)})
        if "copies" in self.flaws and headers.get("X-Copy-From"):
            body = (self.root / base64.b64decode(headers["X-Copy-From"]).decode()).read_bytes()[: grant.size]
        if what == "/put":
            if "half bodies" in self.flaws and not grant.multipart:
                body = body.ljust(grant.size, b"\0")
            checksum = folder.put(own, Bytes(number, 0, body))
        elif what == "/complete":
            receipts = msgspec.json.decode(body, type=list[Receipt])
            checksum = folder.complete(own, receipts, "").checksum
        else:
            folder.abort(grant)
            return b""
        loose = "any type" in self.flaws and headers.get("Content-Type")
        self.types[grant.key] = loose or grant.type
        self.metadata[grant.key] = grant.metadata
        return checksum.encode()


def _handler(service: WebService) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # an answer in one piece: in two, the second waits for the first's acknowledgement

        def answer(self) -> None:
            length = int(self.headers["Content-Length"])
            body = self.rfile.read(length)
            if len(body) < length and "half bodies" not in service.flaws:
                self.close_connection = True
                return
            target = urlsplit(self.path)
            number = int(parse_qs(target.query).get("number", ["1"])[0])
            try:
                self._send(200, service.answer(target.path, number, dict(self.headers), body))
            except VVOSError as error:
                told = {"code": error.code, "message": error.message}
                self._send(error.http_status, msgspec.json.encode(told))

        do_PUT = do_POST = answer  # noqa: N815  # http.server's names

        def _send(self, status: int, body: bytes) -> None:
            self.send_response_only(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    return Handler


class WebSettings(DirectorySettings, frozen=True, kw_only=True):
    endpoint: str
    secret: Secret


class Web(Named):
    """The provider: it grants beside the service's root, and stores over HTTP."""

    Settings = WebSettings

    def __init__(self, settings: DirectorySettings | None) -> None:
        super().__init__(settings)
        self._http = Http(timeout=(5.0, 5.0))
        self._endpoint = settings.endpoint if isinstance(settings, WebSettings) else ""
        self._secret = settings.secret if isinstance(settings, WebSettings) else Secret("")

    @hookimpl
    def token(self, request: TokenRequest) -> Sequence[Grant | VVOSError]:
        plain = [replace(ask, metadata={}) if _keeps(ask) else ask for ask in request.files]
        answers = super().token(replace(request, files=tuple(plain)))
        metadata = [ask.renew.metadata if ask.renew else ask.metadata for ask in request.files]
        return [
            self.signed(replace(answer, metadata=given)) if isinstance(answer, Grant) else answer
            for answer, given in zip(answers, metadata, strict=True)
        ]

    def signed(self, grant: Grant) -> Grant:
        return replace(grant, data={"endpoint": self._endpoint, "mac": mac(self._secret.reveal(), grant)})

    @hookimpl
    def exists(self, request: ExistsRequest) -> Sequence[Found | VVOSError]:
        # That the service answers at all; what is there is read from its root.
        probe = self.signed(Grant(provider="web", key="?", client_key="?", size=0))
        self.ask("POST", "/probe", probe, b"")
        return super().exists(request)

    @hookimpl
    def put_chunk(self, grant: Grant, chunk: Chunk) -> Receipt:
        checksum = self.ask("PUT", f"/put?number={chunk.number}", grant, chunk).body.decode()
        return Receipt(number=chunk.number, size=len(chunk), proof=checksum, checksum=checksum)

    @hookimpl
    def complete(self, grant: Grant, receipts: Sequence[Receipt]) -> Stored:
        checksum = receipts[0].checksum
        if grant.multipart:
            checksum = self.ask("POST", "/complete", grant, msgspec.json.encode(receipts)).body.decode()
        return Stored(key=grant.key, size=grant.size, checksum=checksum)

    @hookimpl
    def abort(self, grant: Grant) -> None:
        if self._settings is not None:
            super().abort(grant)
        else:
            self.ask("POST", "/abort", grant, b"")

    def ask(self, method: str, path: str, grant: Grant, body: bytes | Chunk) -> Answer:
        said = replace(grant, data={}, access_token="")
        headers = {
            "X-Grant": base64.b64encode(msgspec.json.encode(said)).decode(),
            "X-Mac": str(grant.data.get("mac")),
            "Content-Type": grant.type,
        }
        url = f"{grant.data.get('endpoint')}{path}"
        answer = self._http.send(method, url, headers=headers, body=body, what=f"storing {grant.key!r}")
        if answer.status != 200:
            raise self.translated(answer)
        return answer

    def translated(self, answer: Answer) -> VVOSError:
        told = msgspec.json.decode(answer.body or b"{}", type=dict[str, str])
        message = told.get("message", f"the service answered HTTP {answer.status}.")
        return from_code(told.get("code", ""), message, http_status=answer.status)


def _keeps(ask: Any) -> bool:
    return ask.renew is None or ask.metadata == ask.renew.metadata
