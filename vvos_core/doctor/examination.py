"""Examines a deployment: broker, bucket and hosts, each within bounded time."""

from __future__ import annotations

import secrets
import time
from functools import partial

from ..calls import Calls, Store
from ..errors import VVOSError
from ..http import Http
from ..loader import load, storing
from ..model import DiagnoseRequest, Diagnosis, Finding
from ..profile import Config, Profile
from .broker import addresses, check_broker, origin
from .hosts import TIMEOUT, check_host
from .together import together
from .trial import Trial

KEY = ".vvos-doctor-"
"""What every key begins with under which something is tried."""
BUCKET_SECONDS = 90.0
"""How long all that is tried in the bucket may take."""
HOST_SECONDS = 30.0
"""How long one host may take: to be found, to connect, to answer, to show its certificate."""


def examine(config: Config, profile: Profile | None) -> list[Finding]:
    """Everything that was found: of the broker, of ``profile``'s bucket, and of every host of both.

    Raises ``ConfigError`` and ``PluginError`` for a profile that cannot be loaded, before anything is sent.
    """
    calls, store = (load(profile), storing(profile.provider)) if profile is not None else (None, None)
    http = Http(timeout=(TIMEOUT, TIMEOUT))
    origins = config.broker.cors_origins
    api = addresses(config)
    findings: list[Finding] = []
    if not origins:
        message = "broker.cors_origins names no origin, so no page of a browser uploads here."
        findings.append(Finding(check="cors", verdict="ok", message=message))
    hosts: list[str] = []
    if api is not None:
        hosts.append(origin(api))
        (broker,) = together([lambda: list(check_broker(http, api, origins))], BUCKET_SECONDS)
        findings += _late("broker", "the broker", BUCKET_SECONDS) if broker is None else broker
    if calls is not None and store is not None:
        key = KEY + secrets.token_hex(8)
        (bucket,) = together([lambda: _examined(calls, store, key, origins)], BUCKET_SECONDS)
        if bucket is None:
            findings += _late("bucket", f"the bucket, and something may be left under {key!r}", BUCKET_SECONDS)
        else:
            findings += bucket.findings
            hosts += bucket.hosts
    urls = list(dict.fromkeys(hosts))
    for url, found in zip(urls, together([partial(check_host, http, url) for url in urls], HOST_SECONDS), strict=True):
        findings += _late("host", url, HOST_SECONDS) if found is None else found
    http.close()
    return findings


def _examined(calls: Calls, store: Store, key: str, origins: tuple[str, ...]) -> Diagnosis:
    now = time.time()
    tried = tuple(Trial(calls, store, key, now).run())
    try:
        diagnosis = calls.diagnose(DiagnoseRequest(key=key, issued_at=now, origins=origins))
    except VVOSError as error:
        return Diagnosis(findings=(*tried, Finding(check="bucket", verdict="unknown", message=error.message)))
    if diagnosis is None:
        message = f"the provider {calls.name} does not say more of its bucket; an object {key!r} may be left in it."
        return Diagnosis(findings=(*tried, Finding(check="bucket", verdict="unknown", message=message)))
    return Diagnosis(hosts=diagnosis.hosts, findings=(*tried, *diagnosis.findings))


def _late(check: str, what: str, seconds: float) -> list[Finding]:
    message = f"{seconds:.0f} s were not enough for {what}."
    return [Finding(check=check, verdict="unknown", message=message, mend="see the other lines, and try again.")]
