"""What is found of many objects by listing them is what is found of each by looking at it."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace
from vvos_aliyun import xml

from vvos_core import BadAnswer, Denied, Mismatch, NotFound, Notified
from vvos_core.http import Headers
from vvos_core.model import ExistsRequest, Finished, Grant, NotifyRequest

KEYS = [
    f"批/{name}"
    for name in ("1.bin", "a b+%2F~é.jpg", "a&b<c>.bin", "照片/春.jpg", "~", "z", "\U0001f600", "9", "8", "0")
]


class Counted:
    """The requests of a bench's granting half, by method; with ``refuse``, lists fail."""

    def __init__(self, bench: Any, patch: pytest.MonkeyPatch) -> None:
        self.methods: list[str] = []
        self.refuse = False
        granter = bench.granting._granter
        self.service = granter._service
        send = self.service._http.send

        def counted(method: str, url: str, **arguments: Any) -> Any:
            self.methods.append(method)
            if self.refuse and method == "GET":
                url = url.replace("ignature=", "ignature=0")
            return send(method, url, **arguments)

        patch.setattr(self.service._http, "send", counted)

    def taken(self) -> dict[str, int]:
        taken = {method: self.methods.count(method) for method in sorted(set(self.methods))}
        self.methods.clear()
        return taken


@pytest.fixture
def counted(bench: Any, monkeypatch: pytest.MonkeyPatch) -> Counted:
    return Counted(bench, monkeypatch)


def exists(bench: Any, grants: list[Grant]) -> list[Any]:
    return list(bench.granting.exists(ExistsRequest(grants=tuple(replace(grant, data={}) for grant in grants))))


def notify(bench: Any, finished: list[Finished]) -> list[Any]:
    return list(bench.granting.notify(NotifyRequest(objects=tuple(finished))))


def put(bench: Any, key: str, data: bytes) -> Finished:
    """Put an object as the engine does; what is told of it."""
    grant = bench.grant(key, len(data), cover=True)
    (receipt,) = bench.store(grant, data)
    checksum = bench.storing.checksum.combine([receipt])
    return Finished(grant=replace(grant, data={}), size=len(data), checksum=checksum, digest=receipt.digest)


def test_many_keys_are_one_list_and_only_what_is_there_is_looked_at(bench: Any, counted: Counted) -> None:
    grants = [bench.grant(key, 3, cover=True) for key in KEYS]
    there = KEYS[1:4]
    for key in there:
        put(bench, key, b"abc")
    each = [bench.found(grant) for grant in grants]
    counted.taken()
    assert exists(bench, grants) == each
    assert [found.exists for found in each] == [key in there for key in KEYS]
    assert counted.taken() == {"GET": 1, "HEAD": len(there)}


def test_many_finished_objects_are_one_list_and_one_look(bench: Any, counted: Counted) -> None:
    finished = [put(bench, key, f"{n:03}".encode()) for n, key in enumerate(KEYS)]
    assert all(done.digest for done in finished)
    counted.taken()
    verdicts = notify(bench, finished)
    assert counted.taken() == {"GET": 1, "HEAD": 1}
    assert [verdict.checksum for verdict in verdicts] == [done.digest for done in finished]
    assert [verdict.url for verdict in verdicts] == [notify(bench, [done])[0].url for done in finished]


def test_the_list_is_what_the_sdk_lists(bench: Any, counted: Counted, listed_by_sdk: Any) -> None:
    for key in [*KEYS, "批", "批0", "另/1"]:
        put(bench, key, key.encode())
    page = counted.service.page("批/", "批/1.bin", 5)
    told = [(listed.key, listed.size, listed.etag) for listed in page.objects]
    assert (told, page.more) == (listed_by_sdk("批/", "批/1.bin", 5), True)
    assert counted.service.page("批/", "", 1000).more is False


def test_without_leave_to_list_each_is_looked_at(bench: Any, counted: Counted) -> None:
    finished = [put(bench, key, b"abc") for key in KEYS]
    counted.refuse = True
    with pytest.raises(Denied):
        counted.service.page("批/", "", 10)
    counted.taken()
    assert all(isinstance(verdict, Notified) for verdict in notify(bench, finished))
    assert counted.taken() == {"GET": 1, "HEAD": len(KEYS)}
    assert all(found.exists for found in exists(bench, [done.grant for done in finished]))


