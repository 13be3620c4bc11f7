"""VVOS gets users' files into cloud storage; the business backend neither carries the bytes nor gives away its keys.

The map of the house, from the ground up; each floor imports only what stands above it in this list:

- `errors`, `model`, `keys`, `plan`, `grants`, `listing`, `mac`, `fingerprint`: every error, the frozen values, which
  keys may be used, how a size is cut, what all providers' grants have in common, many objects looked up at once,
  signatures of one key, what a file is known by
- `protocol/`: one upload as a state machine without I/O: states, events, commands, the table, `advance`
- `hooks`: the contract of five hooks that a provider answers
- `source`, `hashing`, `pace`, `tls`, `connection`, `route`, `http`, `egress`, `preflight`, `retry`: reading what is
  uploaded, its checksum on the way, how fast it is sent, TLS, what a stall is, the way to a server, one HTTP request,
  one that must not reach into the own network, what a browser may do, when to try again
- `journal/`: what survives a crash of the client
- `configuration/`, `profile`: ``vvos.toml`` and the environment → typed configuration
- `calls`, `loader`: the typed face of the hooks; finding a provider and building its plugin manager
- `builtin/`: plugins of the core's own: the broker as a client sees it, webhooks
- `entries`, `work`, `hands`, `engine`, `results`: what was added, doing what the machine says, the threads that put,
  what became of it
- `keeper`, `control`: what the journal keeps of a run; what a user wishes of it
- `destination`, `client`, `submission`, `unfinished`: where uploads go; `VVOS`, the client's face; a submit in the
  background; what earlier runs left
- `broker/`: the web API over the same hooks, as pure request → response and as an ASGI application
- `doctor/`: looks at a deployment, and says what to mend
- `cli/`, `testing/`: the command line; what plugin authors test with

What is named here is the public face, for applications and for plugins. A name is imported when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from .client import VVOS as VVOS
    from .errors import (
        BadAnswer as BadAnswer,
        BadInput as BadInput,
        BadKey as BadKey,
        BadToken as BadToken,
        Busy as Busy,
        Cancelled as Cancelled,
        ConfigError as ConfigError,
        ContractBroken as ContractBroken,
        Denied as Denied,
        DuplicateKey as DuplicateKey,
        Exists as Exists,
        JournalError as JournalError,
        KeyNotGranted as KeyNotGranted,
        Mismatch as Mismatch,
        NotFound as NotFound,
        PluginError as PluginError,
        ProtocolError as ProtocolError,
        RequestReused as RequestReused,
        ServiceFailed as ServiceFailed,
        SourceChanged as SourceChanged,
        SourceError as SourceError,
        SourceMissing as SourceMissing,
        TokenExpired as TokenExpired,
        TooLarge as TooLarge,
        Unauthenticated as Unauthenticated,
        Unavailable as Unavailable,
        VVOSError as VVOSError,
        for_status as for_status,
        from_code as from_code,
    )
    from .grants import (
        check_object as check_object,
        new_grant as new_grant,
        new_grants as new_grants,
        renewed_grant as renewed_grant,
    )
    from .hashing import HELD as HELD, Hashed as Hashed, held as held
    from .hooks import Provider as Provider, hookimpl as hookimpl
    from .http import Answer as Answer, Http as Http
    from .keys import check_key as check_key
    from .listing import Listed as Listed, Page as Page, absent as absent, proven as proven
    from .mac import Mac as Mac
    from .model import (
        GIB as GIB,
        MIB as MIB,
        Ask as Ask,
        Call as Call,
        Checksum as Checksum,
        Chunk as Chunk,
        DiagnoseRequest as DiagnoseRequest,
        Diagnosis as Diagnosis,
        Event as Event,
        ExistsRequest as ExistsRequest,
        Finding as Finding,
        Finished as Finished,
        Found as Found,
        Grant as Grant,
        Hasher as Hasher,
        Notified as Notified,
        NotifyRequest as NotifyRequest,
        Plan as Plan,
        Receipt as Receipt,
        Rules as Rules,
        Secret as Secret,
        Stored as Stored,
        TokenRequest as TokenRequest,
        Unfinished as Unfinished,
    )
    from .plan import plan_chunks as plan_chunks
    from .preflight import check_cors as check_cors
    from .profile import ApiSettings as ApiSettings, Config as Config, Profile as Profile
    from .progress import FileProgress as FileProgress, Progress as Progress
    from .results import Result as Result
    from .retry import RetryPolicy as RetryPolicy
    from .submission import Submission as Submission

_FACE = {
    "errors": (
        "BadAnswer BadInput BadKey BadToken Busy Cancelled ConfigError ContractBroken Denied DuplicateKey Exists "
        "JournalError KeyNotGranted Mismatch NotFound PluginError ProtocolError RequestReused ServiceFailed "
        "SourceChanged SourceError SourceMissing TokenExpired TooLarge Unavailable Unauthenticated VVOSError "
        "for_status from_code "
    ),
    "model": (
        "GIB MIB Ask Call Checksum Chunk DiagnoseRequest Diagnosis Event ExistsRequest Finding Finished "
        "Found Grant Hasher Notified NotifyRequest Plan Receipt Rules Secret Stored TokenRequest Unfinished "
    ),
    "keys": "check_key",
    "listing": "Listed Page absent proven",
    "mac": "Mac",
    "plan": "plan_chunks",
    "preflight": "check_cors",
    "grants": "new_grant new_grants renewed_grant check_object",
    "hashing": "HELD Hashed held",
    "hooks": "Provider hookimpl",
    "http": "Answer Http",
    "retry": "RetryPolicy",
    "profile": "ApiSettings Config Profile",
    "progress": "FileProgress Progress",
    "client": "VVOS",
    "results": "Result",
    "submission": "Submission",
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
