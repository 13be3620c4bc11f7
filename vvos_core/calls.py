"""The typed face of the hooks, and the only file that calls them: what a plugin answers is checked here, once."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import pluggy
from msgspec.structs import replace

from .errors import ContractBroken, VVOSError
from .hooks import Provider
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

log = logging.getLogger(__name__)
T = TypeVar("T")


class Store:
    """The storing half of one provider: what works from a grant alone."""

    def __init__(self, name: str, manager: pluggy.PluginManager, plugin: Provider) -> None:
        self.name = name
        self.plugin = plugin
        self._hook = manager.hook

    @property
    def rules(self) -> Rules:
        return self.plugin.rules

    @property
    def checksum(self) -> Checksum:
        return self.plugin.checksum

    def put_chunk(self, grant: Grant, chunk: Chunk) -> Receipt:
        """Store one chunk. Raises any ``VVOSError``; see ``hooks.Spec.put_chunk``."""
        answer = _ask(self.name, "put_chunk", self._hook.put_chunk, grant=grant, chunk=chunk)
        receipt = _of_type(self.name, "put_chunk", answer, Receipt)
        if receipt.number != chunk.number or receipt.size != len(chunk):
            raise ContractBroken(
                f"{self.name}: put_chunk answered a receipt for chunk {receipt.number} of {receipt.size} bytes, "
                f"asked for chunk {chunk.number} of {len(chunk)}."
            )
        return receipt

    def complete(self, grant: Grant, receipts: Sequence[Receipt]) -> Stored:
        """Make the object. Raises any ``VVOSError``; see ``hooks.Spec.complete``."""
        answer = _ask(self.name, "complete", self._hook.complete, grant=grant, receipts=receipts)
        return _of_type(self.name, "complete", answer, Stored)

    def abort(self, grant: Grant) -> None:
        """Forget an unfinished upload, where the provider can."""
        _ask(self.name, "abort", self._hook.abort, grant=grant)


class Calls:
    """The hooks of one profile.

    ``answering`` is the plugin that grants, looks and verifies: the provider itself, or the broker as a client sees it.
    ``open_store`` gives the storing half of a provider by its name; it is asked once for each. ``keep_existing`` is the
    profile's word on a key that is taken: the file is skipped, not failed.
    """

    def __init__(
        self,
        name: str,
        manager: pluggy.PluginManager,
        answering: object,
        open_store: Callable[[str], Store],
        keep_existing: bool = False,
    ) -> None:
        self.name = name
        self._manager = manager
        self._answering = answering
        self._open_store = open_store
        self._keep_existing = keep_existing
        self._stores: dict[str, Store] = {}

    @property
    def provider(self) -> str:
        """The provider's name; of a profile that a broker serves, the broker's plugin name."""
        return self.name

    @property
    def rules(self) -> Rules:
        """The rules of the profile's own provider."""
        return self.store(self.name).rules

    def store(self, provider: str) -> Store:
        """The storing half of ``provider``. Raises ``PluginError`` when it cannot be loaded."""
        if provider not in self._stores:
            self._stores[provider] = self._open_store(provider)
        return self._stores[provider]

    def token(self, request: TokenRequest) -> list[Grant | VVOSError]:
        """One grant, or the error of it, for each file asked for."""
        answer = _ask(self.name, "token", self._manager.hook.token, request=request)
        grants = _one_each(self.name, "token", answer, len(request.files), Grant)
        if not self._keep_existing:
            return grants
        return [replace(grant, keep_existing=True) if isinstance(grant, Grant) else grant for grant in grants]

    def exists(self, request: ExistsRequest) -> list[Found | VVOSError]:
        """What is there under each grant's key."""
        answer = _ask(self.name, "exists", self._manager.hook.exists, request=request)
        return _one_each(self.name, "exists", answer, len(request.grants), Found)

    def verify(self, request: NotifyRequest) -> list[Notified | VVOSError]:
        """The verdict on each finished object of who answers for the storage: verified, with its url, or why not."""
        others = [plugin for plugin in self._manager.get_plugins() if plugin is not self._answering]
        caller = self._manager.subset_hook_caller("notify", others)
        answers = _ask(self.name, "notify", caller, request=request)
        if len(answers) != 1:
            raise ContractBroken(f"{self.name}: notify is not implemented, or answered None.")
        return _one_each(self.name, "notify", answers[0], len(request.objects), Notified)

    @property
    def listeners(self) -> tuple[str, ...]:
        """The names of the other plugins that hear of finished objects, in the order in which they were given."""
        return tuple(
            implementation.plugin_name
            for implementation in self._manager.hook.notify.get_hookimpls()
            if implementation.plugin is not self._answering and not _wraps(implementation)
        )

    def tell_one(self, listener: str, request: NotifyRequest) -> None:
        """Tell one of ``listeners`` of objects that passed. Raises what it raises."""
        others = [
            implementation.plugin
            for implementation in self._manager.hook.notify.get_hookimpls()
            if implementation.plugin_name != listener and not _wraps(implementation)
        ]
        self._manager.subset_hook_caller("notify", others)(request=request)

    def tell(self, request: NotifyRequest) -> None:
        """Tell every other plugin of objects that passed. One that fails is logged and keeps nobody from being told."""
        for listener in self.listeners if request.objects else ():
            try:
                self.tell_one(listener, request)
            except Exception:  # whatever a listener does must not reach the next one
                log.exception("the plugin %s failed in notify", listener)

    def notify(self, request: NotifyRequest) -> list[Notified | VVOSError]:
        """Verify each object, then tell the other plugins of those that passed."""
        verdicts = self.verify(request)
        passed = tuple(
            replace(done, checksum=verdict.checksum) if verdict.checksum else done
            for done, verdict in zip(request.objects, verdicts, strict=True)
            if isinstance(verdict, Notified)
        )
        self.tell(NotifyRequest(objects=passed, call=request.call))
        return verdicts

    def abort(self, grant: Grant) -> None:
        """Forget an unfinished upload, where the provider can."""
        self.store(grant.provider).abort(grant)

    def unfinished(self, key: str) -> list[Unfinished]:
        """The unfinished uploads of one server key; none where the provider cannot tell."""
        answers = _ask(self.name, "unfinished", self._manager.hook.unfinished, key=key)
        return [_of_type(self.name, "unfinished", item, Unfinished) for answer in answers for item in answer]

    def diagnose(self, request: DiagnoseRequest) -> Diagnosis | None:
        """What the provider finds wrong with its service and bucket; None where it cannot tell."""
        answer = _ask(self.name, "diagnose", self._manager.hook.diagnose, request=request)
        return None if answer is None else _of_type(self.name, "diagnose", answer, Diagnosis)


