"""The client's face: `VVOS`, which takes files and a callback, and answers a result for every file."""

from __future__ import annotations

import logging
import os
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Union

from msgspec import Struct

from . import request_token
from .builtin.remote import check_business
from .calls import Calls
from .configuration.config import refused
from .configuration.settings import check
from .engine import Engine
from .errors import BadInput, ConfigError, DuplicateKey, SourceMissing, VVOSError
from .job import Job, Order
from .keys import check_key
from .loader import load, remote
from .model import Call
from .profile import ApiSettings, Config, Profile, load as load_config
from .progress import Progress, Tracker
from .protocol.upload import Upload
from .retry import RetryPolicy
from .source import BytesSource, FileSource, Source, StreamSource, guess_type, shown, walk

log = logging.getLogger(__name__)

Item = Union[str, "os.PathLike[str]", bytes, bytearray, memoryview, BinaryIO]
"""A path of a file or folder, bytes, or a binary stream."""
Pair = tuple[Item, str]
"""An item and the key that it is to have; the folder's name, for a folder."""


class Result(Struct, frozen=True, kw_only=True):
    """What became of one file."""

    client_key: str
    key: str
    """The server key; empty when the file never got one."""
    url: str
    size: int
    """Bytes."""
    state: str
    """``done``, ``skipped`` (the key is taken, which the profile says is no failure), ``failed``, ``cancelled``."""
    checksum: str
    """``algorithm:value`` of the bytes as read; empty when they were not."""
    reused: bool
    """The object was there already, byte for byte, and nothing was sent."""
    error: VVOSError | None

    @property
    def ok(self) -> bool:
        return self.state in ("done", "skipped")


OnResult = Callable[["VVOSError | None", Result], None]
OnProgress = Callable[["VVOSError | None", Progress], None]


class _Entry:
    """What was added: a source under a key, or why there is none."""

    __slots__ = ("error", "key", "metadata", "source", "type")

    def __init__(
        self, key: str, source: Source | None, error: VVOSError | None, media_type: str, metadata: Mapping[str, str]
    ) -> None:
        self.key = key
        self.source = source
        self.error = error
        self.type = media_type
        self.metadata = metadata


