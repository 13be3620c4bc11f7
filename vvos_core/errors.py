"""Every error that VVOS raises, each with a stable code.

    VVOSError                       code              retryable  http
    ├─ ConfigError                  CONFIG                no      500   a mistake in the configuration
    ├─ PluginError                  PLUGIN                no      500   a provider is missing, broken or claimed twice
    │  └─ ContractBroken            CONTRACT              no      500   a plugin's hook broke the contract
    ├─ ProtocolError                PROTOCOL              no      500   an event that the state machine does not know
    ├─ BadInput                     BAD_REQUEST           no      400   a value that cannot be used; says which
    │  ├─ BadKey                    BAD_KEY               no      400   a key that no provider may be given
    │  ├─ DuplicateKey              DUPLICATE_KEY         no      400   two files of one batch claim one key
    │  ├─ TooLarge                  TOO_LARGE             no      413   more bytes, keys or size than allowed
    │  └─ RequestReused             REQUEST_REUSED        no      409   a requestToken was used before, for other files
    ├─ SourceError                  SOURCE                no      400   a file cannot be read
    │  ├─ SourceMissing             SOURCE_MISSING        no      400   a path that is not there, or is empty of files
    │  └─ SourceChanged             SOURCE_CHANGED        no      409   a file changed while it was read
    ├─ Denied                       DENIED                no      403   somebody said no
    │  ├─ Unauthenticated           UNAUTHENTICATED       no      401   the caller did not show who it is
    │  ├─ BadToken                  BAD_TOKEN             no      401   a token that was not issued here, or was altered
    │  ├─ TokenExpired              TOKEN_EXPIRED         no      401   a token that was good once; may be renewed
    │  └─ KeyNotGranted             KEY_NOT_GRANTED       no      403   a key that is not in the token
    ├─ Exists                       EXISTS                no      409   an object is there and may not be replaced
    ├─ NotFound                     NOT_FOUND             no      404   the object or the unfinished upload is not there
    ├─ Mismatch                     CHECKSUM_MISMATCH     no      422   what is stored is not what was read
    ├─ Unavailable                  UNAVAILABLE           yes     503   the other side did not answer, or not in time
    │  └─ ServiceFailed             SERVICE_FAILED        yes     502   the other side answered that it failed
    ├─ BadAnswer                    BAD_ANSWER            no      502   an answer that is not of the protocol
    ├─ JournalError                 JOURNAL               no      500   the client's journal cannot be used
    ├─ Busy                         BUSY                  no      409   somebody else is uploading this just now
    └─ Cancelled                    CANCELLED             no      499   the user stopped it

``retryable`` says whether the same call, made again later, may succeed. The engine asks nothing else.
A message is one sentence for a person: what was wrong, where, and what to do; never a secret.
"""

from __future__ import annotations

from typing import ClassVar


class VVOSError(Exception):
    """The root. ``str(error)`` is the sentence; ``code`` is stable across releases.

    Parameters
    ----------
    message: one sentence for a person, without secrets.
    key: the key that the error is about, where there is one.
    retry_after: seconds that the other side asked to wait before another try.
    """

    code: str = "ERROR"
    retryable: ClassVar[bool] = False
    http_status: ClassVar[int] = 500

    def __init__(self, message: str, *, key: str | None = None, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.key = key
        self.retry_after = retry_after

    def __str__(self) -> str:
        return self.message

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.message!r})"


class ConfigError(VVOSError):
    code = "CONFIG"


class PluginError(VVOSError):
    code = "PLUGIN"


class ContractBroken(PluginError):
    code = "CONTRACT"


class ProtocolError(VVOSError):
    code = "PROTOCOL"


class BadInput(VVOSError):
    code = "BAD_REQUEST"
    http_status = 400


class BadKey(BadInput):
    code = "BAD_KEY"


class DuplicateKey(BadInput):
    code = "DUPLICATE_KEY"


class TooLarge(BadInput):
    code = "TOO_LARGE"
    http_status = 413


class RequestReused(BadInput):
    code = "REQUEST_REUSED"
    http_status = 409


class SourceError(VVOSError):
    code = "SOURCE"
    http_status = 400


class SourceMissing(SourceError):
    code = "SOURCE_MISSING"


class SourceChanged(SourceError):
    code = "SOURCE_CHANGED"
    http_status = 409


class Denied(VVOSError):
    code = "DENIED"
    http_status = 403


class Unauthenticated(Denied):
    code = "UNAUTHENTICATED"
    http_status = 401


class BadToken(Denied):
    code = "BAD_TOKEN"
    http_status = 401


class TokenExpired(Denied):
    code = "TOKEN_EXPIRED"
    http_status = 401


class KeyNotGranted(Denied):
    code = "KEY_NOT_GRANTED"


class Exists(VVOSError):
    code = "EXISTS"
    http_status = 409


class NotFound(VVOSError):
    code = "NOT_FOUND"
    http_status = 404


class Mismatch(VVOSError):
    code = "CHECKSUM_MISMATCH"
    http_status = 422


class Unavailable(VVOSError):
    code = "UNAVAILABLE"
    retryable = True
    http_status = 503


class ServiceFailed(Unavailable):
    code = "SERVICE_FAILED"
    http_status = 502


class BadAnswer(VVOSError):
    code = "BAD_ANSWER"
    http_status = 502


class JournalError(VVOSError):
    code = "JOURNAL"


class Busy(VVOSError):
    code = "BUSY"
    http_status = 409


class Cancelled(VVOSError):
    code = "CANCELLED"
    http_status = 499


def _tree(root: type[VVOSError]) -> dict[str, type[VVOSError]]:
    found = {root.code: root}
    for child in root.__subclasses__():
        found.update(_tree(child))
    return found


BY_CODE = _tree(VVOSError)
"""Each code and its class: how an error that travelled over the web API gets its class back."""


def from_code(
    code: str,
    message: str,
    *,
    key: str | None = None,
    http_status: int = 500,
    retry_after: float | None = None,
) -> VVOSError:
    """The error that ``code`` names, or, where the other side uses codes of its own, the nearest by HTTP status."""
    cls = BY_CODE.get(code)
    if cls is None:
        cls = for_status(http_status)
    error = cls(message, key=key, retry_after=retry_after)
    if code:
        error.code = code
    return error


def for_status(http_status: int) -> type[VVOSError]:
    """The class that fits an HTTP status (RFC 9110, section 15) when nothing better is known."""
    if http_status in _BY_STATUS:
        return _BY_STATUS[http_status]
    if http_status >= 500:
        return ServiceFailed
    return BadInput if http_status >= 400 else BadAnswer


_BY_STATUS: dict[int, type[VVOSError]] = {
    401: BadToken,
    403: Denied,
    404: NotFound,
    408: Unavailable,
    409: Exists,
    412: Exists,
    413: TooLarge,
    429: Unavailable,
    503: Unavailable,
    504: Unavailable,
}
