"""VVOS through a broker: its public face, as an application uses it."""

from __future__ import annotations

from pathlib import Path

from vvos_core import VVOS
from vvos_core.journal import database as _database  # noqa: F401  # imported first, as the peers are
from vvos_core.loader import storing

from ..task import Task, Work


def vvos(task: Task) -> Work:
    api = {name: f"{task.broker}/{name}" for name in ("gettoken", "exists", "notifier")}
    client = VVOS(api=api)
    # Imported first, as the peers are: what VVOS else imports in its first upload.
    for provider in ("s3", "aliyun", "qiniu"):
        storing(provider).checksum.new()
    folder = Path(task.folder)

    def work() -> None:
        if task.name:
            client.add_files((str(folder / task.name), task.prefix + task.name))
        else:
            client.add_files(str(folder), prefix=task.prefix)
        failed = [result for result in client.submit() if not result.ok]
        if failed:
            raise RuntimeError(f"{len(failed)} failed: {failed[0].error}")

    return work
