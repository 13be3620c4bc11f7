"""oss2, with its CRC or without."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

from ..task import ACCESS_KEY, BUCKET, REGION, SECRET_KEY, Task, Work


def oss2(task: Task) -> Work:
    import oss2 as sdk

    threads, part = int(task.settings["threads"]), int(task.settings.get("part", 8)) << 20
    bucket = sdk.Bucket(
        sdk.AuthV4(ACCESS_KEY, SECRET_KEY),
        task.endpoint,
        BUCKET,
        session=sdk.Session(pool_size=threads),
        enable_crc=task.settings["checksum"] == "default",
        region=REGION,
        is_path_style=True,
    )

    def one(name: str) -> None:
        bucket.put_object_from_file(task.prefix + name, os.path.join(task.folder, name))

    def work() -> None:
        if task.name:
            sdk.resumable_upload(
                bucket,
                task.prefix + task.name,
                os.path.join(task.folder, task.name),
                multipart_threshold=part,
                part_size=part,
                num_threads=threads,
            )
        else:
            with ThreadPoolExecutor(threads) as pool:
                list(pool.map(one, os.listdir(task.folder)))

    return work
