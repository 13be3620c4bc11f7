"""The qiniu SDK: resumable v2, and forms in threads."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

from ..task import ACCESS_KEY, BUCKET, SECRET_KEY, Task, Work


def qiniu(task: Task) -> Work:
    import qiniu as sdk
    from qiniu.http.endpoint import Endpoint
    from qiniu.http.region import Region, ServiceName

    hashed = task.settings["checksum"] == "hash"
    part = int(task.settings.get("part", 4)) << 20
    region = Region(services={ServiceName.UP: [Endpoint.from_host(task.endpoint)]})
    sdk.set_default(connection_pool=int(task.settings.get("threads", 1)))
    auth = sdk.Auth(ACCESS_KEY, SECRET_KEY)

    def one(name: str) -> None:
        path, key = os.path.join(task.folder, name), task.prefix + name
        told, info = sdk.put_file(
            auth.upload_token(BUCKET, key),
            key,
            path,
            check_crc=hashed,
            part_size=part,
            version="v2",
            bucket_name=BUCKET,
            regions=[region],
        )
        if told is None:
            raise RuntimeError(str(info))
        # The SDK does not compare; its examples do, like this. Its etag() knows parts of 4 MiB only.
        if hashed and told["hash"] != sdk.etag(path):
            raise RuntimeError("the hash is another")

    def work() -> None:
        if task.name:
            one(task.name)
        else:
            with ThreadPoolExecutor(int(task.settings["threads"])) as pool:
                list(pool.map(one, os.listdir(task.folder)))

    return work
