"""VVOS gets users' files into cloud storage; the business backend neither carries the bytes nor gives away its keys.

The map of the house, from the ground up; each floor imports only what stands above it in this list:

- `errors`, `model`, `keys`, `plan`: every error, the frozen values, which keys may be used, how a size is cut
- `protocol/`: one upload as a state machine without I/O: states, events, commands, the table, `advance`
- `hooks`: the contract of five hooks that a provider answers
- `source`, `http`, `retry`: reading what is uploaded, one HTTP request, when to try again
- `configuration/`, `profile`: ``vvos.toml`` and the environment → typed configuration
- `calls`, `loader`: the typed face of the hooks; finding a provider and building its plugin manager
- `builtin/`: plugins of the core's own: the broker as a client sees it
- `work`, `engine`, `client`: doing what the machine says, and `VVOS`, the client's face
- `broker/`: the web API over the same hooks, as pure request → response and as an ASGI application
- `cli/`, `testing/`: the command line; what plugin authors test with

What is named here is the public face, for applications and for plugins. A name is imported when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from .client import VVOS, Result
    from .errors import (
        BadAnswer,
        BadInput,
        BadKey,
        BadToken,
        Cancelled,
        ConfigError,
        ContractBroken,
        Denied,
        DuplicateKey,
        Exists,
        KeyNotGranted,
        Mismatch,
        NotFound,
        PluginError,
        ProtocolError,
        RequestReused,
        ServiceFailed,
        SourceChanged,
        SourceError,
        SourceMissing,
        TokenExpired,
        TooLarge,
        Unavailable,
        VVOSError,
    )
    from .hooks import Provider, hookimpl
    from .http import Answer, Http
    from .keys import check_key
    from .model import (
        Ask,
        Call,
        Checksum,
        Chunk,
        ExistsRequest,
        Finished,
        Found,
        Grant,
        Hasher,
        Notified,
        NotifyRequest,
        Plan,
        Receipt,
        Rules,
        Secret,
        Stored,
        TokenRequest,
    )
    from .plan import plan_chunks
    from .profile import ApiSettings, Config, Profile
    from .progress import FileProgress, Progress
    from .retry import RetryPolicy

_FACE = {
    "errors": (
        "BadAnswer BadInput BadKey BadToken Cancelled ConfigError ContractBroken Denied DuplicateKey Exists "
        "KeyNotGranted Mismatch NotFound PluginError ProtocolError RequestReused ServiceFailed SourceChanged "
        "SourceError SourceMissing TokenExpired TooLarge Unavailable VVOSError "
    ),
    "model": (
        "Ask Call Checksum Chunk ExistsRequest Finished Found Grant Hasher Notified NotifyRequest Plan "
        "Receipt Rules Secret Stored TokenRequest "
    ),
    "keys": "check_key",
    "plan": "plan_chunks",
    "hooks": "Provider hookimpl",
    "http": "Answer Http",
    "retry": "RetryPolicy",
    "profile": "ApiSettings Config Profile",
    "progress": "FileProgress Progress",
    "client": "VVOS Result",
}
_MODULE_OF = {name: module for module, names in _FACE.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{_MODULE_OF[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULE_OF})
