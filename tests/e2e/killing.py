"""A real ``vvos put`` through a real ``vvos serve`` to a local cloud, killed and run again, and what came of it."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from hashlib import sha256
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from msgspec import Struct

from vvos_core import Secret
from vvos_core.broker.app import open_ledger
from vvos_core.broker.leftovers import Leftovers
from vvos_core.broker.profiles import Profiles
from vvos_core.broker.sweeping import Sweeping
from vvos_core.journal import Journal
from vvos_core.loader import load
from vvos_core.profile import load as load_config
from vvos_core.testing.faults import FaultProxy, Seen, answer, cut, reset, swallow

from ..broker.receiving import SECRET, Receiver
from .fault_matrix import CLOUDS

PARTS = 12
CONCURRENCY = 8
"""Chunks that the command line sends at once."""
LAUNCH = """
import os, signal, sqlite3, sys

class Mortal(sqlite3.Connection):
    '''Dies before or after the n-th transaction that writes.'''
    left, writes = int(os.environ["DIE_AT"]), False
    def execute(self, sql, *more):
        if sql.startswith("BEGIN"):
            Mortal.writes = sql == "BEGIN IMMEDIATE"
        ends = sql == "COMMIT" and Mortal.writes
        Mortal.left -= ends
        if ends and not Mortal.left and os.environ["DIE"] == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        done = super().execute(sql, *more)
        if ends and not Mortal.left:
            os.kill(os.getpid(), signal.SIGKILL)
        return done

