"""A process that records uploads and delivers them, and is killed at a chosen moment. Run by ``test_outbox_crash.py``.

Each line on standard input, a JSON object, is done by a fork, so that a crash costs milliseconds: ``do`` (notify,
deliver), ``database``, ``url`` of the receiver, ``keys``, ``die_at`` (0 for never). Each is answered by the exit status
of the fork; it was killed at the moment ``die_at`` where that is -9, and had fewer moments where it is 0.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import sys
from typing import Any

from sqlalchemy import event

from vvos_core.broker.delivery import Delivery
from vvos_core.broker.ledger import Entry, Ledger
from vvos_core.broker.profiles import Profiles
from vvos_core.builtin.webhooks import Webhook
from vvos_core.model import Grant, NotifyRequest, Secret
from vvos_core.profile import WebhookSettings

NOW = 1_800_000_000.0
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="


class Moments:
    """Counts the moments at which a crash would be another crash, and makes one of them the last."""

    def __init__(self, die_at: int) -> None:
        self._left = die_at

    def __call__(self, *_: Any, **__: Any) -> None:
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


class Calls:
    """The profile: one webhook."""

    def __init__(self, url: str, moment: Moments) -> None:
        self._webhook = Webhook(WebhookSettings(name="app", url=url, secret=(Secret(SECRET),), allow_private=True))
        self._moment = moment

    def tell_one(self, listener: str, request: NotifyRequest) -> None:
        self._moment()
        self._webhook.notify(request)
        self._moment()


def run(do: str, database: str, url: str, keys: list[str], die_at: int = 0, now: float = NOW) -> None:
    moment = Moments(die_at)
    ledger = Ledger(database, connections=4)
    for name in ("before_cursor_execute", "commit"):  # after a statement is before the next
        event.listen(ledger._engine, name, moment)
    if do == "notify":
        entries = [
            Entry(
                grant=Grant(provider="fake", key=key, client_key=key, size=5, profile="main", upload_id="u"),
                url=f"https://x/{key}",
                checksum="",
                listeners=("app",),
            )
            for key in keys
        ]
        for request_id in ("1", "2"):  # two uploads of each key: the second is told after the first
            ledger.notify("小明", request_id, entries, now)
            moment()
    else:
        profiles = Profiles(lambda name: Calls(url, moment), "main")  # type: ignore[arg-type, return-value]  # a double
        Delivery(ledger.outbox, profiles, ["app"], clock=lambda: now).drain()
        moment()
    ledger.close()


def main() -> None:
    for name in ("requests.adapters", "urllib3", "psycopg"):  # once, and not in every fork
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    for line in sys.stdin:
        tasks = json.loads(line)
        children = []
        for task in tasks:
            child = os.fork()
            if child == 0:
                status = 1
                try:
                    run(**task)
                    status = 0
                finally:
                    os._exit(status)
            children.append(child)
        statuses = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        sys.stdout.write(json.dumps(statuses) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
