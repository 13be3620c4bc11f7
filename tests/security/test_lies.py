"""A client that lies in notifier, over real services: nothing is recorded, and no url answered, that is not so."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from vvos_core import Receipt, VVOSError
from vvos_core.testing.doubles import content

from .places import BIG, SMALL, Place
from .tenants import TwoTenants, two_tenants

SIZES = pytest.mark.parametrize("size", [SMALL, BIG])


@pytest.fixture
def broker(cloud: Place, tmp_path: Path) -> Iterator[TwoTenants]:
    with two_tenants(cloud, tmp_path) as broker:
        yield broker


@SIZES
def test_the_truth_is_taken(broker: TwoTenants, size: int) -> None:
    _, told = broker.upload("a", "真.bin", content(size))
    assert (told.status, told["success"]) == (200, True)
    assert [item["key"] for item in told["objects"]] == ["a/真.bin"]


def another(checksum: str) -> str:
    """A well-formed checksum of other bytes."""
    name, _, value = checksum.partition(":")
    place = 3
    digit = "1" if value[place] != "1" else "2"
    return f"{name}:{value[:place]}{digit}{value[place + 1 :]}"


@SIZES
@pytest.mark.parametrize("lie", ["smaller", "larger", "checksum"])
def test_another_size_or_checksum_than_the_objects_is_not_recorded(broker: TwoTenants, size: int, lie: str) -> None:
    answer, grant, checksum = broker.store("a", "真.bin", content(size))
    honest: dict[str, object] = {"size": size, "checksum": checksum}
    said: dict[str, dict[str, object]] = {
        "smaller": {"size": size - 1},
        "larger": {"size": size + 1},
        "checksum": {"checksum": another(checksum)},
    }
    told = broker.call(
        "notifier", "a", accessToken=answer["accessToken"], keys=[grant.key], files={grant.key: honest | said[lie]}
    )
    assert told.codes == {grant.key: "CHECKSUM_MISMATCH"}
    assert (told["success"], told["objects"]) == (False, [])
    # Nothing was recorded: the truth is still taken.
    later = broker.call("notifier", "a", accessToken=answer["accessToken"], keys=[grant.key], files={grant.key: honest})
    assert later["success"] is True


@pytest.mark.parametrize("lie", ["size", "checksum and digest", "digest of another's"])
def test_lies_among_many_are_found(broker: TwoTenants, lie: str) -> None:
    """Many at once are looked up in another way than one."""
    keys = [f"真{n}.bin" for n in range(12)]
    answer = broker.gettoken("a", dict.fromkeys(keys, SMALL))
    files: dict[str, dict[str, object]] = {}
    for n, key in enumerate(keys):
        grant = broker.grant_of(answer, f"a/{key}")
        (receipt,) = broker.place.put(grant, content(SMALL, n))
        files[grant.key] = {"size": SMALL, "checksum": receipt.checksum, "digest": receipt.digest}
    liar, other = f"a/{keys[3]}", f"a/{keys[5]}"
    honest = dict(files[liar])
    said: dict[str, dict[str, object]] = {
        "size": {"size": SMALL - 1},
        "checksum and digest": {"checksum": files[other]["checksum"], "digest": files[other]["digest"]},
        "digest of another's": {"checksum": another(str(honest["checksum"])), "digest": files[other]["digest"]},
    }
    files[liar] = honest | said[lie]
    told = broker.call("notifier", "a", accessToken=answer["accessToken"], keys=list(files), files=files)
    assert told.codes == {liar: "CHECKSUM_MISMATCH"}
    assert {item["key"] for item in told["objects"]} == set(files) - {liar}


@SIZES
def test_other_bytes_than_the_checksum_that_was_granted_are_not_recorded(broker: TwoTenants, size: int) -> None:
    """The object was put by somebody with the bucket's own keys, so no grant kept it out."""
    true, false = content(size, 1), content(size, 2)
    grant, stored = broker.place.upload("量", true)
    checksum = grant.checksum or stored.checksum
    answer = broker.gettoken("a", {"真.bin": size}, files={"真.bin": {"size": size, "checksum": checksum}})
    broker.place.upload("a/真.bin", false)
    said = {"a/真.bin": {"size": size, "checksum": checksum}}
    for files in (said, {key: {"size": size} for key in said}):
        told = broker.call("notifier", "a", accessToken=answer["accessToken"], keys=["a/真.bin"], files=files)
        assert told.codes == {"a/真.bin": "CHECKSUM_MISMATCH"}, told.body


