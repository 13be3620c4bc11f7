"""`vvos doctor` at an OSS bucket: a sound one is well; each fault that is staged is found, with what mends it."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import oss2  # type: ignore[import-untyped,unused-ignore]  # ships no types
import pytest
from oss2.models import (  # type: ignore[import-untyped,unused-ignore]  # ships no types
    AbortMultipartUpload,
    BucketCors,
    BucketLifecycle,
    CorsRule,
    LifecycleRule,
)
from vvos_aliyun.emulator import AliyunEmulator

from vvos_core import Config, DiagnoseRequest, Profile, Secret
from vvos_core.doctor import examine
from vvos_core.model import Finding
from vvos_core.profile import BrokerSettings

from .conftest import Bench

PAGE = "https://shop.example"
OBJECTS = ("PutObject", "GetObject", "ListParts", "AbortMultipartUpload")
BUCKET = ("GetBucketInfo", "GetBucketLifecycle")
Doctor = Callable[..., "dict[str, Finding]"]


def policy(bucket: str, lacking: str = "", more: tuple[str, ...] = ()) -> str:
    """The policy of the README, but for one action, and with more."""
    everything = f"acs:oss:*:*:{bucket}"
    statements = [
        {"Effect": "Allow", "Action": [f"oss:{name}" for name in names if name != lacking], "Resource": [resource]}
        for names, resource in (
            (OBJECTS, f"{everything}/*"),
            (BUCKET, everything),
            (("DeleteObject",), f"{everything}/.vvos-doctor-*"),
            (more, "*"),
        )
        if set(names) - {lacking}
    ]
    return json.dumps({"Version": "1", "Statement": statements})


def cors(**changes: Any) -> Any:
    whole: dict[str, Any] = {
        "allowed_origins": [PAGE],
        "allowed_methods": ["GET", "HEAD", "PUT", "POST", "DELETE"],
        "allowed_headers": ["*"],
        "expose_headers": ["ETag", "x-oss-hash-crc64ecma"],
    }
    return BucketCors([CorsRule(**(whole | changes))])


def lifecycle(prefix: str = "", status: str = LifecycleRule.ENABLED) -> Any:
    rule = LifecycleRule("parts", prefix, status=status, abort_multipart_upload=AbortMultipartUpload(days=7))
    return BucketLifecycle([rule])


@pytest.fixture
def bucket(aliyun_emulator: AliyunEmulator) -> Iterator[Any]:
    """A bucket as it should be, by the service's own SDK."""
    info = aliyun_emulator.info
    auth = oss2.AuthV4(info["access_key"], info["secret_key"])
    bucket = oss2.Bucket(auth, info["endpoint"], info["bucket"], region=info["region"])
    bucket.put_bucket_cors(cors())
    bucket.put_bucket_lifecycle(lifecycle())
    yield bucket
    bucket.session.session.close()


@pytest.fixture
def doctor(aliyun_emulator: AliyunEmulator, bucket: Any) -> Doctor:
    """Examines the bucket with the keys of a user who may do what is needed, but for one action, and more."""

    def look(lacking: str = "", more: tuple[str, ...] = (), **changes: Any) -> dict[str, Finding]:
        access, secret = aliyun_emulator.add_key(policy(bucket.bucket_name, lacking, more))
        keys = {"access_key": Secret(access), "secret_key": Secret(secret)}
        settings = {**aliyun_emulator.profile(), **keys, **changes}
        profile = Profile(name="资料", provider=str(settings.pop("provider")), settings=settings)
        config = Config(profiles={"资料": profile}, broker=BrokerSettings(cors_origins=(PAGE,)))
        found = examine(config, profile)
        assert len({finding.check for finding in found}) == len(found)
        told = "".join(finding.message + finding.mend for finding in found)
        assert secret not in told
        assert "signature=" not in told
        return {finding.check: finding for finding in found}

    return look


def diagnosed(bench: Bench) -> dict[str, Finding]:
    """What the provider alone finds, without a trial before."""
    request = DiagnoseRequest(key=".vvos-doctor-1", issued_at=time.time(), origins=(PAGE,))
    return {finding.check: finding for finding in bench.granting.diagnose(request).findings}


def left(bucket: Any) -> list[str]:
    objects = [item.key for item in bucket.list_objects().object_list]
    return objects + [item.key for item in bucket.list_multipart_uploads().upload_list]


def test_a_sound_bucket_is_well_and_nothing_is_left(doctor: Doctor, bucket: Any) -> None:
    found = doctor()
    assert {finding.verdict for finding in found.values()} == {"ok"}, found
    assert set(found) == {
        *("put", "verify", "overwrite", "parts", "abort"),
        *("bucket", "lifecycle", "cors", "copy-header", "rights", "removal", "host", "clock"),
    }
    assert left(bucket) == []


