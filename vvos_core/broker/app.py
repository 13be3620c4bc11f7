"""The ASGI application: HTTP in, HTTP out. The service does the call, in threads, so that SQL and SDKs may block."""

from __future__ import annotations

import asyncio
import re
import time
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request as HttpRequest
from starlette.responses import Response as HttpResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from ..builtin.webhooks import Webhook
from ..calls import Calls
from ..errors import BadInput, NotFound, TooLarge, Unavailable, VVOSError
from ..loader import load
from . import openapi
from .delivery import Counts, Delivery
from .hooks import CallName
from .ledger import Ledger
from .logs import log
from .policies import find
from .profiles import Profiles
from .service import Broker, Request, Response, refuse, too_long

if TYPE_CHECKING:
    from ..profile import Config

THREADS = 16
"""How many calls are worked on at a time; the others wait. Each may hold one database connection."""

BODY_SECONDS = 30
"""For the body of a call to arrive whole."""

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_CALLS: tuple[CallName, ...] = ("gettoken", "exists", "notifier")


def create_app(
    config: Config,
    *,
    business: object | None = None,
    plugins: Sequence[object] = (),
    clock: Callable[[], float] = time.time,
) -> Starlette:
    """The broker that ``config`` describes, as an ASGI application that may be mounted under any path.

    Parameters
    ----------
    config: its ``[broker]`` table and its profiles.
    business: the object with the business's hooks (``hooks.BusinessSpec``), instead of the one that ``config`` names.
    plugins: objects with the hook ``notify``, told of finished uploads beside the configuration's webhooks. What one
        was told is remembered by its attribute ``name``, or else its class; keep it.
    clock: seconds since 1970, UTC.

    Raises ``ConfigError`` and ``PluginError``: whatever can be known to be wrong is said here, not in the first call.
    """
    settings = config.broker
    if business is None and settings.business:
        business = find(settings.business)
    broker = Broker(
        settings,
        profile_opener(config, plugins),
        open_ledger=lambda: open_ledger(config),
        default_profile=config.profile(settings.profile or None).name,
        business=business,
        clock=clock,
    )
    return application(broker)


def profile_opener(config: Config, plugins: Sequence[object] = ()) -> Callable[[str], Calls]:
    """What opens a profile of ``config`` by its name, with its listeners: the configured webhooks and ``plugins``."""
    listeners = (*map(Webhook, config.broker.webhooks), *plugins)
    return lambda name: load(config.profile(name), listeners)


def open_ledger(config: Config) -> Ledger:
    """The database that ``config`` names. Raises ``ConfigError``."""
    return Ledger(config.broker.database_url, connections=THREADS)


def deliver(config: Config) -> Counts:
    """Tell the configured webhooks what is due; return when nothing is. Raises ``ConfigError`` and ``Unavailable``."""
    profiles = Profiles(profile_opener(config), config.broker.profile)
    ledger = open_ledger(config)
    try:
        return Delivery(ledger.outbox, profiles, [webhook.name for webhook in config.broker.webhooks]).drain()
    finally:
        ledger.close()


