"""The broker without HTTP: a request value in, a response value out, and nothing but the stated errors between."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import structlog
from msgspec import UNSET, Struct, field

from ..calls import Calls
from ..errors import Denied, TooLarge, Unavailable, VVOSError
from . import checks
from .delivery import Counts, Delivery
from .finishing import Finishing, Looking
from .granting import Granting, Refused
from .hooks import Access, BusinessCall, CallName
from .ledger import Ledger
from .leftovers import Leftovers
from .logs import log, shown
from .messages import Exists, Failed, GetToken, Health, Notifier, Refusal, encode, read
from .policies import Business
from .profiles import Profiles
from .seal import Opened, Seal
from .sweeping import Sweeping

if TYPE_CHECKING:
    from ..profile import BrokerSettings


class Request(Struct, frozen=True, kw_only=True):
    """One call, whatever carried it."""

    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes
    request_id: str
    """Names the call in the log, and in the answer."""


class Response(Struct, frozen=True, kw_only=True):
    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class Broker:
    """The three calls. Threads share it; other brokers with the same seal keys and database serve the same tokens.

    Parameters
    ----------
    settings: the ``[broker]`` table.
    open_profile: loads a profile by name; the default one now, the others when they are used.
    open_ledger: opens the database; called last, when all else is found good.
    default_profile: serves what neither the settings nor the business sends elsewhere.
    business: an object with the hooks of ``hooks.BusinessSpec``, or None.
    clock: seconds since 1970, UTC.

    Raises ``ConfigError`` and ``PluginError`` for settings that no broker can be made from.
    """

    def __init__(
        self,
        settings: BrokerSettings,
        open_profile: Callable[[str], Calls],
        *,
        open_ledger: Callable[[], Ledger],
        default_profile: str = "",
        business: object | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.settings = settings
        self._clock = clock
        self._seal = Seal(settings.seal_keys, settings.ttl)
        self._business = Business(business, settings.access, settings.naming, settings.prefix)
        profiles = Profiles(open_profile, settings.profile or default_profile)
        profiles.calls(profiles.default)  # a mistake in it shows now
        self._ledger = ledger = open_ledger()
        leftovers = Leftovers(ledger)
        self._granting = Granting(settings, self._business, profiles, self._seal, ledger, leftovers, clock)
        self.sweeping = Sweeping(profiles, leftovers, settings.sweep_after, clock)
        self._looking = Looking(profiles)
        self._delivery = Delivery(ledger.outbox, profiles, profiles.calls(profiles.default).listeners, clock=clock)
        self._finishing = Finishing(profiles, ledger, self._delivery.wake)
        self._calls: dict[CallName, Callable[[Request, dict[str, Any]], Any]] = {
            "gettoken": self._gettoken,
            "exists": self._exists,
            "notifier": self._notifier,
        }

    def start(self) -> None:
        """Tell listeners in the background, also of what was recorded before. Harmless when it is started already."""
        self._delivery.start()

    def deliver(self) -> Counts:
        """Tell listeners what is due now, where the broker is not started. Raises ``Unavailable``."""
        return self._delivery.drain()

    def close(self) -> None:
        """Stop telling listeners, and give the database's connections back."""
        self._delivery.stop()
        self._ledger.close()

    def answer(self, name: CallName, request: Request) -> Response:
        """Answer one call. Never raises; logs one line."""
        facts: dict[str, Any] = {"call": name}
        start = time.perf_counter()
        with structlog.contextvars.bound_contextvars(request_id=request.request_id):
            try:
                if len(request.body) > self.settings.max_body:
                    raise TooLarge(too_long(self.settings.max_body))
                answer = self._calls[name](request, facts)
                facts |= {"code": answer.code, "failed": len(answer.failed or ())}
                response = Response(status=200, body=encode(answer))
            except Refused as error:
                response = refuse(shown(error.first), error.failed)
                facts |= {"code": error.first.code, "failed": len(error.failed)}
            except VVOSError as error:
                response = refuse(shown(error))
                facts["code"] = error.code
            except Exception:  # noqa: BLE001  # the last resort: a mistake of ours, or of a plugin
                log.exception("fault", call=name)
                response = internal(request.request_id)
                facts["code"] = "INTERNAL"
            milliseconds = round((time.perf_counter() - start) * 1000, 2)
            log.info("answered", **facts, status=response.status, ms=milliseconds)
        return response

    def health(self) -> Response:
        """Whether the database can be reached."""
        try:
            self._ledger.ping()
        except Unavailable:
            return Response(status=503, body=encode(Health(status="unavailable", database="unreachable")))
        return Response(status=200, body=encode(Health(status="ok", database="ok")))

    def _gettoken(self, request: Request, facts: dict[str, Any]) -> Any:
        message, params = read(request.body, GetToken)
        facts["keys"] = len(message.keys)
        request_id = self._granting.check(message)
        opened = None
        if message.access_token:
            opened = self._seal.open(message.access_token, self._clock(), renewing=True)
            request_id = opened.request_id
        call = BusinessCall(
            call="gettoken",
            headers=request.headers,
            params=params,
            keys=tuple(message.keys),
            request_id=request_id,
            renewal=opened is not None,
            cover=message.cover is True,
            client=message.client,
            now=self._clock(),
        )
        access = self._authorize(call, facts, opened)
        if opened is not None:
            return self._granting.renew(message, opened, call)
        return self._granting.grant(message, call, access)

    def _exists(self, request: Request, facts: dict[str, Any]) -> Any:
        message, params = read(request.body, Exists)
        facts["keys"] = len(message.keys)
        checks.count(message.keys, {}, self.settings.max_keys)
        opened = self._seal.open(message.access_token, self._clock())
        grants = checks.granted(opened, message.keys)
        call = self._later("exists", request, params, opened, tuple(grant.client_key for grant in grants))
        self._authorize(call, facts, opened)
        return self._looking.look(message, grants, call)

    def _notifier(self, request: Request, facts: dict[str, Any]) -> Any:
        message, params = read(request.body, Notifier)
        facts["keys"] = len(message.keys)
        checks.count(message.keys, message.files, self.settings.max_keys)
        for key, said in message.files.items():
            checks.finished(key, said)
        opened = self._seal.open(message.access_token, self._clock())
        grants = checks.granted(opened, message.keys)
        call = self._later("notifier", request, params, opened, tuple(grant.client_key for grant in grants))
        self._authorize(call, facts, opened)
        return self._finishing.finish(message, opened, grants, call)

    def _later(
        self, name: CallName, request: Request, params: dict[str, Any], opened: Opened, keys: tuple[str, ...]
    ) -> BusinessCall:
        """A call on what was granted before, as the business sees it."""
        return BusinessCall(
            call=name,
            headers=request.headers,
            params=params,
            keys=keys,
            request_id=opened.request_id,
            client=opened.client,
            now=self._clock(),
        )

    def _authorize(self, call: BusinessCall, facts: dict[str, Any], opened: Opened | None) -> Access:
        access = self._business.authorize(call)
        facts["who"] = access.who
        if opened is not None and opened.who != access.who:
            raise Denied("accessToken: it was given to somebody else.")
        return access


def refuse(error: VVOSError, failed: list[Failed] | None = None, status: int = 0) -> Response:
    """The answer that is ``error``; ``status`` where HTTP knows a better one than the error."""
    headers = {}
    if error.retry_after is not None:
        headers["Retry-After"] = str(math.ceil(error.retry_after))
    status = status or error.http_status
    if status == 401:
        headers["WWW-Authenticate"] = "VVOS"  # RFC 9110, section 11.6.1: a 401 names a scheme
    body = encode(Refusal(code=error.code, message=error.message, failed=failed or UNSET))
    return Response(status=status, body=body, headers=headers)


def internal(request_id: str) -> Response:
    """The answer when something failed that should not: no details but the id under which the log has them."""
    message = f"the broker failed; its log says why, under request id {request_id}."
    return Response(status=500, body=encode(Refusal(code="INTERNAL", message=message)))


def too_long(most: int) -> str:
    return f"the body has more than {most} bytes; send fewer keys at a time."
