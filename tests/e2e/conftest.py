"""A local S3, a broker before it, and a fault proxy before each: the whole path over real sockets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct
from vvos_s3.emulator import S3Emulator

from vvos_core import VVOS, RetryPolicy, Secret
from vvos_core.broker import create_app
from vvos_core.broker.serve import BrokerServer
from vvos_core.profile import BrokerSettings, Config, Profile
from vvos_core.testing.faults import FaultProxy

QUICK = RetryPolicy(attempts=3, base=0.01, longest=0.05)


class Stage(Struct):
    """What a test plays on."""

    s3: S3Emulator
    to_s3: FaultProxy
    to_broker: FaultProxy
    client: Callable[..., VVOS]

    def read(self, key: str) -> bytes:
        """An object, as boto3 reads it."""
        return b"".join(self.s3.read(key))

    def unfinished(self) -> int:
        """How many multipart uploads are left in the bucket, as boto3 lists them."""
        return len(boto3_client(self.s3).list_multipart_uploads(Bucket=self.s3.info["bucket"]).get("Uploads", []))

    def keys(self) -> list[str]:
        listed = boto3_client(self.s3).list_objects_v2(Bucket=self.s3.info["bucket"])
        return [item["Key"] for item in listed.get("Contents", [])]


def boto3_client(emulator: S3Emulator) -> Any:
    import boto3

    info = emulator.info
    return boto3.client(
        "s3",
        endpoint_url=info["endpoint"],
        aws_access_key_id=info["access_key"],
        aws_secret_access_key=info["secret_key"],
        region_name=info["region"],
    )


def config_for(emulator: S3Emulator, folder: Path, endpoint: str = "", **profile: Any) -> Config:
    """A broker's configuration over the emulator; ``profile`` adds settings of the provider."""
    settings: dict[str, Any] = dict(emulator.profile()) | profile
    if endpoint:
        settings["endpoint"] = endpoint
    on_exists = settings.pop("on_exists", "fail")
    provider = settings.pop("provider")
    return Config(
        profiles={"media": Profile(name="media", provider=provider, on_exists=on_exists, settings=settings)},
        broker=BrokerSettings(
            database=f"sqlite:///{folder / 'broker.db'}",
            seal_keys=(Secret("k" * 40),),
            access="open",
        ),
    )


@pytest.fixture(scope="session")
def emulator() -> Iterator[S3Emulator]:
    with S3Emulator() as running:
        yield running


@pytest.fixture
def stage(emulator: S3Emulator, tmp_path: Path) -> Iterator[Stage]:
    emulator.reset()
    with (
        FaultProxy(emulator.info["endpoint"]) as to_s3,
        BrokerServer(create_app(config_for(emulator, tmp_path, to_s3.url))) as broker,
        FaultProxy(broker.url) as to_broker,
    ):

        def client(**options: Any) -> VVOS:
            api = {name: f"{to_broker.url}/{name}" for name in ("gettoken", "exists", "notifier")}
            return VVOS(api=api, retry=QUICK, **options)

        yield Stage(s3=emulator, to_s3=to_s3, to_broker=to_broker, client=client)
