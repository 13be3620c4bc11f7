"""boto3 and minio: S3 through urllib3."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

from ..task import ACCESS_KEY, BUCKET, REGION, SECRET_KEY, Task, Work


def boto3(task: Task) -> Work:
    import boto3 as sdk
    from boto3.s3.transfer import TransferConfig
    from botocore.config import Config

    threads, part = int(task.settings["threads"]), int(task.settings.get("part", 8)) << 20
    when = "when_supported" if task.settings["checksum"] == "default" else "when_required"
    config = Config(
        max_pool_connections=threads,
        request_checksum_calculation=when,
        response_checksum_validation=when,
        s3={"addressing_style": "path"},
    )
    client: Any = sdk.client(
        "s3",
        region_name=REGION,
        endpoint_url=task.endpoint,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
        verify=task.authority or None,
        config=config,
    )
    transfer = TransferConfig(multipart_threshold=part, multipart_chunksize=part, max_concurrency=threads)

    def one(name: str) -> None:
        with open(os.path.join(task.folder, name), "rb") as file:
            client.put_object(Bucket=BUCKET, Key=task.prefix + name, Body=file)

    def work() -> None:
        if task.name:
            path = os.path.join(task.folder, task.name)
            client.upload_file(path, BUCKET, task.prefix + task.name, Config=transfer)
        else:
            with ThreadPoolExecutor(threads) as pool:
                list(pool.map(one, os.listdir(task.folder)))

    return work


def minio(task: Task) -> Work:
    import urllib3
    from minio import Minio

    threads, part = int(task.settings["threads"]), int(task.settings["part"]) << 20
    address = urlsplit(task.endpoint)
    pool = urllib3.PoolManager(maxsize=threads, ca_certs=task.authority or None)
    secure = address.scheme == "https"
    client = Minio(
        endpoint=address.netloc,
        access_key=ACCESS_KEY,
        secret_key=SECRET_KEY,
        secure=secure,
        region=REGION,
        http_client=pool,
    )

    def work() -> None:
        client.fput_object(
            bucket_name=BUCKET,
            object_name=task.prefix + task.name,
            file_path=os.path.join(task.folder, task.name),
            part_size=part,
            num_parallel_uploads=threads,
        )

    return work
