"""The other tools: each uploads one file, or a folder of small ones, as well as it can."""

from __future__ import annotations

import importlib

from ..task import Task, Work

_MODULES = {
    "boto3": "s3_python",
    "minio": "s3_python",
    "awscrt": "s3_native",
    "obstore": "s3_native",
    "opendal": "s3_native",
    "oss2": "aliyun",
    "qiniu": "qiniu",
    "vvos": "vvos",
}


def prepare(task: Task) -> Work:
    """Import the library of a task and make its client; answers what is then measured."""
    module = importlib.import_module(f"{__name__}.{_MODULES[task.contender]}")
    work: Work = getattr(module, task.contender)(task)
    return work
