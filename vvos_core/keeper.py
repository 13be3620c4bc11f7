"""Keeps the journal of a run: takes up what earlier runs began, and writes down what happens to it now."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from .errors import Busy, JournalError, VVOSError
from .fingerprint import Likeness, compare
from .job import Job
from .journal import Journal, Record, identity
from .model import Grant, Receipt
from .protocol import events as ev
from .protocol.states import State
from .protocol.upload import Upload
from .source import FileSource

log = logging.getLogger(__name__)

T = TypeVar("T")


class Keeper:
    """Between the engine and the journal; without one it keeps nothing. Used in the engine's thread only.

    Only files are kept, for nothing else is there again in a later run; and only their multipart uploads, for what goes
    in one piece is either there or not. When the journal fails, that is logged once, and the uploads go on without.

    Parameters
    ----------
    target: names where the uploads go, so that the same file for another place is another upload.
    where: how the uploads were asked for, in JSON, so that another process can go on with them; no secrets.
    """

    def __init__(
        self, journal: Journal | None = None, target: str = "", where: Mapping[str, Any] | None = None
    ) -> None:
        self._journal = journal
        self._target = target
        self._where = where or {}
        self._claimed: dict[Job, str] = {}
        self._begun: dict[Job, str] = {}
        """The upload id under which each is in the journal."""
        self._abandoned: list[tuple[Job, Job]] = []

    def admit(self, jobs: Sequence[Job]) -> dict[Job, VVOSError]:
        """Claim these files for this run, and take up what earlier ones left of them.

        Answers the files that another run has. A job whose upload is taken up is paused.
        """
        if self._journal is None:
            return {}
        files: dict[str, tuple[Job, FileSource]] = {}
        for job in jobs:
            if isinstance(job.source, FileSource):
                job.kept_as = identity(self._target, job.client_key, os.path.abspath(job.source.path))
                files[job.kept_as] = job, job.source
        names = {id: job.client_key for id, (job, _) in files.items()}
        busy: dict[str, Busy] | None = self._ask(lambda journal: journal.claim_all(names), None) if names else None
        if busy is None:
            return {}
        self._claimed.update((job, id) for id, (job, _) in files.items() if id not in busy)
        ids = [id for id in files if id not in busy]
        records: dict[str, Record] = self._ask(lambda journal: journal.find(ids), {}) if ids else {}
        for id, record in records.items():
            self._take_up(*files[id], record)
        return {files[id][0]: error for id, error in busy.items()}

    def _take_up(self, job: Job, source: FileSource, record: Record) -> None:
        likeness = compare(record.fingerprint, source.fingerprint, record.begun_at)
        if record.state == "finished":
            if likeness is Likeness.SAME:
                job.upload.remembered = record.checksum
            return
        if record.grant is None:
            return
        asked = (record.where.get("cover"), record.type, dict(record.metadata))
        left = stopped(job, record.grant, record.receipts)
        if likeness is Likeness.OTHER or asked != (self._where.get("cover"), job.type, dict(job.metadata)):
            self._abandoned.append((job, left))
            return
        job.upload = left.upload
        job.upload.kept = True
        job.doubtful = likeness is Likeness.PERHAPS and bool(record.receipts or record.grant.checksum)
        job.count_stored()
        self._begun[job] = record.grant.upload_id

    def abandoned(self) -> list[tuple[Job, Job]]:
        """Uploads of earlier runs that nobody will go on with, to be aborted; each is answered once.

        Each comes after the job that takes its place.
        """
        abandoned, self._abandoned = self._abandoned, []
        return abandoned

    def happened(self, job: Job, event: ev.Event, before: Mapping[int, Receipt]) -> None:
        """Write down what an event changed; ``before`` are the receipts that the upload had."""
        upload = job.upload
        if upload.grant is None or not upload.grant.multipart:
            return
        id, grant = self._claimed.get(job), upload.grant
        if id is None or self._journal is None:
            return
        if isinstance(event, ev.TokenGranted) and upload.open and grant is event.grant and grant.upload_id:
            self._granted(job, id, grant)
        elif isinstance(event, ev.ChunkStored) and job in self._begun:
            self._journal.store(id, event.receipt)
        if upload.receipts is not before and job in self._begun:
            self._journal.forget(id, before.keys() - upload.receipts.keys())

    def _granted(self, job: Job, id: str, grant: Grant) -> None:
        assert self._journal is not None
        bare = msgspec.structs.replace(grant, data={})
        if self._begun.get(job) == grant.upload_id:
            self._journal.renew(id, bare)
            return
        self._begun[job] = grant.upload_id
        job.upload.kept = True
        source = job.source
        assert isinstance(source, FileSource)
        now = time.time()
        self._journal.begin(
            Record(
                id=id,
                target=self._target,
                client_key=job.client_key,
                path=os.path.abspath(source.path),
                fingerprint=source.fingerprint,
                where=self._where,
                type=job.type,
                metadata=job.metadata,
                grant=bare,
                receipts=(),
                state="unfinished",
                error="",
                checksum="",
                url="",
                key=grant.key,
                begun_at=now,
                changed_at=now,
            )
        )

    def ended(self, job: Job) -> None:
        """Write down how a job ended, or that it was stopped."""
        id, upload = self._claimed.get(job), job.upload
        if id is None or self._journal is None or job not in self._begun:
            return
        if upload.state is State.DONE:
            self._journal.finish(
                id, key=upload.grant.key if upload.grant else "", checksum=upload.checksum, url=upload.url
            )
        elif upload.state is State.FAILED and upload.error is not None:
            if upload.open:
                self._journal.fail(id, f"{upload.error.code}: {upload.error}")
            else:
                self._journal.drop(id)
        elif upload.state is State.SKIPPED:
            self._journal.drop(id)

    def aborted(self, job: Job, error: VVOSError | None) -> None:
        """Write down that an upload was aborted at the provider, or why it could not be."""
        id = self._claimed.get(job)
        if id is None or self._journal is None or job.upload.state is not State.CANCELLED:
            return
        if error is None:
            self._journal.drop(id)
        else:
            self._journal.fail(id, f"{error.code}: {error}")

    def replaced(self, job: Job, error: VVOSError | None) -> None:
        """Write down that the upload in whose place ``job`` came was aborted, or could not be."""
        id = self._claimed.get(job)
        # What was begun since has taken its place in the journal; a file that goes in one piece takes none.
        if id is not None and self._journal is not None and job not in self._begun and error is None:
            self._journal.drop(id)

    def release(self, job: Job) -> None:
        """Let other runs have the file: it has ended here, and nothing of it is on its way any more."""
        id = self._claimed.pop(job, None)
        self._begun.pop(job, None)
        if id is not None and self._journal is not None:
            self._journal.release(id)

    def commit(self) -> None:
        """Make what was written down last."""
        self._ask(lambda journal: journal.commit(), None)

    def close(self) -> None:
        """Make it last, and let other runs have all of it."""
        self.commit()
        for job in list(self._claimed):
            self.release(job)
        if self._journal is not None:
            self._journal.close()

    def _ask(self, call: Callable[[Journal], T], otherwise: T) -> T:
        if self._journal is None:
            return otherwise
        try:
            return call(self._journal)
        except JournalError as error:
            self._failed(error)
            return otherwise

    def _failed(self, error: JournalError) -> None:
        log.warning("%s Uploads go on, and cannot be resumed when they stop. [%s]", error, error.code)
        self._journal = None
        for job in self._begun:
            job.upload.kept = False


def stopped(job: Job, grant: Grant, receipts: Collection[Receipt] = ()) -> Job:
    """The file of ``job`` with another upload, which was begun and stopped.

    Size, type and metadata are those of the grant, for which alone it is renewed: the file may have changed since.
    """
    fresh = job.upload
    upload = Upload.stopped(fresh.number, grant.size, grant, receipts, window=fresh.window)
    return Job(upload, job.source, job.client_key, grant.type, grant.metadata)
