"""Every request's way: where it goes, who sent it, whether they may, what it does; and the record of it."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from vvos_core.testing.server import BodyCut, BodyStalled, Request, Response

from . import cors, rights
from .address import locate
from .call import Call
from .credentials import Credential, Credentials
from .errors import NotModified, OssError
from .policy import parse
from .post import post
from .router import Router
from .signatures import Verifier
from .store import Store, check_key
from .sts import Sts

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Record:
    """One request that was answered."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    """Names in lower case."""
    operation: str
    """``PutObject`` …; empty when it was refused before that was known."""
    status: int
    code: str
    """The error's code; empty for none."""
    received: int
    """Bytes of the body that were read."""


class Gate:
    """The application that the server serves."""

    def __init__(
        self,
        *,
        store: Store,
        credentials: Credentials,
        region: str,
        clock: Callable[[], float],
        cnames: Mapping[str, str],
        log: Callable[[Record], None],
        flaws: Collection[str] = (),
    ) -> None:
        self._store = store
        self._credentials = credentials
        self._region = region
        self._clock = clock
        self._cnames = cnames
        self._log = log
        self._flaws = flaws
        self._verifier = Verifier(credentials, region, flaws)
        self._router = Router(region)
        self._sts = Sts(credentials, clock)

    def __call__(self, request: Request) -> Response:
        request_id = secrets.token_hex(12).upper()
        call = Call(request, "", "", request.params(), self._store, request_id, self._clock)
        call.keeps_what_is_there = "overwrite" not in self._flaws
        code = ""
        try:
            response = self._answer(call)
        except NotModified:
            response = Response(304)
        except OssError as error:
            code = error.code
            response = self._refusal(error, call)
        except (BodyCut, BodyStalled):
            code = "RequestTimeout"
            response = self._refusal(OssError(code), call)
        except Exception:  # noqa: BLE001  # a server answers whatever happens to it
            _log.exception("the emulator failed at %s %s", request.method, request.path)
            code = "InternalError"
            response = self._refusal(OssError(code), call)
        response.set("x-oss-request-id", request_id)
        response.set("x-oss-server-time", "1")
        home = self._store.buckets.get(call.bucket)
        if home is not None and request.method != "OPTIONS":
            response.headers += cors.cors_headers(request, home.settings.get("cors"))
        headers = {name: request.headers.get(name) or "" for name in request.headers.names()}
        self._log(
            Record(
                method=request.method,
                path=request.path,
                query=request.query,
                headers=headers,
                operation=call.operation,
                status=response.status,
                code=code,
                received=request.body.received,
            )
        )
        return response

    def add_user(self, policy: str) -> Credential:
        """A RAM user who may do what the policy allows. Raises ``PolicyGrammar``."""
        return self._credentials.add(parse(policy))

    def reset(self) -> None:
        """Forget temporary credentials and which calls of STS were made."""
        self._credentials.reset()
        self._sts.reset()

    def _answer(self, call: Call) -> Response:
        request = call.request
        call.bucket, call.key = locate(request, self._cnames)
        if not call.bucket and Sts.is_for(request):
            call.operation = "AssumeRole"
            return self._sts.answer(request, call.request_id)
        if request.method == "OPTIONS":
            call.operation = "OptionObject"
            return cors.preflight(request, self._store.bucket(call.bucket).settings.get("cors"))
        if request.method == "POST" and call.bucket and not call.key and "delete" not in call.params:
            call.operation = "PostObject"
            self._store.bucket(call.bucket)
            return post(call, self._credentials, self._region, lambda caller: self._known(call, caller))
        self._known(call, self._verifier.verify(request, call.bucket, call.key, self._clock()))
        if call.key:
            check_key(call.key)
        operation = self._router.find(call)
        call.operation = operation.name
        if operation.action:
            call.may(operation.action, call.bucket, call.key)
        if call.bucket and operation.name not in ("PutBucket", "PutBucketACL"):
            self._store.bucket(call.bucket)
        if operation.name == "AbortMultipartUpload" and "abort" in self._flaws:
            return Response(204)
        return operation.run(call)

    def _known(self, call: Call, caller: Credential | None) -> None:
        context = {"acs:sourceip": "127.0.0.1", "acs:securetransport": "false"}
        context |= {f"oss:{name}": call.params[name] for name in ("prefix", "delimiter") if name in call.params}
        call.caller = caller
        call.may = lambda action, bucket, key: rights.check(self._store, caller, action, bucket, key, context)

    def _refusal(self, error: OssError, call: Call) -> Response:
        return error.response(call.request.method, call.host, call.request_id)
