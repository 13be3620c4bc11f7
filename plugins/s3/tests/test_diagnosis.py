"""`vvos doctor` at an S3 bucket: a sound one is well; each fault that is staged is found, with what mends it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from vvos_s3.emulator import S3Emulator

from vvos_core import Config, DiagnoseRequest, Profile, Secret
from vvos_core.doctor import examine
from vvos_core.model import Finding
from vvos_core.profile import BrokerSettings

from .conftest import Bench

PAGE = "https://shop.example"
NEEDED = {
    "s3:PutObject": "*",
    "s3:GetObject": "*",
    "s3:ListBucket": "*",
    "s3:ListMultipartUploadParts": "*",
    "s3:AbortMultipartUpload": "*",
    "s3:GetLifecycleConfiguration": "*",
    "s3:DeleteObject": ".vvos-doctor-*",
}
"""The policy of the README."""
Doctor = Callable[..., "dict[str, Finding]"]


def rule(prefix: str = "", status: str = "Enabled") -> dict[str, Any]:
    return {
        "ID": f"of {prefix}",
        "Filter": {"Prefix": prefix},
        "Status": status,
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
    }


def cors(**changes: Any) -> dict[str, Any]:
    whole = {
        "AllowedOrigins": [PAGE],
        "AllowedMethods": ["GET", "PUT", "POST", "DELETE"],
        "AllowedHeaders": ["*"],
        "ExposeHeaders": ["ETag"],
    }
    return {"CORSRules": [whole | changes]}


@pytest.fixture
def sound(s3_emulator: S3Emulator, s3_client: Any) -> S3Emulator:
    """A bucket as it should be, by the service's own SDK."""
    bucket = s3_emulator.info["bucket"]
    s3_client.put_bucket_cors(Bucket=bucket, CORSConfiguration=cors())
    s3_client.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": [rule()]})
    return s3_emulator


@pytest.fixture
def doctor(sound: S3Emulator) -> Doctor:
    """Examines the bucket with keys that may do what is needed; ``rights`` changes them (None takes one away)."""

    def look(rights: dict[str, str | None] | None = None, **changes: Any) -> dict[str, Finding]:
        allowed = {name: keys for name, keys in {**NEEDED, **(rights or {})}.items() if keys}
        access, secret = sound.add_key(allowed)
        keys = {"access_key": Secret(access), "secret_key": Secret(secret)}
        settings = {**sound.profile(), **keys, **changes}
        profile = Profile(name="资料", provider=str(settings.pop("provider")), settings=settings)
        config = Config(profiles={"资料": profile}, broker=BrokerSettings(cors_origins=(PAGE,)))
        found = examine(config, profile)
        assert len({finding.check for finding in found}) == len(found)
        told = "".join(finding.message + finding.mend for finding in found)
        assert secret not in told
        assert "Signature=" not in told
        return {finding.check: finding for finding in found}

    return look


def diagnosed(bench: Bench) -> dict[str, Finding]:
    """What the provider alone finds, without a trial before."""
    request = DiagnoseRequest(key=".vvos-doctor-1", issued_at=time.time(), origins=(PAGE,))
    return {finding.check: finding for finding in bench.granting.diagnose(request).findings}


def left(client: Any, emulator: S3Emulator) -> list[str]:
    bucket = emulator.info["bucket"]
    objects = [item["Key"] for item in client.list_objects_v2(Bucket=bucket).get("Contents", ())]
    return objects + [item["Key"] for item in client.list_multipart_uploads(Bucket=bucket).get("Uploads", ())]


def test_a_sound_bucket_is_well_and_nothing_is_left(doctor: Doctor, sound: S3Emulator, s3_client: Any) -> None:
    found = doctor()
    assert {finding.verdict for finding in found.values()} == {"ok"}, found
    assert set(found) == {
        *("put", "verify", "overwrite", "parts", "abort"),
        *("bucket", "checksum", "lifecycle", "cors", "copy-header", "rights", "removal", "host", "clock"),
    }
    assert left(s3_client, sound) == []


@pytest.mark.parametrize(
    ("lacking", "check", "verdict"),
    [
        ("s3:PutObject", "put", "fail"),
        ("s3:GetObject", "verify", "fail"),
        ("s3:ListMultipartUploadParts", "parts", "fail"),
        ("s3:ListBucket", "bucket", "warn"),
        ("s3:GetLifecycleConfiguration", "lifecycle", "unknown"),
    ],
)
def test_a_right_that_the_keys_lack(doctor: Doctor, lacking: str, check: str, verdict: str) -> None:
    found = doctor({lacking: None})[check]
    assert found.verdict == verdict
    assert found.mend


def test_what_could_not_be_removed_is_named(doctor: Doctor, sound: S3Emulator, s3_client: Any) -> None:
    found = doctor({"s3:DeleteObject": None, "s3:AbortMultipartUpload": None})
    key, unfinished = left(s3_client, sound)
    assert key.startswith(".vvos-doctor-")
    assert found["removal"].verdict == "warn"
    assert key in found["removal"].message
    assert found["abort"].verdict == "fail"
    assert f"{unfinished!r} is left behind" in found["abort"].message


