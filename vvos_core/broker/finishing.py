"""exists and notifier: what is there, and the transaction that ends an upload."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import UNSET

from ..calls import Calls
from ..errors import ContractBroken, VVOSError
from ..model import Call, ExistsRequest, Finished, Found, Grant, Notified, NotifyRequest
from . import checks
from .hooks import BusinessCall
from .ledger import Entry, Ledger
from .logs import shown
from .messages import (
    Exists,
    ExistsAnswer,
    Failed,
    FinishedFile,
    Notifier,
    NotifierAnswer,
    ObjectState,
    ObjectUrl,
    Part,
    outcome,
)
from .profiles import Profiles
from .seal import Opened

_NOTHING_SAID = FinishedFile()


class Looking:
    """What exists does."""

    def __init__(self, profiles: Profiles) -> None:
        self._profiles = profiles

    def look(self, message: Exists, grants: Sequence[Grant], call: BusinessCall) -> ExistsAnswer:
        """What is there under each granted key."""

        def question(calls: Calls, batch: list[Grant]) -> Sequence[Found | VVOSError]:
            return calls.exists(ExistsRequest(grants=tuple(batch), parts=message.parts, call=Call(body=call.params)))

        results = self._profiles.ask([(grant.profile, grant) for grant in grants], question)
        objects: list[ObjectState] = []
        failed: list[Failed] = []
        for grant, found in zip(grants, results, strict=True):
            if isinstance(found, VVOSError):
                failed.append(Failed.of(grant.key, shown(found)))
            else:
                objects.append(_state(grant.key, found))
        success, code = outcome(len(objects), failed)
        return ExistsAnswer(success=success, code=code, objects=objects, failed=failed or UNSET)


class Finishing:
    """What notifier does: each object is verified, recorded once, for its listeners too, and only then answered.

    ``recorded`` is called when there is something new to tell.
    """

    def __init__(self, profiles: Profiles, ledger: Ledger, recorded: Callable[[], None]) -> None:
        self._profiles = profiles
        self._ledger = ledger
        self._recorded = recorded

    def finish(self, message: Notifier, opened: Opened, grants: Sequence[Grant], call: BusinessCall) -> NotifierAnswer:
        """The url of each finished upload, or why there is none. The same again for whoever asks again."""
        checks.params(call.params)
        errors: dict[str, VVOSError] = {}
        for grant in grants:
            try:
                checks.as_granted(grant, message.files.get(grant.key, _NOTHING_SAID))
            except VVOSError as error:
                errors[grant.key] = error
        sound = [grant for grant in grants if grant.key not in errors]
        urls = self._ledger.notified(opened.who, opened.request_id, sound)
        finished = [
            Finished(grant=grant, size=grant.size, checksum=said.checksum or grant.checksum, digest=said.digest)
            for grant, said in ((grant, message.files.get(grant.key, _NOTHING_SAID)) for grant in sound)
            if grant.key not in urls
        ]
        verdicts = self._verify(finished, call)
        passed = []
        listeners: dict[str, tuple[str, ...]] = {}
        for done, verdict in zip(finished, verdicts, strict=True):
            if isinstance(verdict, VVOSError):
                errors[done.grant.key] = verdict
            else:
                profile = done.grant.profile
                if profile not in listeners:
                    listeners[profile] = self._profiles.calls(profile).listeners
                checksum = verdict.checksum or done.checksum
                passed.append(Entry(grant=done.grant, url=verdict.url, checksum=checksum, listeners=listeners[profile]))
        recorded, new = self._ledger.notify(opened.who, opened.request_id, passed, call.now, Call(body=call.params))
        urls.update(recorded)
        if new:
            self._recorded()
        objects = [ObjectUrl(key=grant.key, url=urls[grant.key]) for grant in grants if grant.key in urls]
        failed = [Failed.of(grant.key, shown(errors[grant.key])) for grant in grants if grant.key in errors]
        success, code = outcome(len(objects), failed)
        return NotifierAnswer(code=code, objects=objects, failed=failed or UNSET, success=success)

    def _verify(self, finished: Sequence[Finished], call: BusinessCall) -> list[Notified | VVOSError]:
        def question(calls: Calls, batch: list[Finished]) -> Sequence[Notified | VVOSError]:
            return calls.verify(NotifyRequest(objects=tuple(batch), call=Call(body=call.params)))

        verdicts = self._profiles.ask([(done.grant.profile, done) for done in finished], question)
        return [
            verdict
            if isinstance(verdict, VVOSError) or verdict.key == done.grant.key
            else ContractBroken(
                f"asked to verify {done.grant.key!r}, the provider answered another.", key=done.grant.key
            )
            for done, verdict in zip(finished, verdicts, strict=True)
        ]


def _state(key: str, found: Found) -> ObjectState:
    return ObjectState(
        key=key,
        exists=found.exists,
        size=found.size if found.size >= 0 else UNSET,
        checksum=found.checksum or UNSET,
        parts=UNSET
        if found.parts is None
        else [
            Part(number=part.number, size=part.size, proof=part.proof, checksum=part.checksum) for part in found.parts
        ],
    )