@pytest.mark.parametrize(
    ("lacking", "check", "verdict"),
    [
        ("PutObject", "put", "fail"),
        ("GetObject", "verify", "fail"),
        ("ListParts", "parts", "fail"),
        ("GetBucketInfo", "bucket", "unknown"),
        ("GetBucketLifecycle", "lifecycle", "unknown"),
    ],
)
def test_a_right_that_the_keys_lack(doctor: Doctor, lacking: str, check: str, verdict: str) -> None:
    found = doctor(lacking)[check]
    assert found.verdict == verdict
    assert found.mend


def test_what_could_not_be_removed_is_named(doctor: Doctor, bucket: Any) -> None:
    found = doctor("DeleteObject")["removal"]
    (key,) = left(bucket)
    assert key.startswith(".vvos-doctor-")
    assert found.verdict == "warn"
    assert key in found.message


def test_an_upload_that_could_not_be_aborted_is_named(doctor: Doctor, bucket: Any) -> None:
    found = doctor("AbortMultipartUpload")["abort"]
    (key,) = left(bucket)
    assert found.verdict == "fail"
    assert f"{key!r} is left behind" in found.message


def test_rights_that_nobody_needs(doctor: Doctor) -> None:
    found = doctor(more=("ListBuckets", "DeleteObject"))["rights"]
    assert found.verdict == "warn"
    assert "list all buckets and delete any object" in found.message


@pytest.mark.parametrize("flaw", ["copy-header", "overwrite", "abort"])
def test_a_service_that_gets_it_wrong(doctor: Doctor, aliyun_emulator: AliyunEmulator, flaw: str) -> None:
    aliyun_emulator.flaws.add(flaw)
    found = doctor()[flaw]
    assert found.verdict == "fail"
    assert found.mend


def test_what_a_browser_may_not(bench: Bench, bucket: Any) -> None:
    for changes, words in (
        ({"allowed_origins": ["https://other.example"]}, "PUT, POST, DELETE, HEAD"),
        ({"allowed_methods": ["GET", "HEAD", "POST", "DELETE"]}, "PUT"),
        ({"allowed_headers": ["content-*"]}, "PUT, POST"),
        ({"expose_headers": ["ETag"]}, "read x-oss-hash-crc64ecma"),
    ):
        bucket.put_bucket_cors(cors(**changes))
        found = diagnosed(bench)["cors"]
        assert found.verdict == "fail"
        assert f"pages of {PAGE} {words}" in found.message
        assert "AllowedHeader *" in found.mend


def test_unfinished_uploads_that_nobody_deletes(bench: Bench, bucket: Any) -> None:
    for rules, words in (
        (None, "no rule"),
        (lifecycle(status=LifecycleRule.DISABLED), "no rule"),
        (lifecycle("影片/"), "only where a rule says so: '影片/'"),
    ):
        bucket.delete_bucket_lifecycle()
        if rules is not None:
            bucket.put_bucket_lifecycle(rules)
        found = diagnosed(bench)["lifecycle"]
        assert found.verdict == "warn"
        assert words in found.message
        assert "lifecycle rule" in found.mend


@pytest.mark.parametrize(("seconds", "verdict"), [(20, "ok"), (-100, "warn"), (3600, "fail")])
def test_clocks_that_differ(doctor: Doctor, aliyun_emulator: AliyunEmulator, seconds: int, verdict: str) -> None:
    aliyun_emulator.clock = lambda: time.time() + seconds
    found = doctor()
    assert found["clock"].verdict == verdict
    if verdict == "fail":
        assert found["put"].verdict == "fail"


@pytest.mark.parametrize(
    ("changes", "words"), [({"bucket": "no-such"}, "no bucket no-such"), ({"region": "cn-beijing"}, "region")]
)
def test_another_bucket_than_there_is(doctor: Doctor, changes: dict[str, Any], words: str) -> None:
    found = doctor(more=("PutObject", "GetBucketInfo"), **changes)
    assert found["bucket"].verdict == "fail"
    assert words in found["bucket"].message
    assert found["put"].verdict == "fail"


def test_keys_that_nobody_knows(doctor: Doctor) -> None:
    found = doctor(secret_key=Secret("wrong" * 8))
    assert found["put"].verdict == "fail"
    assert found["host"].verdict == "ok"


def test_a_host_that_is_not_there(doctor: Doctor) -> None:
    with socket.socket() as taken:  # where nobody listens
        taken.bind(("127.0.0.1", 0))
        found = doctor(endpoint=f"http://127.0.0.1:{taken.getsockname()[1]}")
    assert found["host"].verdict == "fail"
    assert found["put"].verdict == found["bucket"].verdict == "unknown"
    assert set(found) == {"put", "bucket", "host"}
