"""`vvos doctor` at a Kodo bucket: a sound one is well; each fault that is staged is found, with what mends it."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest
from qiniu import Auth, BucketManager  # type: ignore[import-untyped,unused-ignore]  # ships no types
from qiniu.http.endpoint import Endpoint  # type: ignore[import-untyped,unused-ignore]  # ships no types
from qiniu.http.region import Region, ServiceName  # type: ignore[import-untyped,unused-ignore]  # as above
from vvos_qiniu.emulator import QiniuEmulator

from vvos_core import Config, Profile, Secret
from vvos_core.doctor import examine
from vvos_core.model import Finding
from vvos_core.profile import BrokerSettings

from .conftest import Bench

PAGE = "https://shop.example"
NEEDED = {"Upload": "*", "ListParts": "*", "AbortMultipartUpload": "*", "Stat": "*", "Delete": ".vvos-doctor-*"}
"""The policy of the README."""
Doctor = Callable[..., "dict[str, Finding]"]


@pytest.fixture
def doctor(qiniu_emulator: QiniuEmulator) -> Doctor:
    """Examines the bucket with keys that may do what is needed; ``rights`` changes them (None takes one away)."""

    def look(rights: dict[str, str | None] | None = None, **changes: Any) -> dict[str, Finding]:
        allowed = {name: keys for name, keys in {**NEEDED, **(rights or {})}.items() if keys}
        access, secret = qiniu_emulator.add_key(allowed)
        keys = {"access_key": Secret(access), "secret_key": Secret(secret)}
        settings = {**qiniu_emulator.profile(), **keys, **changes}
        profile = Profile(name="资料", provider=str(settings.pop("provider")), settings=settings)
        config = Config(profiles={"资料": profile}, broker=BrokerSettings(cors_origins=(PAGE,)))
        found = examine(config, profile)
        told = "".join(finding.message + finding.mend for finding in found)
        assert secret not in told
        assert access not in told
        return {finding.check: finding for finding in found}

    return look


def left(bench: Bench) -> list[str]:
    """The objects that are there, by the service's own SDK."""
    info = bench.emulator.info
    region = Region(services={ServiceName.RSF: [Endpoint.from_host(info["endpoint"])]})
    auth = Auth(info["access_key"], info["secret_key"])
    told = BucketManager(auth, regions=[region], preferred_scheme="http").list(info["bucket"])[0]
    return [item["key"] for item in told["items"]]


@pytest.mark.parametrize("version", ["v2", "v1"])
def test_a_sound_bucket_is_well_and_nothing_is_left(doctor: Doctor, bench: Bench, version: str) -> None:
    found = doctor(version=version)
    assert {finding.verdict for finding in found.values()} == {"ok"}, found
    assert set(found) == {
        *("put", "verify", "overwrite", "parts", "abort"),
        *("bucket", "lifecycle", "cors", "rights", "removal", "host", "clock"),
    }
    assert left(bench) == []


@pytest.mark.parametrize(
    ("lacking", "check"),
    [("Upload", "put"), ("Stat", "verify"), ("ListParts", "parts"), ("AbortMultipartUpload", "abort")],
)
def test_a_right_that_the_keys_lack(doctor: Doctor, lacking: str, check: str) -> None:
    found = doctor({lacking: None})[check]
    assert found.verdict == "fail"
    assert found.mend


def test_what_could_not_be_removed_is_named(doctor: Doctor, bench: Bench) -> None:
    found = doctor({"Delete": None})["removal"]
    (key,) = left(bench)
    assert key.startswith(".vvos-doctor-")
    assert found.verdict == "warn"
    assert key in found.message


def test_rights_that_nobody_needs(doctor: Doctor) -> None:
    found = doctor({"Delete": "*", "Buckets": "*"})["rights"]
    assert found.verdict == "warn"
    assert "list all buckets and delete any object" in found.message


@pytest.mark.parametrize("flaw", ["cors", "overwrite", "abort"])
def test_a_service_that_gets_it_wrong(doctor: Doctor, qiniu_emulator: QiniuEmulator, flaw: str) -> None:
    qiniu_emulator.flaws.add(flaw)
    found = doctor()[flaw]
    assert found.verdict == "fail"
    assert found.mend


@pytest.mark.parametrize(("seconds", "verdict"), [(20, "ok"), (-100, "warn"), (3600, "fail")])
def test_clocks_that_differ(doctor: Doctor, bench: Bench, seconds: int, verdict: str) -> None:
    bench.later(seconds)
    found = doctor()
    assert found["clock"].verdict == verdict
    if verdict == "fail":
        assert found["put"].verdict == "fail"
        assert "clocks" in found["put"].mend


def test_another_bucket_than_there_is(doctor: Doctor) -> None:
    found = doctor(bucket="no-such")
    assert found["bucket"].verdict == "fail"
    assert "no bucket no-such" in found["bucket"].message
    assert found["put"].verdict == "fail"


def test_keys_that_nobody_knows(doctor: Doctor) -> None:
    found = doctor(secret_key=Secret("wrong" * 8))
    assert found["put"].verdict == "fail"
    assert found["host"].verdict == "ok"


def test_a_host_that_is_not_there(doctor: Doctor) -> None:
    with socket.socket() as taken:  # where nobody listens
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        found = doctor(endpoint=url, domain=url)
    assert found["host"].verdict == "fail"
    assert found["put"].verdict == found["bucket"].verdict == "unknown"
    assert set(found) == {"put", "bucket", "host"}
