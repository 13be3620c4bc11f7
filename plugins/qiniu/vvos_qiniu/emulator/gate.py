"""Stands at the door: sees what kind of request it is, has it authenticated, and records it."""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from . import errors
from .blobs import BlobStore
from .blocks import Blocks
from .buckets import Buckets
from .coding import decoded, entry
from .download import Download
from .errors import KodoError
from .finish import Finish
from .form import Form
from .manage import Manage
from .messages import Request, Response, answer
from .parts import Parts
from .store import Store
from .tokens import Keys

_log = logging.getLogger("vvos_qiniu.emulator")
_PARTS = re.compile(r"/buckets/([^/]+)/objects/([^/]+)/uploads(?:/([^/]+)(?:/([^/]+))?)?")
_SECRET = ("authorization",)
_CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "X-Log, X-Reqid",
    "Access-Control-Max-Age": "2592000",
}
_PREFLIGHT = {
    "Access-Control-Allow-Methods": "OPTIONS, HEAD, GET, POST, PUT, DELETE",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, Content-Md5, X-File-Name, X-File-Size, X-File-Type",
}

_ACTIONS = {"stat": "Stat", "batch": "Stat", "delete": "Delete", "buckets": "Buckets"}
"""What of the management a user needs a right for (Qiniu, "Kodo IAM actions"; the name of the last one [?])."""


@dataclass(frozen=True)
class Record:
    """One line of the access log. ``query`` and ``headers`` are without credentials, ``error`` is the text if any."""

    method: str
    path: str
    query: str
    status: int
    bytes_in: int
    operation: str
    bucket: str
    key: str
    error: str
    headers: tuple[tuple[str, str], ...]


@dataclass
class _Seen:
    """What became known of a request while it was answered."""

    operation: str = "Refused"
    bucket: str = ""
    key: str = ""
    error: str = ""


