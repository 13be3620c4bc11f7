"""Whole batches through random orders of success, failure, expiry, conflict, pause and cancellation.

A small simulated provider keeps what was really stored. Whatever happens in whatever order: no file loses its outcome,
no chunk is sent twice without need, and no unfinished upload is left behind.
"""

from __future__ import annotations

import msgspec
from hypothesis import settings, strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, precondition, rule

from vvos_core import errors
from vvos_core.model import Found, Grant, Receipt, Stored
from vvos_core.protocol import commands as do, events as ev
from vvos_core.protocol.machine import advance
from vvos_core.protocol.states import FINAL, State
from vvos_core.protocol.upload import Upload

from .doubles import Sum

PART = 4
OURS, THEIRS = 7, 9
"""What every byte of our file, and of a rival's object, is."""


class File:
    """One upload, and the provider's side of it."""

    def __init__(self, number: int, size: int, cover: bool, keep: bool, seal: bool, kept: bool = False) -> None:
        self.upload = Upload(number, size, window=3)
        self.upload.kept = kept
        self.kept = kept
        self.multipart = size > PART
        self.cover = cover
        self.keep = keep
        self.seal = seal and self.multipart
        self.pending: list[do.Command] = []
        self.open: dict[str, dict[int, int]] = {}
        """The unfinished uploads at the provider, by id, with the sizes of their parts."""
        self.begun = 0
        self.aborted: set[str] = set()
        self.forgotten: set[str] = set()
        self.object: Found | None = None
        self.cancelled = False

    def happened(self, event: ev.Event) -> None:
        self.pending += advance(self.upload, event)

    def take(self, index: int) -> do.Command:
        return self.pending.pop(index % len(self.pending))

    # the provider

    def grant(self) -> Grant:
        before = self.upload.grant
        upload_id = before.upload_id if before else ""
        if self.multipart and before is None:
            self.begun += 1
            upload_id = f"u{self.begun}"
            self.open[upload_id] = {}
        return Grant(
            provider="sim",
            key="k",
            client_key="k",
            size=self.upload.size,
            cover=self.cover,
            keep_existing=self.keep,
            multipart=self.multipart,
            part_size=PART if self.multipart else 0,
            upload_id=upload_id,
            seal=self.seal,
            checksum=self.upload.checksum,
        )

    @property
    def upload_id(self) -> str:
        return self.upload.grant.upload_id if self.upload.grant else ""

    def span(self, number: int) -> int:
        assert self.upload.plan is not None
        return self.upload.plan.span(number)[1]

    def store(self, number: int) -> Receipt | errors.VVOSError:
        size = self.span(number)
        if not self.multipart:
            if self.object and not self.cover:
                return errors.Exists("taken.")
            self.object = self.ours()
        elif self.upload_id not in self.open:
            return errors.NotFound("no such upload.")
        else:
            self.open[self.upload_id][number] = size
        return Receipt(number=number, size=size, proof=str(number), checksum=f"sum:{size * OURS}")

    def parts(self) -> tuple[Receipt, ...]:
        """What the provider lists; where the broken answer of an abort left something, that too."""
        return tuple(
            Receipt(number=number, size=size, proof=str(number), checksum=f"sum:{size * OURS}")
            for number, size in self.open.get(self.upload_id, {}).items()
        )

    def ours(self) -> Found:
        return Found(key="k", exists=True, size=self.upload.size, checksum=f"sum:{self.upload.size * OURS}")

    def complete(self, receipts: tuple[Receipt, ...]) -> Stored | errors.VVOSError:
        if self.multipart:
            if self.upload_id not in self.open:
                return errors.NotFound("no such upload.")
            assert {receipt.number for receipt in receipts} <= set(self.open[self.upload_id]), "a part is missing"
            if self.object and not self.cover:
                return errors.Exists("taken.")
            assert self.upload.plan is not None
            assert [receipt.number for receipt in receipts] == list(range(1, self.upload.plan.count + 1))
            assert not self.seal or (
                self.upload.grant is not None and self.upload.grant.checksum == self.ours().checksum
            )
            self.object = self.ours()
            del self.open[self.upload_id]
        # Of a single put the receipt tells what was made, whatever became of it since.
        return Stored(key="k", size=self.ours().size, checksum=self.ours().checksum)