def _wraps(implementation: pluggy.HookImpl) -> bool:
    return implementation.wrapper or implementation.hookwrapper


def _ask(name: str, hook: str, caller: Any, **arguments: object) -> Any:
    try:
        return caller(**arguments)
    except VVOSError:
        raise
    except Exception as error:
        raise ContractBroken(
            f"the provider {name} failed in {hook} with {type(error).__name__}, which is no VVOS error; "
            "report it to its authors."
        ) from error


def _of_type(name: str, hook: str, answer: object, wanted: type[T]) -> T:
    if not isinstance(answer, wanted):
        raise ContractBroken(
            f"{name}: {hook} answered {type(answer).__name__}, the contract asks for {wanted.__name__}."
        )
    return answer


def _one_each(name: str, hook: str, answer: object, count: int, wanted: type[T]) -> list[T | VVOSError]:
    if not isinstance(answer, Sequence) or isinstance(answer, str | bytes | Mapping):
        raise ContractBroken(f"{name}: {hook} answered {type(answer).__name__}, the contract asks for a list.")
    if len(answer) != count:
        raise ContractBroken(f"{name}: {hook} answered {len(answer)} items for {count} asked.")
    for item in answer:
        if not isinstance(item, (wanted, VVOSError)):
            _of_type(name, hook, item, wanted)
    return list(answer)