@SIZES
def test_a_key_that_was_never_put_is_not_recorded(broker: TwoTenants, size: int) -> None:
    answer = broker.gettoken("a", {"空.bin": size})
    if size > SMALL:
        grant = broker.grant_of(answer, "a/空.bin")
        broker.place.put(grant, content(size))  # its parts, but no end
    told = broker.call("notifier", "a", accessToken=answer["accessToken"], keys=["a/空.bin"])
    assert told.codes == {"a/空.bin": "NOT_FOUND"}
    assert told["objects"] == []


def test_a_dropped_or_exchanged_part_makes_no_object_that_passes(broker: TwoTenants) -> None:
    place, data = broker.place, content(BIG)
    lies: list[Callable[[Sequence[Receipt]], Sequence[Receipt]]] = [
        lambda parts: parts[:1],
        lambda parts: parts[1:],
        lambda parts: parts[::-1],
    ]
    for number, wrong in enumerate(lies):
        name = f"片{number}.bin"
        answer = broker.gettoken("a", {name: BIG}, request=name)
        grant = broker.grant_of(answer, f"a/{name}")
        receipts = place.put(grant, data)
        if grant.seal:
            known = {name: {"checksum": place.store.checksum.combine(receipts)}}
            answer = broker.gettoken("a", {name: BIG}, accessToken=answer["accessToken"], files=known)
            grant = broker.grant_of(answer, f"a/{name}")
        with suppress(VVOSError):  # OSS joins whatever parts it is told of; what it made is found to be too small
            place.store.complete(grant, wrong(receipts))
        whole = {"size": BIG, "checksum": place.store.checksum.combine(receipts)}
        for said in (whole, {"size": BIG}, {}):  # without a checksum its size gives it away
            told = broker.call(
                "notifier", "a", accessToken=answer["accessToken"], keys=[grant.key], files={grant.key: said}
            )
            assert told["objects"] == [], told.body
            assert set(told.codes.values()) <= {"NOT_FOUND", "CHECKSUM_MISMATCH"}


def test_one_object_is_not_taken_for_two_keys(broker: TwoTenants) -> None:
    one, other = "一.bin", "二.bin"
    answer = broker.gettoken("a", {one: SMALL, other: SMALL})
    broker.place.put(broker.grant_of(answer, f"a/{one}"), b"12345")
    keys = [f"a/{one}", f"a/{other}"]
    told = broker.call("notifier", "a", accessToken=answer["accessToken"], keys=keys)
    assert [item["key"] for item in told["objects"]] == keys[:1]
    assert told.codes == {keys[1]: "NOT_FOUND"}
    twice = broker.call("notifier", "a", accessToken=answer["accessToken"], keys=[keys[0], keys[0]])
    assert (twice.status, twice.code) == (400, "DUPLICATE_KEY")


def test_two_files_of_one_batch_never_have_one_key(broker: TwoTenants) -> None:
    """Where the business names them alike, neither overwrites the other: the second is refused."""
    told = broker.gettoken("a", {"一.bin": SMALL, "/../a/一.bin": SMALL})
    assert told.status == 400
    named = broker.gettoken("a", {"一.bin": SMALL, "一.BIN": SMALL}, request="批-3")
    assert len(set(named["keys"].values())) == 2


def test_somebody_elses_object_is_not_taken_for_mine(broker: TwoTenants) -> None:
    broker.upload("b", "她的.bin", b"12345")
    answer, _, _ = broker.store("a", "我的.bin", b"12345")
    before = broker.place.asked()
    told = broker.call("notifier", "a", accessToken=answer["accessToken"], keys=["a/我的.bin", "b/她的.bin"])
    assert (told.status, told.code) == (403, "KEY_NOT_GRANTED")
    assert broker.place.asked() == before