connect = sqlite3.connect
sqlite3.connect = lambda *args, **options: connect(*args, **{"factory": Mortal, **options})
from vvos_core.cli import main
sys.exit(main())
"""
PLAIN = "import sys; from vvos_core.cli import main; sys.exit(main())"


class Tally(Struct):
    """What became of the runs against one provider."""

    runs: int = 0
    kills: int = 0
    faults: int = 0
    again: list[int] = []
    """Bytes of parts sent again, of each upload that was killed once."""
    wrong: int = 0
    """Objects whose SHA-256 is another, or which are not there."""
    reasons: list[str] = []
    """What was said of these."""
    orphans: int = 0
    """Unfinished uploads in the bucket after a sweep."""
    strange: int = 0
    """Deliveries of one event under more than one id, and events that nobody heard of."""


class Theatre:
    """A cloud, a broker process before it, a fault proxy before each, and a receiver of webhooks."""

    def __init__(self, name: str, folder: Path, stack: ExitStack) -> None:
        cloud = CLOUDS[name]
        self.name = name
        self.folder = folder
        (point,) = entry_points(group="vvos.emulators", name=cloud.emulator)
        self.emulator: Any = stack.enter_context(point.load()())
        self.to_cloud = stack.enter_context(FaultProxy(self.emulator.info["endpoint"]))
        self.receiver = stack.enter_context(Receiver())
        settings = dict(self.emulator.profile()) | dict(cloud.settings)
        for host in cloud.hosts:
            settings[host] = self.to_cloud.url if host == "endpoint" else [self.to_cloud.url]
        self.part = int(settings.get("part_size", 4 * 2**20))
        self.env = {"SEAL": "k" * 40, "HOOK": SECRET}
        self.config = folder / "broker.toml"
        self.config.write_text(self._toml(settings), encoding="utf-8")
        self.broker = stack.enter_context(self._serve())
        self.to_broker = stack.enter_context(FaultProxy(self.broker))
        self.tally = Tally()

    def _toml(self, settings: dict[str, Any]) -> str:
        lines = ["[profiles.local]"]
        for setting, value in settings.items():
            if isinstance(value, Secret):
                self.env[setting.upper()] = value.reveal()
                lines.append(f'{setting} = {{ env = "{setting.upper()}" }}')
            else:
                lines.append(f"{setting} = {json.dumps(value)}")
        database = json.dumps(f"sqlite:///{self.folder / 'broker.db'}")
        lines += ["[broker]", 'access = "open"', 'seal_keys = [{ env = "SEAL" }]', f"database = {database}"]
        lines += ["sweep_every = 0", "[[broker.webhooks]]", 'name = "app"', f'url = "{self.receiver.url}"']
        return "\n".join([*lines, 'secret = { env = "HOOK" }', "allow_private = true", ""])

    @contextmanager
    def _serve(self) -> Iterator[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", PLAIN, "serve", "--config", str(self.config), "--port", "0"],
            env={**os.environ, **self.env},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        try:
            assert process.stdout is not None
            line = process.stdout.readline().decode()
            yield line.split()[-1]
        finally:
            process.terminate()
            process.wait(30)
            assert process.stdout is not None
            process.stdout.close()

    # ── one run ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def play(self, chance: random.Random, *, kills: int, faults: int = 0) -> None:
        """Put a new file, killed so often; then let it finish, and count."""
        self.tally.runs += 1
        key = f"目录/{self.tally.runs} 影片.bin"
        data = chance.randbytes(self.part * (PARTS - 1) + 70_001)
        path = self.folder / f"{self.tally.runs}.bin"
        path.write_bytes(data)
        last = self.to_cloud.log[-1] if self.to_cloud.log else None
        killed, status = 0, -1
        for _ in range(kills):
            for _ in range(faults):
                self._fault(chance)
            status = self._put_and_kill(chance, path, key)
            killed += status == -signal.SIGKILL
            if status == 0 or self._finished(key):
                break
        if faults:
            self.to_cloud.pass_all()
            self.to_broker.pass_all()
        done = status == 0 or self._finished(key)
        said = "" if done else self._put_calmly(path, key)
        self.tally.kills += killed
        # What a fault made travel twice is not the kill's doing, and of two kills nobody knows whose it was.
        if killed == 1 and not faults:
            self.tally.again.append(self._sent_since(last) - len(data))
        if said or sha256(b"".join(self.emulator.read(key))).digest() != sha256(data).digest():
            self.tally.wrong += 1
            self.tally.reasons.append(f"{self.name}, {key}: {said or 'another SHA-256'}")
        path.unlink()

    def _finished(self, key: str) -> bool:
        """Whether the journal knows it as done: to put it again would be another upload, of which is told again."""
        journal = Journal(self.folder / "state")
        try:
            return any(record.client_key == key and record.state == "finished" for record in journal.records())
        finally:
            journal.close()

    def _put_calmly(self, path: Path, key: str) -> str:
        """What it says when it fails."""
        process = self._put(path, key)
        _, err = process.communicate(timeout=300)
        return err.decode() if process.returncode else ""

    def _fault(self, chance: random.Random) -> None:
        fault = chance.choice([cut(chance.randrange(1, self.part)), swallow(), reset(0), answer(503)])
        proxy = chance.choice([self.to_cloud, self.to_cloud, self.to_broker])
        method = chance.choice(["PUT", "POST"]) if proxy is self.to_cloud else "POST"
        # Nobody can list what an unanswered beginning leaves at Kodo, which removes it by itself after seven days.
        target = r"^(?!.*/uploads$)" if self.name == "qiniu" else ""
        proxy.stage(fault, method, target, nth=chance.randint(1, 9))
        self.tally.faults += 1

    def _put(self, path: Path, key: str, **env: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [
                sys.executable,
                "-c",
                LAUNCH if env else PLAIN,
                "put",
                str(path),
                "--key",
                key,
                "--api",
                self.to_broker.url,
            ],
            env={**os.environ, "VVOS_STATE": str(self.folder / "state"), **env},
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def _put_and_kill(self, chance: random.Random, path: Path, key: str) -> int:
        """Kill it at a write of the journal, or at whatever moment; answers how it ended."""
        if chance.random() < 0.6:
            process = self._put(path, key, DIE_AT=str(chance.randint(1, 9)), DIE=chance.choice(["before", "after"]))
            process.communicate(timeout=300)
        else:
            process = self._put(path, key)
            wanted = len(self.to_cloud.log) + chance.randint(1, PARTS + 4)
            end = time.monotonic() + 60
            while process.poll() is None and len(self.to_cloud.log) < wanted and time.monotonic() < end:
                time.sleep(chance.uniform(0.001, 0.02))  # it is the moment that is random
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
            process.communicate(timeout=60)
        return process.returncode

    def _sent_since(self, last: Seen | None) -> int:
        """Bytes of parts that have come to the cloud after that request."""
        log = self.to_cloud.log
        first = next((index + 1 for index, seen in enumerate(log) if seen is last), 0)
        return sum(seen.body for seen in log[first:] if seen.method == "PUT")

    # ── after all ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def settle(self) -> Tally:
        """Sweep as if the time of all tokens had passed, and count what is left and who was told."""
        os.environ.update(self.env)
        config = load_config(self.config)
        ledger = open_ledger(config)
        try:
            profiles = Profiles(lambda name: load(config.profile(name)), "")
            Sweeping(profiles, Leftovers(ledger), 0.0, lambda: time.time() + 30 * 86400.0).sweep()
        finally:
            ledger.close()
        self.tally.orphans = self.unfinished()
        heard: dict[str, set[str]] = {}
        end = time.monotonic() + 20
        while len({told.key for told in self.receiver.seen}) < self.tally.runs and time.monotonic() < end:
            time.sleep(0.05)  # the broker tells of them in its own time
        for told in self.receiver.seen:
            heard.setdefault(told.key, set()).add(told.id)
        self.tally.strange = self.tally.runs - len(heard) + sum(len(ids) != 1 for ids in heard.values())
        return self.tally

    def unfinished(self) -> int:
        """Unfinished uploads in the bucket, as the SDK lists them; Kodo lists none, so its emulator is looked into."""
        info = self.emulator.info
        if self.name == "s3":
            from .conftest import boto3_client

            return len(boto3_client(self.emulator).list_multipart_uploads(Bucket=info["bucket"]).get("Uploads", []))
        if self.name == "aliyun":
            import oss2

            auth = oss2.AuthV4(info["access_key"], info["secret_key"])
            bucket = oss2.Bucket(auth, info["endpoint"], info["bucket"], region=info["region"])
            return len(bucket.list_multipart_uploads(max_uploads=1000).upload_list)
        return len(self.emulator.gate._parts._uploads)


@contextmanager
def theatre(name: str, folder: Path) -> Iterator[Theatre]:
    with ExitStack() as stack:
        yield Theatre(name, folder, stack)