class Gate:
    """Answers requests; one per emulator."""

    def __init__(
        self,
        *,
        store: Store,
        blobs: BlobStore,
        keys: Keys,
        bucket: str,
        clock: Callable[[], float],
        log: Callable[[Record], None],
        flaws: Collection[str] = (),
    ) -> None:
        finish = Finish(store, keys, clock)
        self.blocks = Blocks(blobs, finish, clock)
        self._store = store
        self._keys = keys
        self._log = log
        self._flaws = flaws
        self._form = Form(blobs, keys, finish)
        self._parts = Parts(blobs, finish, clock)
        self._manage = Manage(store, clock)
        self._buckets = Buckets(store, keys.knows)
        self._download = Download(store, keys, bucket)

    def add_user(self, rights: Mapping[str, str]) -> tuple[str, str]:
        """Access and secret key of a user who may do no more than these."""
        return self._keys.add_user(rights)

    def reset(self) -> None:
        """Forget every unfinished upload, and the users."""
        self.blocks.reset()
        self._parts.reset()
        self._keys.forget_users()

    def __call__(self, request: Request) -> Response:
        """Answer one request; never raises."""
        seen = _Seen()
        try:
            response = self._answer(request, seen)
        except KodoError as refusal:
            seen.error = refusal.text
            response = answer({"error": refusal.text}, refusal.status)
        except Exception:  # noqa: BLE001  # a fault of ours is the answer 599, and its trace is in the log
            _log.exception("%s %s failed", request.method, request.path)
            seen.error = "internal error"
            response = answer({"error": seen.error}, 599)
        # Without it the SDKs take the answer for somebody else's, and drop it.
        response.headers["X-Reqid"] = secrets.token_urlsafe(12)
        response.headers["X-Log"] = "X-Log"
        if "cors" not in self._flaws:
            response.headers.update(_CORS)
        self._log(_record(request, response.status, seen))
        return response

    def _answer(self, request: Request, seen: _Seen) -> Response:
        if request.method == "OPTIONS":
            seen.operation = "Preflight"
            return Response(200, dict(_PREFLIGHT))
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        if kind in ("QBox", "Qiniu"):
            return self._managed(request, seen)
        if kind == "UpToken" or _is_upload(request.path):
            return self._upload(request, seen, token.strip() if kind == "UpToken" else "")
        if request.method == "POST" and request.path in ("", "/"):
            seen.operation = "Form"
            seen.bucket, seen.key, response = self._form(request)
            return response
        if request.path == "/v4/query" and request.method == "GET":
            seen.operation = "Query"
            return self._buckets.query(request)
        if request.method in ("GET", "HEAD"):
            seen.operation = "Download"
            seen.key, response = self._download(request)
            return response
        raise errors.no_token()

    def _upload(self, request: Request, seen: _Seen, token: str) -> Response:
        policy = self._keys.upload_policy(token)
        seen.bucket = policy.bucket
        self._store.bucket(policy.bucket)
        match = _PARTS.fullmatch(request.path)
        if match is not None:
            bucket, name, upload, number = match.groups()
            if bucket != policy.bucket:
                raise KodoError(403, "bucket doesn't match with scope")  # [?] the text
            key = None if name == "~" else decoded(name)
            seen.key = key or ""
            if key is not None or not policy.save_key:
                policy.check_key(key)
            if upload is None and request.method == "POST":
                seen.operation = "InitParts"
                return self._parts.begin(policy, key)
            if upload and number and request.method == "PUT":
                seen.operation = "UploadPart"
                return self._parts.put(request, policy, key, upload, number)
            if upload and number is None:
                if request.method == "POST":
                    seen.operation = "CompleteParts"
                    seen.key, response = self._parts.complete(request, policy, key, upload)
                    return response
                if request.method == "GET":
                    seen.operation = "ListParts"
                    self._keys.require(token, "ListParts")
                    return self._parts.listing(request, policy, key, upload)
                if request.method == "DELETE":
                    seen.operation = "AbortParts"
                    self._keys.require(token, "AbortMultipartUpload")
                    if "abort" in self._flaws:
                        return answer({})
                    return self._parts.abort(policy, key, upload)
            raise KodoError(405, "method not allowed")
        if request.method != "POST":
            raise KodoError(405, "method not allowed")
        first, *rest = request.path.strip("/").split("/")
        if first == "mkblk" and len(rest) == 1:
            seen.operation = "MakeBlock"
            return self.blocks.mkblk(request, rest[0])
        if first == "bput" and len(rest) == 2:
            seen.operation = "PutChunk"
            return self.blocks.bput(request, rest[0], rest[1])
        if first == "mkfile" and rest:
            seen.operation = "MakeFile"
            seen.key, response = self.blocks.mkfile(request, policy, rest[0], rest[1:])
            return response
        raise KodoError(404, "no such api")

    def _managed(self, request: Request, seen: _Seen) -> Response:
        body = request.whole_body()
        self._keys.check_management(request, body)
        if request.method not in ("GET", "POST"):
            raise KodoError(405, "method not allowed")
        first, *rest = request.path.strip("/").split("/")
        signed = request.headers["Authorization"].partition(" ")[2]
        if first in _ACTIONS:
            key = entry(rest[0])[1] if first == "delete" and rest else ""
            self._keys.require(signed, _ACTIONS[first], key)
        if self._manage.knows(first):
            seen.operation = first
            return self._manage.one([first, *rest])
        seen.operation = first or "Refused"
        if request.path == "/batch" and request.method == "POST":
            return self._manage.batch(body)
        if request.path == "/list":
            return self._manage.listing(request.params())
        answered = self._buckets.find(request.path)
        if answered is None:
            raise KodoError(404, "no such api")
        return answered(request)


def _is_upload(path: str) -> bool:
    return path.startswith(("/mkblk/", "/bput/", "/mkfile/")) or _PARTS.fullmatch(path) is not None


def _record(request: Request, status: int, seen: _Seen) -> Record:
    pieces = [piece for piece in request.query.split("&") if piece.partition("=")[0] != "token"]
    return Record(
        method=request.method,
        path=request.path,
        query="&".join(pieces),
        status=status,
        bytes_in=request.body.received,
        operation=seen.operation,
        bucket=seen.bucket,
        key=seen.key,
        error=seen.error,
        headers=tuple((name, value) for name, value in request.headers.items() if name.lower() not in _SECRET),
    )
