"""The judge is the official SDK, unmodified: what it does with OSS it does here, signing with V1 and V4."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import oss2  # type: ignore[import-untyped,unused-ignore]  # ships no types
import pytest
import requests
from vvos_aliyun.emulator import AliyunEmulator

KEY = "文件/a +%#?&=*~'().bin"


@pytest.fixture(params=["v1", "v4"])
def connect(request: pytest.FixtureRequest, aliyun_emulator: AliyunEmulator) -> Iterator[Callable[..., Any]]:
    """Makes Buckets that sign with one version."""
    made = []

    def bucket(name: str = "", **changes: str) -> Any:
        info = {**aliyun_emulator.info, **changes}
        if "token" in changes:
            auth = oss2.StsAuth(info["access_key"], info["secret_key"], info["token"], request.param)
        else:
            auth = oss2.make_auth(info["access_key"], info["secret_key"], request.param)
        made.append(oss2.Bucket(auth, info["endpoint"], name or info["bucket"], region=info["region"]))
        return made[-1]

    yield bucket
    for one in made:
        one.session.session.close()


@pytest.fixture
def bucket(connect: Callable[..., Any]) -> Any:
    return connect()


def refused(code: str, status: int, do: Callable[[], object]) -> Any:
    """The error that the SDK makes of a refusal."""
    with pytest.raises(oss2.exceptions.OssError) as caught:
        do()
    assert (caught.value.code, caught.value.status) == (code, status)
    assert caught.value.request_id
    return caught.value


def test_put_get_head_delete(bucket: Any) -> None:
    put = bucket.put_object(KEY, b"hello", headers={"x-oss-meta-a": "b", "Cache-Control": "no-cache"})
    assert put.etag == "5D41402ABC4B2A76B9719D911017C592"
    got = bucket.get_object(KEY)
    assert got.read() == b"hello"
    assert got.client_crc == got.server_crc == put.crc
    head = bucket.head_object(KEY)
    assert (head.object_type, head.content_length, head.etag) == ("Normal", 5, put.etag)
    assert (head.headers["x-oss-meta-a"], head.headers["cache-control"]) == ("b", "no-cache")
    assert head.last_modified == got.last_modified
    assert bucket.get_object_meta(KEY).content_length == 5
    bucket.delete_object(KEY)
    bucket.delete_object(KEY)
    assert not bucket.object_exists(KEY)
    refused("NoSuchKey", 404, lambda: bucket.get_object(KEY))
    refused("NoSuchKey", 404, lambda: bucket.head_object(KEY))


def test_bodies_of_every_kind(bucket: Any, tmp_path: Path) -> None:
    content = os.urandom(1_500_000)
    bucket.put_object("generator", (content[i : i + 8192] for i in range(0, len(content), 8192)))  # chunked
    (tmp_path / "文.js").write_bytes(content)
    bucket.put_object_from_file("file", str(tmp_path / "文.js"))
    bucket.put_object("stream", bucket.get_object("file"))
    bucket.put_object("empty", b"")
    for key in ("generator", "file", "stream"):
        assert bucket.get_object(key).read() == content
    assert bucket.get_object("empty").read() == b""
    assert bucket.head_object("file").content_type == "application/javascript"
    bucket.get_object_to_file("file", str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == content


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ((500, None), slice(500, None)),
        ((None, 199), slice(-199, None)),
        ((3, 3), slice(3, 4)),
        ((0, 5000), slice(None)),
    ],
)
def test_ranges(bucket: Any, asked: tuple[int | None, int | None], expected: slice) -> None:
    content = os.urandom(1024)
    bucket.put_object("a", content)
    assert bucket.get_object("a", byte_range=asked).read() == content[expected]


def test_ranges_with_the_standard_behaviour(bucket: Any) -> None:
    bucket.put_object("a", bytes(100))
    standard = {"x-oss-range-behavior": "standard"}
    got = bucket.get_object("a", byte_range=(90, 500), headers=dict(standard))
    assert (got.status, got.content_range, len(got.read())) == (206, "bytes 90-99/100", 10)
    refused("InvalidRange", 416, lambda: bucket.get_object("a", byte_range=(100, 500), headers=dict(standard)))


def test_conditions(bucket: Any) -> None:
    etag = bucket.put_object("a", b"x").etag
    modified = bucket.head_object("a").headers["last-modified"]
    refused("PreconditionFailed", 412, lambda: bucket.get_object("a", headers={"if-match": "other"}))
    for headers in ({"if-none-match": etag}, {"if-modified-since": modified}):
        with pytest.raises(oss2.exceptions.NotModified):
            bucket.get_object("a", headers=headers)
    assert bucket.get_object("a", headers={"if-match": f'"{etag}"', "if-unmodified-since": modified}).read() == b"x"


def test_forbid_overwrite_on_every_write(bucket: Any) -> None:
    forbid = {"x-oss-forbid-overwrite": "true"}
    bucket.put_object("a", b"first", headers=dict(forbid))
    error = refused("FileAlreadyExists", 409, lambda: bucket.put_object("a", b"x", headers=dict(forbid)))
    assert type(error) is oss2.exceptions.ServerError  # the SDK has no class for it
    refused("FileAlreadyExists", 409, lambda: bucket.copy_object("vvos", "a", "a", headers=dict(forbid)))
    upload = bucket.init_multipart_upload("b").upload_id
    part = oss2.models.PartInfo(1, bucket.upload_part("b", upload, 1, b"x").etag)
    bucket.put_object("b", b"second")
    refused(
        "FileAlreadyExists",
        409,
        lambda: bucket.complete_multipart_upload("b", upload, [part], headers=dict(forbid)),
    )
    assert (bucket.get_object("a").read(), bucket.get_object("b").read()) == (b"first", b"second")
    bucket.complete_multipart_upload("b", upload, [part])  # the refused one is still there
    refused("InvalidArgument", 400, lambda: bucket.put_object("a", b"x", headers={"x-oss-forbid-overwrite": "maybe"}))


def test_resumable_upload_with_threads(bucket: Any, tmp_path: Path, aliyun_emulator: AliyunEmulator) -> None:
    content = os.urandom(1_234_567)
    (tmp_path / "f").write_bytes(content)
    store = oss2.ResumableStore(root=str(tmp_path / "store"))
    oss2.resumable_upload(
        bucket, KEY, str(tmp_path / "f"), store=store, multipart_threshold=102_400, part_size=102_400, num_threads=4
    )
    assert aliyun_emulator.counts["UploadPart"] == 13
    assert bucket.get_object(KEY).read() == content
    assert bucket.head_object(KEY).object_type == "Multipart"
    oss2.resumable_download(
        bucket, KEY, str(tmp_path / "back"), multiget_threshold=102_400, part_size=102_400, num_threads=3,
        store=oss2.ResumableDownloadStore(root=str(tmp_path / "store2")),
    )  # fmt: skip
    assert (tmp_path / "back").read_bytes() == content


def test_multipart_by_hand(bucket: Any) -> None:
    pieces = [os.urandom(102_400), os.urandom(102_400), os.urandom(5)]
    upload = bucket.init_multipart_upload(KEY, headers={"Content-Type": "a/b", "x-oss-meta-a": "b"}).upload_id
    parts = []
    for number, piece in zip((2, 5, 10_000), pieces, strict=True):  # gaps are allowed
        result = bucket.upload_part(KEY, upload, number, piece)
        parts.append(oss2.models.PartInfo(number, result.etag, size=len(piece), part_crc=result.crc))
    bucket.upload_part(KEY, upload, 7, b"not named, so left out")
    listed = [(part.part_number, part.size, part.etag) for part in oss2.PartIterator(bucket, KEY, upload, max_parts=2)]
    assert listed == [(p.part_number, p.size, p.etag) for p in parts[:2]] + [
        (7, 22, listed[2][2]),
        (10_000, 5, parts[2].etag),
    ]
    done = bucket.complete_multipart_upload(KEY, upload, parts)  # the SDK combines the parts' CRCs and compares
    assert done.etag.endswith("-3")
    assert bucket.get_object(KEY).read() == b"".join(pieces)
    head = bucket.head_object(KEY)
    assert (head.content_type, head.headers["x-oss-meta-a"]) == ("a/b", "b")
    refused("NoSuchUpload", 404, lambda: bucket.complete_multipart_upload(KEY, upload, parts))


def test_a_part_put_again_is_replaced(bucket: Any) -> None:
    upload = bucket.init_multipart_upload("a").upload_id
    old = bucket.upload_part("a", upload, 1, b"old").etag
    new = bucket.upload_part("a", upload, 1, b"new").etag
    named = oss2.models.PartInfo
    refused("InvalidPart", 400, lambda: bucket.complete_multipart_upload("a", upload, [named(1, old)]))
    bucket.complete_multipart_upload("a", upload, [named(1, new)])
    assert bucket.get_object("a").read() == b"new"


@pytest.mark.parametrize(("number", "good"), [(0, False), (1, True), (10_000, True), (10_001, False), ("x", False)])
def test_part_numbers(bucket: Any, number: object, good: bool) -> None:
    upload = bucket.init_multipart_upload("a").upload_id
    if good:
        assert bucket.upload_part("a", upload, number, b"x").status == 200
    else:
        error = refused("InvalidArgument", 400, lambda: bucket.upload_part("a", upload, number, b"x"))
        assert error.details["ArgumentValue"] == str(number)


@pytest.mark.parametrize(("size", "good"), [(102_399, False), (102_400, True)])
def test_the_smallest_part_is_judged_at_the_end(bucket: Any, size: int, good: bool) -> None:
    upload = bucket.init_multipart_upload("a").upload_id
    parts = [
        oss2.models.PartInfo(number, bucket.upload_part("a", upload, number, bytes(length)).etag)
        for number, length in ((1, size), (2, 1))
    ]
    if good:
        assert bucket.complete_multipart_upload("a", upload, parts).status == 200
    else:
        error = refused("EntityTooSmall", 400, lambda: bucket.complete_multipart_upload("a", upload, parts))
        assert error.details["ProposedSize"] == str(size)


def test_parts_out_of_order_or_unknown(bucket: Any, aliyun_emulator: AliyunEmulator) -> None:
    upload = bucket.init_multipart_upload("a").upload_id
    etags = [bucket.upload_part("a", upload, number, bytes([number]) * 102_400).etag for number in (1, 2)]

    def complete(*named: tuple[int, str]) -> Any:
        xml = "".join(f"<Part><PartNumber>{n}</PartNumber><ETag>{e}</ETag></Part>" for n, e in named)
        body = f"<CompleteMultipartUpload>{xml}</CompleteMultipartUpload>"
        return bucket._do("POST", "vvos", "a", params={"uploadId": upload}, data=body)

    refused("InvalidPartOrder", 400, lambda: complete((2, etags[1]), (1, etags[0])))
    refused("InvalidPartOrder", 400, lambda: complete((1, etags[0]), (1, etags[0])))
    refused("InvalidPart", 400, lambda: complete((3, etags[0])))
    refused("InvalidPart", 400, lambda: complete((1, "0" * 32)))
    refused("MalformedXML", 400, complete)
    refused("MalformedXML", 400, lambda: complete(("x", etags[0])))  # type: ignore[arg-type]  # wrong on purpose
    everything = {"x-oss-complete-all": "yes"}
    assert bucket.complete_multipart_upload("a", upload, None, headers=everything).status == 200
    assert aliyun_emulator.counts["CompleteMultipartUpload"] == 7


def test_after_an_abort_the_upload_is_gone(bucket: Any) -> None:
    upload = bucket.init_multipart_upload("a").upload_id
    bucket.upload_part("a", upload, 1, b"x")
    bucket.abort_multipart_upload("a", upload)
    for do in (
        lambda: bucket.upload_part("a", upload, 1, b"x"),
        lambda: bucket.list_parts("a", upload),
        lambda: bucket.abort_multipart_upload("a", upload),
        lambda: bucket.complete_multipart_upload("a", upload, [oss2.models.PartInfo(1, "x")]),
        lambda: bucket.upload_part("a", "never-there", 1, b"x"),
    ):
        refused("NoSuchUpload", 404, do)


def test_an_upload_is_of_one_key(bucket: Any) -> None:
    upload = bucket.init_multipart_upload("a").upload_id
    refused("NoSuchUpload", 404, lambda: bucket.upload_part("b", upload, 1, b"x"))


def test_part_copy(bucket: Any) -> None:
    content = os.urandom(200 * 1024)
    bucket.put_object(KEY, content)
    upload = bucket.init_multipart_upload("b").upload_id
    ranges = [(0, 100 * 1024 - 1), (100 * 1024, None)]
    parts = [
        oss2.models.PartInfo(n, bucket.upload_part_copy("vvos", KEY, span, "b", upload, n).etag)
        for n, span in enumerate(ranges, 1)
    ]
    bucket.complete_multipart_upload("b", upload, parts)
    assert bucket.get_object("b").read() == content


def test_part_copy_of_what_is_not_there(bucket: Any) -> None:
    bucket.put_object("a", b"abc")
    upload = bucket.init_multipart_upload("b").upload_id
    refused("InvalidRange", 416, lambda: bucket.upload_part_copy("vvos", "a", (0, 3), "b", upload, 1))
    refused("NoSuchKey", 404, lambda: bucket.upload_part_copy("vvos", "nothing", (0, 1), "b", upload, 1))


def test_content_md5_is_verified(bucket: Any) -> None:
    good, bad = oss2.utils.content_md5(b"abc"), oss2.utils.content_md5(b"xyz")
    bucket.put_object("a", b"abc", headers={"Content-MD5": good})
    refused("InvalidDigest", 400, lambda: bucket.put_object("a", b"abc", headers={"Content-MD5": bad}))
    refused("InvalidDigest", 400, lambda: bucket.put_object("a", b"abc", headers={"Content-MD5": "nonsense"}))
    upload = bucket.init_multipart_upload("b").upload_id
    refused("InvalidDigest", 400, lambda: bucket.upload_part("b", upload, 1, b"abc", headers={"Content-MD5": bad}))
    assert not list(oss2.PartIterator(bucket, "b", upload))


def test_copy_and_metadata(bucket: Any, connect: Callable[..., Any]) -> None:
    bucket.put_object(KEY, b"abc", headers={"x-oss-meta-a": "1", "Content-Type": "a/b"})
    copied = bucket.copy_object("vvos", KEY, "copy/文")
    assert copied.crc == bucket.head_object(KEY).server_crc
    assert bucket.head_object("copy/文").headers["x-oss-meta-a"] == "1"
    bucket.update_object_meta("copy/文", {"Content-Type": "c/d", "x-oss-meta-b": "2"})
    head = bucket.head_object("copy/文")
    assert (head.content_type, head.headers["x-oss-meta-b"]) == ("c/d", "2")
    assert "x-oss-meta-a" not in head.headers
    refused("NoSuchKey", 404, lambda: bucket.copy_object("vvos", "nothing", "b"))
    refused("NoSuchBucket", 404, lambda: bucket.copy_object("no-bucket", "nothing", "b"))
    etag = bucket.head_object(KEY).etag
    refused(
        "PreconditionFailed",
        412,
        lambda: bucket.copy_object("vvos", KEY, "b", headers={"x-oss-copy-source-if-match": "other"}),
    )
    with pytest.raises(oss2.exceptions.NotModified):
        bucket.copy_object("vvos", KEY, "b", headers={"x-oss-copy-source-if-none-match": etag})


def test_append(bucket: Any) -> None:
    first = bucket.append_object("a", 0, b"abc", init_crc=0)
    assert first.next_position == 3
    second = bucket.append_object("a", 3, b"def", init_crc=first.crc)
    assert (second.next_position, bucket.get_object("a").read()) == (6, b"abcdef")
    assert bucket.head_object("a").object_type == "Appendable"
    error = refused("PositionNotEqualToLength", 409, lambda: bucket.append_object("a", 0, b"x"))
    assert error.next_position == 6
    bucket.put_object("b", b"x")
    refused("ObjectNotAppendable", 409, lambda: bucket.append_object("b", 1, b"x"))


def test_lists_of_objects(bucket: Any) -> None:
    keys = ["a/1", "a/2", "a/b/3", "a/c/4", "b", "文/1", "~"]
    for key in keys:
        bucket.put_object(key, b"x")
    ordered = sorted(keys, key=str.encode)
    for size in (1, 2, 3, 100):
        assert [found.key for found in oss2.ObjectIterator(bucket, max_keys=size)] == ordered
        assert [found.key for found in oss2.ObjectIteratorV2(bucket, max_keys=size)] == ordered
        folded = [
            (f.key, f.is_prefix()) for f in oss2.ObjectIterator(bucket, prefix="a/", delimiter="/", max_keys=size)
        ]
        assert folded == [("a/1", False), ("a/2", False), ("a/b/", True), ("a/c/", True)]
        names = [f.key for f in oss2.ObjectIteratorV2(bucket, prefix="a/", delimiter="/", max_keys=size)]
        assert names == ["a/1", "a/2", "a/b/", "a/c/"]
    assert [f.key for f in bucket.list_objects(marker="b").object_list] == ["~", "文/1"]
    second = bucket.list_objects_v2(start_after="a/2", fetch_owner=True, max_keys=2)
    assert [f.key for f in second.object_list] == ["a/b/3", "a/c/4"]
    assert second.object_list[0].owner.id
    assert bucket.list_objects_v2(max_keys=1).object_list[0].owner is None
    for limit in (0, 1001):
        refused("InvalidArgument", 400, partial(bucket.list_objects, max_keys=limit))


def test_lists_of_uploads(bucket: Any) -> None:
    wanted = sorted(
        (key, bucket.init_multipart_upload(key).upload_id) for key in ("a", "a", "b/1", "b/2", "文") for _ in "12"
    )
    for size in (1, 3, 1000):
        listed = [(u.key, u.upload_id) for u in oss2.MultipartUploadIterator(bucket, max_uploads=size)]
        assert listed == sorted(wanted, key=lambda pair: (pair[0].encode(), pair[1]))
    assert bucket.list_multipart_uploads(delimiter="/").prefix_list == ["b/"]
    ids = [upload.upload_id for upload in oss2.ObjectUploadIterator(bucket, "a")]
    assert ids == [upload for key, upload in wanted if key == "a"]


def test_batch_delete(bucket: Any) -> None:
    keys = [f"文/{n}" for n in range(5)]
    for key in keys[:3]:
        bucket.put_object(key, b"x")
    assert sorted(bucket.batch_delete_objects(keys).deleted_keys) == keys
    assert not list(oss2.ObjectIterator(bucket))


def test_buckets(connect: Callable[..., Any], aliyun_emulator: AliyunEmulator) -> None:
    new = connect("new-bucket")
    refused("NoSuchBucket", 404, lambda: new.put_object("a", b"x"))
    new.create_bucket(oss2.BUCKET_ACL_PUBLIC_READ)
    new.create_bucket()
    info = new.get_bucket_info()
    assert (info.name, info.location, info.acl.grant) == ("new-bucket", "oss-cn-hangzhou", "public-read")
    assert new.get_bucket_location().location == "oss-cn-hangzhou"
    assert new.get_bucket_stat().object_count == 0
    service = oss2.Service(new.auth, aliyun_emulator.info["endpoint"], session=new.session, region="cn-hangzhou")
    assert [found.name for found in oss2.BucketIterator(service, max_keys=1)] == ["new-bucket", "vvos"]
    new.put_object("a", b"x")
    refused("BucketNotEmpty", 409, new.delete_bucket)
    new.delete_object("a")
    upload = new.init_multipart_upload("a").upload_id
    refused("BucketNotEmpty", 409, new.delete_bucket)
    new.abort_multipart_upload("a", upload)
    new.delete_bucket()
    refused("NoSuchBucket", 404, new.get_bucket_info)


@pytest.mark.parametrize("name", ["ab", "a" * 64, "Abc", "-ab", "ab-", "a_b"])
def test_impossible_bucket_names(connect: Callable[..., Any], name: str) -> None:
    bucket = connect()
    bucket.bucket_name = name  # the SDK looks at it only when it is made
    refused("InvalidBucketName", 400, bucket.create_bucket)


@pytest.mark.parametrize("length", [1023, 1024])
def test_the_length_of_keys_counts_bytes(bucket: Any, length: int) -> None:
    key = "文" * 341 + "x" * (length - 1023)
    if length == 1023:
        assert bucket.put_object(key, b"x").status == 200
    else:
        refused("InvalidObjectName", 400, lambda: bucket.put_object(key, b"x"))


@pytest.mark.parametrize("key", ["/a", "\\a"])
def test_keys_that_begin_like_a_path(bucket: Any, key: str) -> None:
    refused("InvalidObjectName", 400, lambda: bucket.put_object(key, b"x"))


def test_keys_are_never_paths(bucket: Any, aliyun_emulator: AliyunEmulator) -> None:
    for key in ("../../../../tmp/vvos-escaped", "a/../b", "..", "a\x00b", "a/./b//c"):
        raw = requests.Session()
        url = bucket.sign_url("PUT", key, 60)
        prepared = requests.Request("PUT", "http://127.0.0.1", data=b"x").prepare()
        prepared.url = url  # as it was signed: requests would fold the dots
        assert raw.send(prepared).status_code == 200
        raw.close()
    assert not Path("/tmp/vvos-escaped").exists()
    assert bucket.get_object("a/./b//c").read() == b"x"


def test_presigned_urls(bucket: Any, aliyun_emulator: AliyunEmulator) -> None:
    headers = {"Content-Type": "text/x", "x-oss-meta-a": "1"}
    url = bucket.sign_url("PUT", KEY, 60, headers=dict(headers))
    assert requests.put(url, data=b"abc", headers=headers, timeout=5).status_code == 200
    assert bucket.put_object_with_url(url, b"abc", headers=dict(headers)).status == 200
    for other in ({}, headers | {"Content-Type": "text/y"}, headers | {"x-oss-meta-b": "2"}):
        assert requests.put(url, data=b"abc", headers=other, timeout=5).status_code == 403
    get = bucket.sign_url("GET", KEY, 60, params={"response-content-type": "c/d"})
    answer = requests.get(get, timeout=5)
    assert (answer.content, answer.headers["content-type"]) == (b"abc", "c/d")
    assert requests.get(get.replace("c%2Fd", "e%2Ff"), timeout=5).status_code == 403
    assert requests.delete(get, timeout=5).status_code == 403
    aliyun_emulator.clock = lambda: time.time() + 61
    expired = requests.get(get, timeout=5)
    assert (expired.status_code, b"Request has expired." in expired.content) == (403, True)


def test_wrong_keys(connect: Callable[..., Any]) -> None:
    refused("InvalidAccessKeyId", 403, lambda: connect(access_key="nobody").put_object("a", b"x"))
    refused("SignatureDoesNotMatch", 403, lambda: connect(secret_key="wrong").put_object("a", b"x"))
    refused("SignatureDoesNotMatch", 403, lambda: connect(secret_key="wrong").head_object("a"))


def test_a_clock_that_is_off(bucket: Any, aliyun_emulator: AliyunEmulator) -> None:
    for seconds, good in itertools.product((1, -1), (True, False)):
        aliyun_emulator.clock = lambda off=seconds * (890 if good else 910): time.time() + off  # type: ignore[misc]  # mypy cannot infer its default
        if good:
            assert bucket.put_object("a", b"x").status == 200
        else:
            refused("RequestTimeTooSkewed", 403, lambda: bucket.put_object("a", b"x"))


def test_acls_and_the_anonymous(bucket: Any, aliyun_emulator: AliyunEmulator) -> None:
    anonymous = oss2.Bucket(oss2.AnonymousAuth(), aliyun_emulator.info["endpoint"], "vvos", session=bucket.session)
    bucket.put_object("a", b"x")
    assert bucket.get_object_acl("a").acl == "default"
    refused("AccessDenied", 403, lambda: anonymous.get_object("a"))
    bucket.put_object_acl("a", oss2.OBJECT_ACL_PUBLIC_READ)
    assert anonymous.get_object("a").read() == b"x"
    refused("AccessDenied", 403, lambda: anonymous.put_object("a", b"y"))
    bucket.put_bucket_acl(oss2.BUCKET_ACL_PUBLIC_READ_WRITE)
    anonymous.put_object("b", b"y")
    refused("AccessDenied", 403, lambda: anonymous.list_objects())
    bucket.put_bucket_acl(oss2.BUCKET_ACL_PRIVATE)
    refused("AccessDenied", 403, lambda: anonymous.put_object("b", b"y"))
    assert bucket.get_bucket_acl().acl == "private"


def test_tags_and_links(bucket: Any) -> None:
    bucket.put_object("文", b"x")
    rule = oss2.models.TaggingRule()
    rule.add("键", "值")
    bucket.put_object_tagging("文", oss2.models.Tagging(rule))
    assert bucket.get_object_tagging("文").tag_set.tagging_rule == {"键": "值"}
    bucket.delete_object_tagging("文")
    assert bucket.get_object_tagging("文").tag_set.tagging_rule == {}
    bucket.put_symlink("文", "link")
    assert bucket.get_symlink("link").target_key == "文"
    assert bucket.get_object("link").read() == b"x"
    bucket.delete_object("文")
    refused("SymlinkTargetNotExist", 404, lambda: bucket.get_object("link"))


def test_what_is_not_emulated_is_refused_and_not_taken_for_something_else(bucket: Any) -> None:
    refused("NotImplemented", 400, bucket.get_bucket_logging)
    refused("NotImplemented", 400, lambda: bucket.restore_object("a"))
