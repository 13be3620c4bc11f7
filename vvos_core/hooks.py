"""The contract: five hooks that a provider answers, and two that it may. Everything else is built on these.

``hookspec`` and ``hookimpl`` are pluggy's markers; a plugin decorates its methods with ``hookimpl``.
A batch hook answers one value for each item, in order: the answer, or the ``VVOSError`` of that item. It raises only
what concerns the whole batch. A hook never answers ``None``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import pluggy

from .errors import VVOSError
from .model import (
    Checksum,
    Chunk,
    DiagnoseRequest,
    Diagnosis,
    ExistsRequest,
    Found,
    Grant,
    Notified,
    NotifyRequest,
    Receipt,
    Rules,
    Stored,
    TokenRequest,
    Unfinished,
)

PROJECT = "vvos"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)

CONTRACT = ("token", "exists", "put_chunk", "complete", "notify")
"""The five that every provider implements."""


class Spec:
    """The hook specifications. A provider's methods have these names and arguments."""

    @hookspec(firstresult=True)
    def token(self, request: TokenRequest) -> Sequence[Grant | VVOSError]:  # type: ignore[empty-body]  # only its signature is read
        """Grant each file's upload: one key, one size, one type, until ``request.expires_at``, replacing or not.

        An ``Ask`` with ``renew`` gets a new grant for the same upload and key: never another size, type or key,
        never ``cover`` where the old one had none. With ``checksum`` the grant covers an object of that checksum only.
        Signs with ``request.issued_at`` and reads no clock. May be asked again with the same request.
        """

    @hookspec(firstresult=True)
    def exists(self, request: ExistsRequest) -> Sequence[Found | VVOSError]:  # type: ignore[empty-body]  # as above
        """Say what is there under each grant's key, and, where ``request.parts``, which parts its upload has stored.

        The parts also where an object is there, which the upload may replace. Of this upload only, never of another
        one of the same key; none of an upload that is gone.
        """

    @hookspec(firstresult=True)
    def put_chunk(self, grant: Grant, chunk: Chunk) -> Receipt:  # type: ignore[empty-body]  # as above
        """Store one chunk, from the grant alone. The same chunk again is harmless. Called from many threads at once.

        Raises ``TokenExpired``, ``Exists`` (nothing may be replaced, and something is there), ``SourceChanged``,
        ``Mismatch``, ``Denied``, ``NotFound`` (the upload is gone), ``Unavailable``.
        """

    @hookspec(firstresult=True)
    def complete(self, grant: Grant, receipts: Sequence[Receipt]) -> Stored:  # type: ignore[empty-body]  # as above
        """Turn the receipts, in order of their numbers, into an object. Again after a lost answer is harmless.

        For a grant that is not multipart the one ``put_chunk`` made the object, and this says what it made.
        """

    @hookspec
    def notify(self, request: NotifyRequest) -> Sequence[Notified | VVOSError]:  # type: ignore[empty-body]  # as above
        """Hear of finished objects.

        The plugin that answers for the storage (the provider, or the broker as a client sees it) is asked first:
        it verifies each object and answers its url, or why not. Then every other plugin is told of those that
        passed; it answers an empty list, and its failure keeps nobody else from being told. A broker tells them from
        its outbox, one object at a time, with its ``event``; again when they raise, but not after ``NotFound``.
        """

    @hookspec
    def abort(self, grant: Grant) -> None:
        """Optional. Forget an unfinished multipart upload and its parts; harmless when it is gone already.

        On the side that grants it works with the profile's keys, from key and upload id alone.
        """

    @hookspec
    def unfinished(self, key: str) -> Sequence[Unfinished]:  # type: ignore[empty-body]  # as above
        """Optional. List the unfinished multipart uploads of one server key, with the profile's keys.

        By it the broker finds what was begun in its name when it was killed before it could note the upload's id.
        """

    @hookspec(firstresult=True)
    def diagnose(self, request: DiagnoseRequest) -> Diagnosis:  # type: ignore[empty-body]  # as above
        """Optional. Say what the core cannot find out by uploading, and remove what was put under ``request.key``.

        What is wrong is a finding, not an error. Nothing is written but under that key and keys that begin with it.
        """


@runtime_checkable
class Provider(Protocol):
    """What the entry point of a provider names: a class, made with its settings, whose instances carry the hooks.

    ``Settings`` is a ``msgspec.Struct`` or a dataclass. The instance is made with validated settings on the side that
    grants, and with ``None`` on the side that only puts (``put_chunk``, ``complete``, ``abort`` work from the grant).
    Importing the module must not import the service's SDK.
    """

    Settings: Any

    @property
    def rules(self) -> Rules: ...

    @property
    def checksum(self) -> Checksum: ...