class VVOS:
    """Uploads files, through a broker or with a profile of one's own.

    With ``api`` the grants come from a broker, and this side needs no keys and no SDK. Without, ``profile`` (a
    `Profile`, or a name in the configuration) grants by itself; ``None`` takes what the configuration says: its
    ``[api]`` where it has one, else its default profile.

    Parameters
    ----------
    api: the addresses ``{"gettoken": …, "exists": …, "notifier": …}``, or an `ApiSettings`.
    cover: replace objects that are there.
    client: a name for the broker's logs.
    config: the path of a ``vvos.toml``, or a `Config`; by default it is searched for.
    concurrency: how many chunks are sent at once, of however many files.
    plugins: objects with hooks of their own (``notify``), told besides the provider.

    Raises ``ConfigError`` and ``PluginError``.
    """

    def __init__(
        self,
        api: Mapping[str, str] | ApiSettings | None = None,
        *,
        cover: bool = False,
        client: str = "",
        profile: Profile | str | None = None,
        config: str | os.PathLike[str] | Config | None = None,
        concurrency: int = 8,
        retry: RetryPolicy | None = None,
        plugins: Sequence[object] = (),
    ) -> None:
        if concurrency < 1:
            raise BadInput(f"concurrency is {concurrency}; at least 1 is needed.")
        self._calls, self._client = self._connect(api, profile, config, plugins)
        self._client = client or self._client
        self._cover = cover
        self._concurrency = concurrency
        self._retry = retry
        self._entries: list[_Entry] = []

    def _connect(
        self,
        api: Mapping[str, str] | ApiSettings | None,
        profile: Profile | str | None,
        config: str | os.PathLike[str] | Config | None,
        plugins: Sequence[object],
    ) -> tuple[Calls, str]:
        if api is not None:
            settings = api if isinstance(api, ApiSettings) else _api_settings(api)
            return remote(settings, plugins), settings.client
        if isinstance(profile, Profile):
            chosen = profile
        else:
            found = config if isinstance(config, Config) else load_config(config, broker=False)
            if profile is None and found.api.gettoken:
                return remote(found.api, plugins), found.api.client
            chosen = found.profile(profile)
        return load(chosen, plugins), ""

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
        several = [items] if _is_one(items) else items
        for item in several:  # type: ignore[union-attr]  # _is_one told a single item from an iterable of them
            content, key = _pair(item)
            self._add(content, key, prefix, type, dict(metadata or {}))

    def submit(
        self,
        *,
        header: Mapping[str, str] | None = None,
        gettoken: Mapping[str, Any] | None = None,
        notifier: Mapping[str, Any] | None = None,
        exists: Mapping[str, Any] | None = None,
        on_result: OnResult | None = None,
        on_progress: OnProgress | None = None,
    ) -> list[Result]:
        """Upload what was added; returns, when all has ended, a result for every file, in the order of adding.

        Parameters
        ----------
        header: HTTP headers for all three calls of the broker.
        gettoken, notifier, exists: the business's own fields for the body of that call.
        on_result: called as ``on_result(error, result)`` when a file has ended.
        on_progress: called as ``on_progress(error, progress)`` while files move, at most ten times a second;
            ``error`` is that of the file that failed last, once.

        The callbacks are called one at a time, in the thread that called ``submit``. One that raises is logged.
        Raises ``BadInput`` and ``DuplicateKey`` before anything is sent. ``KeyboardInterrupt`` cancels what has not
        ended, aborts it at the provider, and is raised again; a second one does not wait.
        """
        calls = [Call(header=header or {}, body=body or {}) for body in (gettoken, exists, notifier)]
        for call in calls:
            check_business(call)
        self._refuse_duplicates()
        entries, self._entries = self._entries, []
        order = Order(
            batch=uuid.uuid4().hex,
            cover=self._cover,
            client=self._client,
            token_call=calls[0],
            exists_call=calls[1],
            notify_call=calls[2],
        )
        reporter = _Reporter(entries, on_result, on_progress)
        engine = Engine(
            self._calls, make_request_token=request_token.make, concurrency=self._concurrency, retry=self._retry
        )
        jobs = (
            self._job(number, entry, entry.source)
            for number, entry in enumerate(entries)
            if entry.error is None and entry.source is not None
        )
        try:
            reporter.refused()
            engine.run(jobs, order, reporter)
        finally:
            for entry in entries:
                if entry.source is not None:
                    entry.source.close()
            reporter.tick(last=True)
        return reporter.results()

    def _job(self, number: int, entry: _Entry, source: Source) -> Job:
        upload = Upload(number, source.size, window=self._concurrency)
        return Job(upload, source, entry.key, entry.type, entry.metadata)

    def _add(self, content: Any, key: str | None, prefix: str, media_type: str, metadata: dict[str, str]) -> None:
        if isinstance(content, str | os.PathLike):
            path = os.fsdecode(content)
            if os.path.isdir(path):
                self._add_folder(path, key, prefix, media_type, metadata)
            elif not path:
                error = SourceMissing("an empty path names no file; give a file or a folder of files.")
                self._entries.append(_Entry(prefix + (key or ""), None, error, "", {}))
            else:
                name = key if key is not None else Path(path).name
                self._add_source(prefix + name, lambda: FileSource(path), media_type, metadata)
        elif isinstance(content, bytes | bytearray | memoryview):
            if key is None:
                raise BadInput('bytes have no name; add them with a key: (b"…", "notes.txt").')
            name = prefix + key
            self._add_source(name, lambda: BytesSource(content, name), media_type, metadata)
        elif hasattr(content, "read"):
            name = prefix + (key if key is not None else _stream_name(content))
            self._add_source(name, lambda: StreamSource(content, name), media_type, metadata)
        else:
            raise _no_item(content)

    def _add_folder(self, path: str, key: str | None, prefix: str, media_type: str, metadata: dict[str, str]) -> None:
        name = key.rstrip("/") if key is not None else Path(path).name
        below = prefix + (name + "/" if name not in ("", "..") else "")
        before = len(self._entries)

        def failed(relative: str, error: VVOSError) -> None:
            self._entries.append(_Entry(below + relative if relative != "." else top, None, error, "", {}))

        top = below.rstrip("/") or path
        for file, relative in walk(path, failed):
            self._add_source(below + relative, lambda file=file: FileSource(file), media_type, metadata)  # type: ignore[misc]  # mypy cannot infer a lambda's defaults
        if len(self._entries) == before:
            failed(".", SourceMissing(f"{shown(path)} has no files in it; give a folder with files."))

    def _add_source(
        self, key: str, open_source: Callable[[], Source], media_type: str, metadata: dict[str, str]
    ) -> None:
        source: Source | None = None
        error: VVOSError | None = None
        try:
            check_key(key)
            source = open_source()
        except VVOSError as failed:
            error = failed
        self._entries.append(_Entry(key, source, error, media_type or guess_type(key), metadata))

    def _refuse_duplicates(self) -> None:
        seen: set[str] = set()
        for entry in self._entries:
            if entry.error is not None:
                continue  # nothing of it is sent; and the error of a folder has no key of its own
            if entry.key in seen:
                raise DuplicateKey(
                    f"two files have the key {shown(entry.key)}; give one of them another key.", key=entry.key
                )
            seen.add(entry.key)


