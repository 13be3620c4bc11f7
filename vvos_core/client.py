"""The client's face: `VVOS`, which takes files and a callback, and answers a result for every file."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from math import inf
from typing import Any, Literal, overload

from . import request_token
from .builtin.remote import check_business
from .control import Control
from .destination import Destination, find
from .engine import LARGE_AT_ONCE, Engine
from .entries import Entries, Entry, Item, Pair
from .errors import BadInput
from .job import Job, Order
from .journal import Journal
from .keeper import Keeper
from .model import Call
from .profile import ApiSettings, Config, Profile
from .protocol.upload import Upload
from .results import OnProgress, OnResult, Reporter, Result
from .retry import RetryPolicy
from .source import Source
from .submission import Submission


class VVOS:
    """Uploads files, through a broker or with a profile of one's own.

    With ``api`` the grants come from a broker, and this side needs no keys and no SDK. Without, ``profile`` (a
    `Profile`, or a name in the configuration) grants by itself; ``None`` takes what the configuration says: its
    ``[api]`` where it has one, else its default profile.

    Parameters
    ----------
    api: the addresses ``{"gettoken": …, "exists": …, "notifier": …}``, an `ApiSettings`, or a destination that
        was found already.
    cover: replace objects that are there.
    client: a name for the broker's logs.
    config: the path of a ``vvos.toml``, or a `Config`; by default it is searched for.
    concurrency: how many chunks are sent at once, of however many files; chosen from the work where it is not given.
    limit_rate: bytes a second that are sent at most, of all files together.
    plugins: objects with hooks of their own (``notify``), told besides the provider.
    journal: whether what is stored is written down, so that the same upload goes on where it was stopped; or the
        folder where. By default that is the user's own (``VVOS_STATE`` names another).

    Raises ``ConfigError`` and ``PluginError``.
    """

    def __init__(
        self,
        api: Mapping[str, str] | ApiSettings | Destination | None = None,
        *,
        cover: bool = False,
        client: str = "",
        profile: Profile | str | None = None,
        config: str | os.PathLike[str] | Config | None = None,
        concurrency: int | None = None,
        limit_rate: float | None = None,
        retry: RetryPolicy | None = None,
        plugins: Sequence[object] = (),
        journal: bool | str | os.PathLike[str] = True,
    ) -> None:
        if concurrency is not None and concurrency < 1:
            raise BadInput(f"concurrency is {concurrency}; at least 1 is needed.")
        if limit_rate is not None and not 1 <= limit_rate < inf:
            raise BadInput(f"limit_rate is {limit_rate}; give bytes a second, at least 1.")
        self._destination = api if isinstance(api, Destination) else find(api, profile, config, plugins)
        self._client = client or self._destination.client
        self._cover = cover
        self._concurrency = concurrency
        self._limit_rate = limit_rate
        self._retry = retry
        self._journal = journal
        self._entries = Entries()

    def add_files(
        self,
        items: Item | Pair | Iterable[Item | Pair],
        *,
        prefix: str = "",
        type: str = "",
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        """Add files. Nothing is sent yet; what cannot be read becomes a failed result of ``submit`` and raises nothing.

        Parameters
        ----------
        items: one of, or several: the path of a file; the path of a folder, whose files are added under its name;
            bytes; a binary stream, which is read to its end now; a pair (tuple) of one of these and a key.
        prefix: put before every key; ``"a/"`` for a folder of that name.
        type: the media type of all of them; guessed from each key when empty.
        metadata: kept with the objects, where the provider can.

        Raises ``BadInput`` for what is none of these, and for bytes and nameless streams without a key.
        """
        self._entries.add(items, prefix, type, metadata or {})

    @overload
    def submit(
        self,
        *,
        header: Mapping[str, str] | None = None,
        gettoken: Mapping[str, Any] | None = None,
        notifier: Mapping[str, Any] | None = None,
        exists: Mapping[str, Any] | None = None,
        on_result: OnResult | None = None,
        on_progress: OnProgress | None = None,
        wait: Literal[True] = True,
    ) -> list[Result]: ...

    @overload
    def submit(
        self,
        *,
        header: Mapping[str, str] | None = None,
        gettoken: Mapping[str, Any] | None = None,
        notifier: Mapping[str, Any] | None = None,
        exists: Mapping[str, Any] | None = None,
        on_result: OnResult | None = None,
        on_progress: OnProgress | None = None,
        wait: Literal[False],
    ) -> Submission: ...

    def submit(
        self,
        *,
        header: Mapping[str, str] | None = None,
        gettoken: Mapping[str, Any] | None = None,
        notifier: Mapping[str, Any] | None = None,
        exists: Mapping[str, Any] | None = None,
        on_result: OnResult | None = None,
        on_progress: OnProgress | None = None,
        wait: bool = True,
    ) -> list[Result] | Submission:
        """Upload what was added; returns, when all has ended, a result for every file, in the order of adding.

        A file that an earlier run began and did not finish goes on where it stopped: chunks that the provider still
        has, and that are still the file's, are not sent again.

        Parameters
        ----------
        header: HTTP headers for all three calls of the broker.
        gettoken, notifier, exists: the business's own fields for the body of that call.
        on_result: called as ``on_result(error, result)`` when a file has ended.
        on_progress: called as ``on_progress(error, progress)`` while files move, at most ten times a second;
            ``error`` is that of the file that failed last, once.
        wait: False returns at once, with a `Submission` to pause, resume, cancel and wait for the files.

        The callbacks are called one at a time, in the thread that called ``submit``, or in the submission's own. One
        that raises is logged.
        Raises ``BadInput`` and ``DuplicateKey`` before anything is sent. ``KeyboardInterrupt`` stops what has not
        ended, and is raised again: a later submit of the same files goes on with them; what cannot be resumed (bytes,
        streams, without a journal) is cancelled, and aborted at the provider. A second interrupt does not wait.
        """
        calls = [Call(header=header or {}, body=body or {}) for body in (gettoken, exists, notifier)]
        for call in calls:
            check_business(call)
        self._entries.refuse_duplicates()
        entries, self._entries = self._entries, Entries()
        order = Order(
            batch=os.urandom(16).hex(),
            cover=self._cover,
            client=self._client,
            token_call=calls[0],
            exists_call=calls[1],
            notify_call=calls[2],
        )
        reporter = Reporter(entries, on_result, on_progress)

        def run(control: Control) -> list[Result]:
            return self._run(entries, order, reporter, control)

        return run(Control()) if wait else Submission(run)

    def _run(self, entries: Entries, order: Order, reporter: Reporter, control: Control) -> list[Result]:
        engine = Engine(
            self._destination.calls,
            make_request_token=request_token.make,
            concurrency=self._concurrency,
            limit_rate=self._limit_rate,
            retry=self._retry,
        )
        jobs = (
            self._job(number, entry, entry.source)
            for number, entry in enumerate(entries)
            if entry.error is None and entry.source is not None
        )
        try:
            reporter.refused()
            engine.run(jobs, order, reporter, self._keeper(), control)
        finally:
            entries.close()
            reporter.tick(at_once=True)
        return reporter.results()

    def _keeper(self) -> Keeper:
        if self._journal is False:
            return Keeper()
        journal = Journal(None if self._journal is True else self._journal)
        where = {**(self._destination.where or {}), "cover": self._cover, "client": self._client}
        return Keeper(journal, self._destination.target, where)

    def _job(self, number: int, entry: Entry, source: Source) -> Job:
        upload = Upload(number, source.size, window=self._concurrency or LARGE_AT_ONCE)
        return Job(upload, source, entry.key, entry.type, entry.metadata)