def test_a_later_object_of_the_same_size_is_refused_among_many(bench: Any) -> None:
    finished = [put(bench, key, b"abc") for key in KEYS]
    put(bench, KEYS[3], b"abd")
    verdicts = notify(bench, finished)
    assert isinstance(verdicts[3], Mismatch)
    assert [isinstance(verdict, Notified) for verdict in verdicts].count(False) == 1


def test_what_is_not_there_or_told_otherwise_is_refused_among_many(bench: Any) -> None:
    finished = [put(bench, key, b"abc") for key in KEYS]
    gone = replace(finished[0], grant=bench.grant("批/没有", 3))
    larger = replace(finished[1], size=4)
    other = replace(finished[2], digest="md5:" + "0" * 32)  # the checksum is right: the look decides
    lie = replace(finished[3], digest="md5:" + "0" * 32, checksum=put(bench, "另", b"abd").checksum)
    verdicts = notify(bench, [gone, larger, other, lie, *finished[4:]])
    assert [type(verdict) for verdict in verdicts[:4]] == [NotFound, Mismatch, Notified, Mismatch]
    assert all(isinstance(verdict, Notified) for verdict in verdicts[4:])


def test_where_the_etag_is_no_md5_the_checksum_tells(
    bench: Any, counted: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished = [put(bench, key, b"abc") for key in KEYS]
    head = counted.service.head

    def encrypted(key: str) -> Any:
        return replace(head(key), etag="")

    monkeypatch.setattr(counted.service, "head", encrypted)
    counted.taken()
    lie = replace(finished[0], checksum=put(bench, "另", b"abd").checksum)
    verdicts = notify(bench, [lie, *finished[1:]])
    assert isinstance(verdicts[0], Mismatch)
    assert all(isinstance(verdict, Notified) for verdict in verdicts[1:])


@pytest.fixture
def listed_by_sdk(aliyun_bucket: Any) -> Any:
    def listed(prefix: str, after: str, most: int) -> list[tuple[str, int, str]]:
        answer = aliyun_bucket.list_objects_v2(prefix=prefix, start_after=after, max_keys=most)
        return [(item.key, item.size, item.etag.lower()) for item in answer.object_list]

    return listed


@pytest.mark.parametrize(("kind", "plain"), [("", True), ("AES256", True), ("KMS", False), ("SM4", False)])
def test_an_encryption_with_keys_may_make_an_etag_that_is_no_md5(
    bench: Any, counted: Counted, monkeypatch: pytest.MonkeyPatch, kind: str, plain: bool
) -> None:
    done = put(bench, KEYS[0], b"abc")
    send = counted.service._http.send
    header = {"x-oss-server-side-encryption": kind} if kind else {}

    def told(method: str, url: str, **arguments: Any) -> Any:
        answer = send(method, url, **arguments)
        return replace(answer, headers=Headers({**answer.headers, **header}))

    monkeypatch.setattr(counted.service._http, "send", told)
    assert counted.service.head(done.grant.key).etag == ("900150983cd24fb0d6963f7d28e17f72" if plain else "")


def test_of_a_larger_object_no_md5_is_computed(bench: Any) -> None:
    bench.granting = bench.made(threshold=1024 * 1024)
    assert put(bench, "大", bytes(256 * 1024)).digest
    assert not put(bench, "大", bytes(256 * 1024 + 1)).digest


_LIST = "<Name>b</Name><IsTruncated>false</IsTruncated>"
_ONE = "<Contents><Key>a</Key><Size>1</Size><ETag>&quot;e&quot;</ETag></Contents>"


@pytest.mark.parametrize(
    "body",
    [
        "",
        "<html/>",
        "<Error><Code>X</Code></Error>",
        f"<Other>{_LIST}</Other>",
        f"<ListBucketResult>{_ONE}</ListBucketResult>",
        f"<ListBucketResult>{_LIST}<KeyCount>2</KeyCount>{_ONE}</ListBucketResult>",
        f"<ListBucketResult>{_LIST}<Contents><Key>a</Key></Contents></ListBucketResult>",
        f"<!DOCTYPE x><ListBucketResult>{_LIST}</ListBucketResult>",
    ],
)
def test_what_is_no_list_is_not_taken_for_an_empty_one(body: str) -> None:
    with pytest.raises(BadAnswer):
        xml.page(body.encode())
