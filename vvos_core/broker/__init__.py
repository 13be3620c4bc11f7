"""The broker: the web API over the provider hooks, for the business that holds the keys.

    messages    the JSON of the three calls, typed
    hooks       what the business may decide: who this is, and how and where a file is kept
    policies    the built-in decisions, and how the business's own are found
    seal        the accessToken: the whole permission, encrypted
    schema      the tables
    group_commit  several calls' writes in one transaction
    ledger      what was granted and what was notified, once
    leftovers   what may be left behind at the providers
    sweeping    aborts it
    checks      what every call refuses before anybody is asked
    profiles    the profiles that are served
    service     request → response, for all calls
    asking      what the providers are asked for the files of a gettoken
    granting    what gettoken does
    outbox      what listeners are still to be told
    delivery    tells them
    finishing   what exists and notifier do
    logs        the log, and what of an error a client may see
    app         the ASGI application
    openapi     its description, made from the messages
    patience    clients that are slow or many
    serve       runs it

Importing this package, or ``serve``, needs none of what the extra ``broker`` installs; ``create_app`` and ``serve`` do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..errors import ConfigError

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from ..profile import Config

__all__ = ["create_app", "extra"]

_EXTRA = frozenset({"anyio", "cryptography", "httptools", "sqlalchemy", "starlette", "structlog", "uvicorn"})


def create_app(config: Config, *, business: object | None = None, plugins: Sequence[object] = ()) -> Starlette:
    """The broker as an ASGI application, to be run or to be mounted in another; see ``app.create_app``.

    Raises ``ConfigError``, also when the extra ``broker`` is not installed.
    """
    with extra():
        from . import app
    return app.create_app(config, business=business, plugins=plugins)


@contextmanager
def extra() -> Iterator[None]:
    """Around imports of what the extra installs: says so when it is missing. Raises ``ConfigError``."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _EXTRA:
            raise
        raise ConfigError(
            f"the broker needs the package {error.name!r}, which is missing; install vvos[broker]."
        ) from None
