"""Uploads that earlier runs began and did not finish, from whatever program: listed, gone on with, given up."""

from __future__ import annotations

import json
import os
import threading
import uuid
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from . import request_token
from .client import VVOS
from .destination import find_again
from .errors import BadInput, NotFound, VVOSError
from .job import Job, Order
from .journal import Journal, Record
from .protocol.upload import Upload
from .results import OnProgress, OnResult, Result
from .retry import RetryPolicy
from .source import BytesSource
from .work import Work


class Unfinished:
    """The unfinished uploads of a journal; ``folder`` as in `Journal`. Raises ``JournalError`` where there is none to
    be read."""

    def __init__(self, folder: str | os.PathLike[str] | None = None) -> None:
        self._folder = folder

    def __iter__(self) -> Iterator[Record]:
        """All of them, oldest first."""
        journal = Journal(self._folder)
        try:
            yield from (record for record in journal.records() if record.state == "unfinished" and record.grant)
        finally:
            journal.close()

    def find(self, ids: Iterable[str]) -> list[Record]:
        """Those with these ids, of which enough characters to tell them apart are enough; all, where none is given.

        Raises ``NotFound`` for an id that is nobody's, ``BadInput`` for one that several begin with.
        """
        records = list(self)
        wanted = {}
        for id in ids:
            found = [record for record in records if record.id.startswith(id)] if id else []
            if not found:
                raise NotFound(f"there is no unfinished upload {id!r}; vvos uploads lists them.")
            if len(found) > 1:
                raise BadInput(f"{len(found)} unfinished uploads begin with {id!r}; give more of the id.")
            wanted[found[0].id] = found[0]
        return list(wanted.values()) if wanted else records

    def resume(
        self,
        records: Iterable[Record],
        *,
        concurrency: int | None = None,
        limit_rate: float | None = None,
        on_result: OnResult | None = None,
        on_progress: OnProgress | None = None,
    ) -> list[Result]:
        """Go on with ``records``, one destination after the other; answers a result for each, as ``VVOS.submit`` does.

        ``concurrency`` and ``limit_rate`` are those of ``VVOS``.
        """
        results: list[Result] = []
        given: dict[str, Any] = {
            "journal": True if self._folder is None else self._folder,
            "concurrency": concurrency,
            "limit_rate": limit_rate,
        }
        for alike in _by_destination(records):
            try:
                uploads = VVOS(**_arguments(alike[0].where), **given)
            except VVOSError as error:
                failed = [_failed(record, error) for record in alike]
                results += failed
                for result in failed if on_result else ():
                    on_result(error, result)  # type: ignore[misc]  # the loop is empty without one
                continue
            for record in alike:
                uploads.add_files((record.path, record.client_key), type=record.type, metadata=record.metadata)
            results += uploads.submit(on_result=on_result, on_progress=on_progress)
        return results

    def abort(self, record: Record) -> None:
        """Have the provider forget what is stored of ``record``, and forget it here.

        Raises what keeps the provider from it, and ``Busy`` when another run has the upload.
        """
        journal = Journal(self._folder)
        try:
            journal.claim(record.id, record.client_key)
            # What was claimed may have ended since it was listed.
            now = journal.find([record.id]).get(record.id)
            if now is not None and now.state == "unfinished" and now.grant is not None:
                self._abort(now)
                journal.drop(record.id)
                journal.commit()
        finally:
            journal.close()

    def _abort(self, record: Record) -> None:
        assert record.grant is not None
        calls = find_again(record.where).calls
        upload = Upload.stopped(0, record.grant.size, record.grant, ())
        job = Job(upload, BytesSource(b"", record.client_key), record.client_key, record.type, record.metadata)
        order = Order(batch=uuid.uuid4().hex, cover=record.grant.cover)
        work = Work(calls, order, RetryPolicy(), request_token.make, threading.Event())
        error = work.abort(job)
        if error is not None:
            raise error


def _arguments(where: Mapping[str, Any]) -> dict[str, Any]:
    """What `VVOS` is made with, to upload to where ``where`` says."""
    return {"api": find_again(where), "cover": bool(where.get("cover")), "client": str(where.get("client", ""))}


def _by_destination(records: Iterable[Record]) -> list[list[Record]]:
    groups: dict[str, list[Record]] = {}
    for record in records:
        groups.setdefault(json.dumps(dict(record.where), sort_keys=True), []).append(record)
    return list(groups.values())


def _failed(record: Record, error: VVOSError) -> Result:
    return Result(
        client_key=record.client_key,
        key=record.key,
        url="",
        size=record.fingerprint.size,
        state="failed",
        checksum="",
        reused=False,
        error=error,
    )