def test_rights_that_nobody_needs(doctor: Doctor) -> None:
    found = doctor({"s3:ListAllMyBuckets": "*", "s3:DeleteObject": "*"})["rights"]
    assert found.verdict == "warn"
    assert "list all buckets and delete any object" in found.message


@pytest.mark.parametrize(
    ("flaw", "check"),
    [
        ("copy-header", "copy-header"),
        ("overwrite", "overwrite"),
        ("abort", "abort"),
    ],
)
def test_a_service_that_gets_it_wrong(doctor: Doctor, sound: S3Emulator, flaw: str, check: str) -> None:
    sound.flaws.add(flaw)
    found = doctor()[check]
    assert found.verdict == "fail"
    assert found.mend


def test_a_service_that_computes_no_crc64_is_well_with_md5(doctor: Doctor, sound: S3Emulator) -> None:
    sound.flaws.add("checksum")
    found = doctor()
    assert found["verify"].verdict == found["checksum"].verdict == "fail"
    assert 'checksum = "md5"' in found["checksum"].mend
    found = doctor(checksum="md5")
    assert found["verify"].verdict == "ok"
    assert "checksum" not in found


def test_what_a_browser_may_not(bench: Bench, sound: S3Emulator, s3_client: Any) -> None:
    for changes, words in (
        ({"AllowedOrigins": ["https://other.example"]}, "PUT, POST, DELETE"),
        ({"AllowedMethods": ["GET", "POST", "DELETE"]}, "PUT"),
        ({"AllowedMethods": ["GET", "PUT", "POST"]}, "DELETE"),
        ({"AllowedHeaders": ["content-*"]}, "PUT, POST"),
        ({"ExposeHeaders": []}, "read ETag"),
    ):
        s3_client.put_bucket_cors(Bucket=sound.info["bucket"], CORSConfiguration=cors(**changes))
        found = diagnosed(bench)["cors"]
        assert found.verdict == "fail"
        assert f"pages of {PAGE} {words}" in found.message
        assert "ExposeHeaders ETag" in found.mend


def test_unfinished_uploads_that_nobody_deletes(bench: Bench, sound: S3Emulator, s3_client: Any) -> None:
    bucket = sound.info["bucket"]
    for rules, words in (
        ([], "no rule"),
        ([rule(status="Disabled")], "no rule"),
        ([rule("影片/")], "only where a rule says so: '影片/'"),
        ([{"ID": "x", "Filter": {"Prefix": ""}, "Status": "Enabled", "Expiration": {"Days": 9}}], "no rule"),
    ):
        s3_client.delete_bucket_lifecycle(Bucket=bucket)
        if rules:
            s3_client.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": rules})
        found = diagnosed(bench)["lifecycle"]
        assert found.verdict == "warn"
        assert words in found.message
        assert "AbortIncompleteMultipartUpload" in found.mend


def test_a_versioned_bucket_keeps_no_trace(doctor: Doctor, sound: S3Emulator, s3_client: Any) -> None:
    bucket = sound.info["bucket"]
    s3_client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    found = doctor()
    assert found["removal"].verdict == "ok"
    assert "was not tried" in found["rights"].message
    versions = s3_client.list_object_versions(Bucket=bucket)
    assert not versions.get("Versions")
    assert not versions.get("DeleteMarkers")


@pytest.mark.parametrize(("seconds", "verdict"), [(20, "ok"), (-100, "warn"), (3600, "fail")])
def test_clocks_that_differ(doctor: Doctor, bench: Bench, seconds: int, verdict: str) -> None:
    bench.later(seconds)
    found = doctor()
    assert found["clock"].verdict == verdict
    if verdict == "fail":
        assert found["put"].verdict == "fail"


@pytest.mark.parametrize(
    ("changes", "words"), [({"bucket": "no-such"}, "no bucket no-such"), ({"region": "eu-west-1"}, "is in us-east-1")]
)
def test_another_bucket_than_there_is(doctor: Doctor, changes: dict[str, Any], words: str) -> None:
    found = doctor(**changes)
    assert found["bucket"].verdict == "fail"
    assert words in found["bucket"].message
    assert found["put"].verdict == "fail"


def test_keys_that_nobody_knows(doctor: Doctor) -> None:
    found = doctor(secret_key=Secret("wrong" * 8))
    assert found["put"].verdict == "fail"
    assert found["host"].verdict == "ok"


def test_a_host_that_is_not_there(doctor: Doctor, free_port: int) -> None:
    found = doctor(endpoint=f"http://127.0.0.1:{free_port}")
    assert found["host"].verdict == "fail"
    assert found["put"].verdict == found["bucket"].verdict == "unknown"
    assert set(found) == {"put", "bucket", "host"}


@pytest.fixture
def free_port() -> Iterator[int]:
    """A port that is taken, and where nobody listens."""
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]