def application(broker: Broker) -> Starlette:
    """The application over a broker that is made already."""
    threads = ThreadPoolExecutor(THREADS, thread_name_prefix="vvos-call")
    routes = []
    for name in _CALLS:
        endpoint = _Endpoint(broker, name, threads)
        routes += [Route(f"/{name}", endpoint, methods=["POST"]), Route(f"/{name}/", endpoint, methods=["POST"])]

    async def healthz(request: HttpRequest) -> HttpResponse:
        return _http(await anyio.to_thread.run_sync(broker.health), _request_id(request))

    async def description(request: HttpRequest) -> HttpResponse:
        root = request.scope.get("root_path", "")
        return _http(Response(status=200, body=openapi.document(root)), _request_id(request))

    routes += [Route("/healthz", healthz), Route("/openapi.json", description)]

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        # A mounted application gets no lifespan: its first call starts the delivery, which nothing stops, and it does
        # not sweep (``vvos broker sweep`` does).
        broker.start()
        with broker.sweeping.every(broker.settings.sweep_every):
            yield
        await anyio.to_thread.run_sync(broker.close)

    app = Starlette(
        routes=routes,
        middleware=_cors(broker.settings.cors_origins),
        exception_handlers={HTTPException: _no_route},
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    return app


class _Endpoint:
    """One call, as an ASGI application of its own: nothing that Starlette puts around a function is needed here."""

    def __init__(self, broker: Broker, name: CallName, threads: Executor) -> None:
        self._broker = broker
        self._name = name
        self._threads = threads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._answer(HttpRequest(scope, receive))
        await response(scope, receive, send)

    async def _answer(self, request: HttpRequest) -> HttpResponse:
        request_id = _request_id(request)
        self._broker.start()
        try:
            _media(request)
            body = await _body(request, self._broker.settings.max_body)
        except ClientDisconnect:
            return HttpResponse(status_code=400)  # nobody is there to read it
        except _Unsupported as error:
            return _early(self._name, request_id, error, 415)
        except TooLarge as error:
            return _early(self._name, request_id, error, 413)
        except TimeoutError:
            late = Unavailable(f"the body did not arrive within {BODY_SECONDS} seconds; send fewer keys at a time.")
            return _early(self._name, request_id, late, 408)
        call = Request(headers=_headers(request), body=body, request_id=request_id)
        loop = asyncio.get_running_loop()
        return _http(await loop.run_in_executor(self._threads, self._broker.answer, self._name, call), request_id)


class _Unsupported(BadInput):
    """415: a body that is not plain JSON."""


def _media(request: HttpRequest) -> None:
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media != "application/json":
        raise _Unsupported("Content-Type: expected application/json.")
    if request.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        raise _Unsupported("Content-Encoding: a compressed body is not taken; send it plain.")


async def _body(request: HttpRequest, most: int) -> bytes:
    """The body, of which never more than ``most`` bytes and one chunk are held, whatever Content-Length says."""
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and (len(declared) > 18 or int(declared) > most):
        raise TooLarge(too_long(most))
    body = bytearray()
    with anyio.fail_after(BODY_SECONDS):
        async for chunk in request.stream():
            body += chunk
            if len(body) > most:
                raise TooLarge(too_long(most))
    return bytes(body)


def _headers(request: HttpRequest) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in request.headers.items():
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def _request_id(request: HttpRequest) -> str:
    given = request.headers.get("x-request-id", "")
    return given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex


def _http(response: Response, request_id: str) -> HttpResponse:
    return HttpResponse(
        response.body,
        status_code=response.status,
        headers={**response.headers, "X-Request-ID": request_id, "Cache-Control": "no-store"},
        media_type="application/json",
    )


def _early(name: str, request_id: str, error: VVOSError, status: int) -> HttpResponse:
    log.info("answered", request_id=request_id, call=name, code=error.code, status=status)
    response = _http(refuse(error, status=status), request_id)
    response.headers["Connection"] = "close"  # the rest of the body is not read
    return response


async def _no_route(request: HttpRequest, error: Exception) -> HttpResponse:
    assert isinstance(error, HTTPException)  # it is registered for no other
    if error.status_code == 405:
        refusal: VVOSError = BadInput(f"{request.method} is not a method of this address; the calls are POST.")
    else:
        refusal = NotFound("there is no such address; the calls are gettoken, exists and notifier.")
    response = _http(refuse(refusal, status=error.status_code), _request_id(request))
    response.headers.update(error.headers or {})
    return response


def _cors(origins: tuple[str, ...]) -> list[Middleware]:
    if not origins:
        return []
    return [
        Middleware(
            CORSMiddleware,
            allow_origins=list(origins),
            allow_methods=["GET", "POST"],
            allow_headers=["*"],
            expose_headers=["X-Request-ID", "Retry-After"],
        )
    ]