class Batches(RuleBasedStateMachine):
    files = Bundle("files")

    def __init__(self) -> None:
        super().__init__()
        self.all: list[File] = []

    @initialize()
    def nothing_yet(self) -> None:
        self.all = []

    @rule(
        target=files,
        size=st.integers(0, 17),
        cover=st.booleans(),
        keep=st.booleans(),
        seal=st.booleans(),
        kept=st.booleans(),
    )
    def add(self, size: int, cover: bool, keep: bool, seal: bool, kept: bool) -> File:
        file = File(len(self.all), size, cover, keep, seal, kept)
        self.all.append(file)
        file.happened(ev.Started())
        return file

    @rule(file=files, index=st.integers(0, 9), fate=st.sampled_from(["ok", "ok", "ok", "fail", "expire", "lost"]))
    def answer(self, file: File, index: int, fate: str) -> None:
        if file.pending:
            self._answer(file, file.take(index), fate)

    @rule(file=files, times=st.integers(1, 6))
    def all_goes_well(self, file: File, times: int) -> None:
        for _ in range(times):
            if file.pending:
                self._answer(file, file.take(0), "ok")

    @rule(file=files, size=st.integers(0, 17), same=st.booleans())
    def a_rival_writes(self, file: File, size: int, same: bool) -> None:
        size = file.upload.size if same else size
        file.object = Found(key="k", exists=True, size=size, checksum=f"sum:{size * THEIRS}")

    @rule(file=files)
    def the_same_was_there(self, file: File) -> None:
        file.object = file.ours()

    @rule(file=files)
    def a_rival_deletes(self, file: File) -> None:
        file.object = None

    @rule(file=files)
    def the_provider_forgets(self, file: File) -> None:
        if file.upload_id in file.open:
            file.forgotten.add(file.upload_id)
            del file.open[file.upload_id]

    @rule(file=files)
    def the_provider_forgets_a_part(self, file: File) -> None:
        """Only a listing shows it, so only between two runs does it do no harm."""
        if file.upload.state is State.PAUSED and not file.pending and file.open.get(file.upload_id):
            file.open[file.upload_id].popitem()

    @rule(file=files)
    def the_grant_grows_old(self, file: File) -> None:
        if file.upload.state is State.UPLOADING:
            file.happened(ev.RenewalDue())

    @rule(file=files, journalled=st.integers(0, 5))
    def crash_and_run_again(self, file: File, journalled: int) -> None:
        """What was on its way is lost; of what is stored a journal kept the first receipts at least."""
        upload = file.upload
        ended_for_good = upload.state in (State.DONE, State.SKIPPED, State.CANCELLED) or not upload.kept
        if not file.kept or ended_for_good or not upload.open or upload.grant is None:
            return
        receipts = [
            receipt for number, receipt in sorted(upload.receipts.items()) if number <= journalled or number % 2
        ]
        file.pending = []
        file.upload = Upload.stopped(upload.number, upload.size, upload.grant, receipts, window=3)
        file.upload.kept = True
        file.happened(ev.ResumeRequested())

    @rule(file=files)
    def cancel(self, file: File) -> None:
        file.happened(ev.CancelRequested())

    @rule(file=files)
    def pause(self, file: File) -> None:
        file.happened(ev.PauseRequested())

    @precondition(lambda self: any(f.upload.state is State.PAUSED and not f.pending for f in self.all))
    @rule()
    def resume(self) -> None:
        for file in self.all:
            if file.upload.state is State.PAUSED and not file.pending:
                file.happened(ev.ResumeRequested())

    def _answer(self, file: File, command: do.Command, fate: str) -> None:
        failure = errors.Denied("no.")
        if isinstance(command, do.Abort):
            upload_id = command.grant.upload_id if command.grant else file.upload_id
            if fate == "ok":
                file.open.pop(upload_id, None)
            file.aborted.add(upload_id)
            return
        if isinstance(command, do.RequestToken):
            if fate == "expire" and file.upload.grant is not None:
                file.happened(ev.TokenRefused(errors.TokenExpired("too long ago.")))
                file.forgotten.add(file.upload_id)
            elif fate in ("fail", "expire"):
                file.happened(ev.TokenRefused(failure))
            else:
                file.happened(ev.TokenGranted(file.grant(), Sum()))
        elif isinstance(command, do.CheckExists):
            self._exists(file, command, fate, failure)
        elif isinstance(command, do.ComputeChecksum):
            if fate == "fail":
                file.happened(ev.SourceFailed(errors.SourceChanged("changed.")))
            else:
                file.happened(ev.ChecksumComputed(file.ours().checksum))
        elif isinstance(command, do.PutChunk):
            self._put(file, command.number, fate, failure)
        elif isinstance(command, do.Complete):
            self._complete(file, command, fate, failure)
        elif isinstance(command, do.Notify):
            file.happened(ev.NotifyStarted())
            if fate == "expire":
                file.happened(ev.TokenExpired())
            elif fate == "fail":
                file.happened(ev.NotifyFailed(failure))
            else:
                file.happened(ev.NotifySucceeded("https://k"))

    def _exists(self, file: File, command: do.CheckExists, fate: str, failure: errors.VVOSError) -> None:
        if fate == "expire":
            file.happened(ev.TokenExpired())
            return
        if fate == "fail":
            file.happened(ev.ExistsFailed(failure))
            return
        parts = file.parts() if command.parts else None
        if file.object:
            file.happened(ev.ObjectFound(file.object.size, file.object.checksum, parts))
        elif parts is not None:
            file.happened(ev.PartsFound(parts))
        else:
            file.happened(ev.NothingFound())

    def _put(self, file: File, number: int, fate: str, failure: errors.VVOSError) -> None:
        if fate == "expire":
            file.happened(ev.TokenExpired(number))
            return
        if fate == "fail":
            file.happened(ev.ChunkFailed(number, failure))
            return
        stored = file.store(number)
        if fate == "lost":
            # The engine makes the call again; the service has acted already.
            stored = file.store(number)
        if isinstance(stored, errors.VVOSError):
            file.happened(ev.ChunkFailed(number, stored))
        else:
            file.happened(ev.ChunkStored(stored))

    def _complete(self, file: File, command: do.Complete, fate: str, failure: errors.VVOSError) -> None:
        if fate == "expire":
            file.happened(ev.TokenExpired())
            return
        if fate == "fail":
            file.happened(ev.CompleteFailed(failure))
            return
        made = file.complete(command.receipts)
        if fate == "lost":
            file.happened(ev.CompleteUnanswered(errors.Unavailable("lost.")))
        elif isinstance(made, errors.NotFound):
            file.happened(ev.CompleteUnanswered(made))
        elif isinstance(made, errors.VVOSError):
            file.happened(ev.CompleteFailed(made))
        else:
            file.happened(ev.Completed(made))

    @invariant()
    def nobody_is_stuck(self) -> None:
        for file in self.all:
            if file.upload.state not in FINAL and file.upload.state is not State.PAUSED:
                assert file.pending, f"{file.upload} waits for nothing"

    @invariant()
    def what_flies_is_what_is_on_its_way(self) -> None:
        for file in self.all:
            flying = [command.number for command in file.pending if isinstance(command, do.PutChunk)]
            assert sorted(flying) == sorted(file.upload.flying)
            assert len(flying) <= file.upload.window
            assert not set(flying) & set(file.upload.receipts), "a stored chunk is sent again"
            if do.Abort() in file.pending:
                assert not flying, "a part may be stored after the abort"

    @invariant()
    def an_end_says_why(self) -> None:
        for file in self.all:
            if file.upload.state is State.FAILED:
                assert file.upload.error is not None
            if file.upload.state is State.DONE:
                assert file.upload.url

    def teardown(self) -> None:
        """Let everything that is left succeed: each file ends, and nothing unfinished stays at the provider."""
        for file in self.all:
            for _ in range(500):
                if file.pending:
                    self._answer(file, file.take(0), "ok")
                elif file.upload.state is State.PAUSED:
                    file.happened(ev.ResumeRequested())
                else:
                    break
            assert file.upload.state in FINAL, f"{file.upload} lost its outcome"
            resumable = {file.upload_id} if file.upload.state is State.FAILED and file.upload.kept else set()
            left = set(file.open) - file.aborted - file.forgotten - resumable
            assert not left, f"{file.upload} left an unfinished upload behind"


TestBatches = Batches.TestCase
TestBatches.settings = settings(max_examples=300, stateful_step_count=40, deadline=None)


def test_a_sealed_grant_that_lacks_its_checksum_is_not_asked_for_again() -> None:
    file = File(0, 9, cover=True, keep=False, seal=True)
    file.happened(ev.Started())
    for event in (ev.TokenGranted(file.grant(), Sum()), ev.NothingFound()):
        file.pending.clear()
        file.happened(event)
    for number in (1, 2, 3):
        file.happened(ev.ChunkStored(Receipt(number=number, size=file.span(number), proof="x", checksum="sum:1")))
    assert file.upload.state is State.TOKEN
    grant = msgspec.structs.replace(file.grant(), checksum="")
    file.happened(ev.TokenGranted(grant, Sum()))
    assert isinstance(file.upload.error, errors.ContractBroken)
