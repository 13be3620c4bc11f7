"""The client's face: `VVOS`, which takes files and a callback, and answers a result for every file."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from . import request_token
from .builtin.remote import check_business
from .calls import Calls
from .configuration.config import refused
from .configuration.settings import check
from .engine import Engine
from .entries import Entries, Entry, Item, Pair
from .errors import BadInput, ConfigError
from .job import Job, Order
from .loader import load, remote
from .model import Call
from .profile import ApiSettings, Config, Profile, load as load_config
from .protocol.upload import Upload
from .results import OnProgress, OnResult, Reporter, Result
from .retry import RetryPolicy
from .source import Source


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
        self._entries = Entries()

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
        self._entries.add(items, prefix, type, metadata or {})

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
        self._entries.refuse_duplicates()
        entries, self._entries = self._entries, Entries()
        order = Order(
            batch=uuid.uuid4().hex,
            cover=self._cover,
            client=self._client,
            token_call=calls[0],
            exists_call=calls[1],
            notify_call=calls[2],
        )
        reporter = Reporter(entries, on_result, on_progress)
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
            entries.close()
            reporter.tick(last=True)
        return reporter.results()

    def _job(self, number: int, entry: Entry, source: Source) -> Job:
        upload = Upload(number, source.size, window=self._concurrency)
        return Job(upload, source, entry.key, entry.type, entry.metadata)


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