class _Reporter:
    """Hears what the engine tells, and calls the user's callbacks."""

    def __init__(self, entries: list[_Entry], on_result: OnResult | None, on_progress: OnProgress | None) -> None:
        self._entries = entries
        self._on_result = on_result
        self._on_progress = on_progress
        self._results: list[Result | None] = [None] * len(entries)
        self._last_error: VVOSError | None = None
        self._tracker = Tracker(
            files_total=len(entries), bytes_total=sum(entry.source.size for entry in entries if entry.source)
        )

    def refused(self) -> None:
        """Report what was refused before anything was sent."""
        for number, entry in enumerate(self._entries):
            if entry.error is not None:
                self._tracker.count_ended(entry.source.size if entry.source else 0)
                self._report(
                    number,
                    Result(
                        client_key=entry.key,
                        key="",
                        url="",
                        size=0,
                        state="failed",
                        checksum="",
                        reused=False,
                        error=entry.error,
                    ),
                )

    def changed(self, job: Job) -> None:
        self._tracker.changed(job)

    def ended(self, job: Job) -> None:
        self._tracker.ended(job)
        upload = job.upload
        result = Result(
            client_key=job.client_key,
            key=upload.grant.key if upload.grant else "",
            url=upload.url,
            size=upload.size,
            state=upload.state.value,
            checksum=upload.checksum,
            reused=upload.reused,
            error=upload.error,
        )
        self._report(upload.number, result)

    def tick(self, last: bool = False) -> None:
        if self._on_progress and (last or self._tracker.due()):
            error, self._last_error = self._last_error, None
            _call_back(self._on_progress, error, self._tracker.progress())

    def results(self) -> list[Result]:
        return [result for result in self._results if result is not None]

    def _report(self, number: int, result: Result) -> None:
        self._results[number] = result
        if result.error is not None:
            self._last_error = result.error
        if self._on_result:
            _call_back(self._on_result, result.error, result)


def _call_back(callback: Callable[..., None], error: VVOSError | None, value: object) -> None:
    try:
        callback(error, value)
    except Exception:  # a fault of the user's callback must not stop the uploads
        log.exception("the callback %r failed", callback)


def _api_settings(api: Mapping[str, str]) -> ApiSettings:
    known = {"gettoken", "exists", "notifier", "provider"}
    for name in api:
        if name not in known:
            raise ConfigError(f"api: {name!r} is not one of {', '.join(sorted(known))}.")
    for name in ("gettoken", "notifier"):
        if not api.get(name):
            raise ConfigError(f"api: the address of {name} is missing.")
    settings, mistakes = check(ApiSettings, api, ("api",), {})
    if settings is None:
        raise refused(mistakes)
    return settings


def _is_one(items: object) -> bool:
    if isinstance(items, str | os.PathLike | bytes | bytearray | memoryview) or hasattr(items, "read"):
        return True
    if not isinstance(items, Iterable):
        raise _no_item(items)
    return isinstance(items, tuple) and len(items) == 2 and isinstance(items[1], str)


def _pair(item: object) -> tuple[Any, str | None]:
    if not isinstance(item, tuple):
        return item, None
    if len(item) != 2 or not isinstance(item[1], str):
        raise BadInput(f"a tuple of {len(item)} is no pair of an item and its key, a string.")
    return item


def _no_item(content: object) -> BadInput:
    return BadInput(f"{type(content).__name__} is no path, no bytes and no binary stream; nothing else can be added.")


def _stream_name(stream: object) -> str:
    name = getattr(stream, "name", None)
    if not isinstance(name, str):
        raise BadInput('this stream has no name; add it with a key: (stream, "film.mp4").')
    return os.path.basename(name)
