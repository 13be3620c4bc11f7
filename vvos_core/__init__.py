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
    from .client import VVOS as VVOS
    from .client import Result as Result
    from .errors import (
        BadAnswer as BadAnswer,
    )
    from .errors import (
        BadInput as BadInput,
    )
    from .errors import (
        BadKey as BadKey,
    )
    from .errors import (
        BadToken as BadToken,
    )
    from .errors import (
        Cancelled as Cancelled,
    )
    from .errors import (
        ConfigError as ConfigError,
    )
    from .errors import (
        ContractBroken as ContractBroken,
    )
    from .errors import (
        Denied as Denied,
    )
    from .errors import (
        DuplicateKey as DuplicateKey,
    )
    from .errors import (
        Exists as Exists,
    )
    from .errors import (
        KeyNotGranted as KeyNotGranted,
    )
    from .errors import (
        Mismatch as Mismatch,
    )
    from .errors import (
        NotFound as NotFound,
    )
    from .errors import (
        PluginError as PluginError,
    )
    from .errors import (
        ProtocolError as ProtocolError,
    )
    from .errors import (
        RequestReused as RequestReused,
    )
    from .errors import (
        ServiceFailed as ServiceFailed,
    )
    from .errors import (
        SourceChanged as SourceChanged,
    )
    from .errors import (
        SourceError as SourceError,
    )
    from .errors import (
        SourceMissing as SourceMissing,
    )
    from .errors import (
        TokenExpired as TokenExpired,
    )
    from .errors import (
        TooLarge as TooLarge,
    )
    from .errors import (
        Unavailable as Unavailable,
    )
    from .errors import (
        VVOSError as VVOSError,
    )
    from .errors import (
        for_status as for_status,
    )
    from .errors import (
        from_code as from_code,
    )
    from .hooks import Provider as Provider
    from .hooks import hookimpl as hookimpl
    from .http import Answer as Answer
    from .http import Http as Http
    from .keys import check_key as check_key
    from .model import (
        GIB as GIB,
    )
    from .model import (
        MIB as MIB,
    )
    from .model import (
        Ask as Ask,
    )
    from .model import (
        Call as Call,
    )
    from .model import (
        Checksum as Checksum,
    )
    from .model import (
        Chunk as Chunk,
    )
    from .model import (
        ExistsRequest as ExistsRequest,
    )
    from .model import (
        Finished as Finished,
    )
    from .model import (
        Found as Found,
    )
    from .model import (
        Grant as Grant,
    )
    from .model import (
        Hasher as Hasher,
    )
    from .model import (
        Notified as Notified,
    )
    from .model import (
        NotifyRequest as NotifyRequest,
    )
    from .model import (
        Plan as Plan,
    )
    from .model import (
        Receipt as Receipt,
    )
    from .model import (
        Rules as Rules,
    )
    from .model import (
        Secret as Secret,
    )
    from .model import (
        Stored as Stored,
    )
    from .model import (
        TokenRequest as TokenRequest,
    )
    from .plan import plan_chunks as plan_chunks
    from .profile import ApiSettings as ApiSettings
    from .profile import Config as Config
    from .profile import Profile as Profile
    from .progress import FileProgress as FileProgress
    from .progress import Progress as Progress
    from .retry import RetryPolicy as RetryPolicy

_FACE = {
    "errors": (
        "BadAnswer BadInput BadKey BadToken Cancelled ConfigError ContractBroken Denied DuplicateKey Exists "
        "KeyNotGranted Mismatch NotFound PluginError ProtocolError RequestReused ServiceFailed SourceChanged "
        "SourceError SourceMissing TokenExpired TooLarge Unavailable VVOSError for_status from_code "
    ),
    "model": (
        "GIB MIB Ask Call Checksum Chunk ExistsRequest Finished Found Grant Hasher Notified NotifyRequest Plan "
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
