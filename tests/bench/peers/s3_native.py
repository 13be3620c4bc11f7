"""obstore, opendal and awscrt: S3 in Rust and in C, called from Python."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ..task import ACCESS_KEY, BUCKET, REGION, SECRET_KEY, Task, Work


def obstore(task: Task) -> Work:
    import obstore as library
    from obstore.store import S3Store

    config: Any = {"checksum_algorithm": "SHA256"} if task.settings["checksum"] == "sha256" else {}
    store = S3Store(
        BUCKET,
        endpoint=task.endpoint,
        region=REGION,
        access_key_id=ACCESS_KEY,
        secret_access_key=SECRET_KEY,
        unsigned_payload=True,
        client_options={"allow_http": True, "allow_invalid_certificates": bool(task.authority)},
        **config,
    )
    many, part = int(task.settings["threads"]), int(task.settings.get("part", 8)) << 20

    async def one(name: str) -> None:
        data = Path(task.folder, name).read_bytes()
        await library.put_async(store, task.prefix + name, data, use_multipart=False)

    def work() -> None:
        if task.name:
            path = Path(task.folder, task.name)
            key = task.prefix + task.name
            library.put(store, key, path, use_multipart=True, chunk_size=part, max_concurrency=many)
        else:
            asyncio.run(_each(one, os.listdir(task.folder), many))

    return work


def opendal(task: Task) -> Work:
    import opendal as library

    many, part = int(task.settings["threads"]), int(task.settings.get("part", 8)) << 20
    options: dict[str, str] = {
        "bucket": BUCKET,
        "endpoint": task.endpoint,
        "region": REGION,
        "access_key_id": ACCESS_KEY,
        "secret_access_key": SECRET_KEY,
    }
    if task.settings["checksum"] != "none":
        options["checksum_algorithm"] = str(task.settings["checksum"])

    def whole() -> None:
        operator: Any = library.Operator("s3", **options)
        with (
            open(os.path.join(task.folder, task.name), "rb") as source,
            operator.open(task.prefix + task.name, "wb", chunk=part, concurrent=many) as target,
        ):
            while block := source.read(part):
                target.write(block)

    async def all_of_them() -> None:
        operator: Any = library.AsyncOperator("s3", **options)

        async def one(name: str) -> None:
            await operator.write(task.prefix + name, Path(task.folder, name).read_bytes())

        await _each(one, os.listdir(task.folder), many)

    return whole if task.name else lambda: asyncio.run(all_of_them())


def awscrt(task: Task) -> Work:
    from awscrt import auth, http, io, s3

    part = int(task.settings["part"]) << 20
    address = urlsplit(task.endpoint)
    bootstrap = io.ClientBootstrap(
        group := io.EventLoopGroup(int(task.settings["threads"])), io.DefaultHostResolver(group)
    )
    credentials = auth.AwsCredentialsProvider.new_static(ACCESS_KEY, SECRET_KEY)
    signing = auth.AwsSigningConfig(
        algorithm=auth.AwsSigningAlgorithm.V4,
        credentials_provider=credentials,
        region=REGION,
        service="s3",
        use_double_uri_encode=False,
        should_normalize_uri_path=False,
        signed_body_value=auth.AwsSignedBodyValue.UNSIGNED_PAYLOAD,
    )
    client = s3.S3Client(
        bootstrap=bootstrap,
        region=REGION,
        tls_mode=s3.S3RequestTlsMode.DISABLED,
        signing_config=signing,
        part_size=part,
        throughput_target_gbps=50,
    )
    size = os.path.getsize(os.path.join(task.folder, task.name))
    checksum = None
    if task.settings["checksum"] != "none":
        checksum = s3.S3ChecksumConfig(
            algorithm=s3.S3ChecksumAlgorithm[str(task.settings["checksum"])], location=s3.S3ChecksumLocation.TRAILER
        )

    def work() -> None:
        headers = [
            ("Host", address.netloc),
            ("Content-Length", str(size)),
            ("Content-Type", "application/octet-stream"),
        ]
        client.make_request(
            type=s3.S3RequestType.PUT_OBJECT,
            request=http.HttpRequest("PUT", f"/{BUCKET}/{task.prefix}{task.name}", http.HttpHeaders(headers)),
            send_filepath=os.path.join(task.folder, task.name),
            checksum_config=checksum,
        ).finished_future.result()

    return work


async def _each(do: Callable[[str], Awaitable[None]], names: list[str], many: int) -> None:
    """``do`` for each name, so many at once."""
    rest = iter(names)

    async def worker() -> None:
        for name in rest:
            await do(name)

    await asyncio.gather(*(worker() for _ in range(many)))
