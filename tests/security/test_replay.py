"""A grant used again when its upload is finished: what the services prevent, and what they cannot."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from vvos_core import Exists, TokenExpired, VVOSError
from vvos_core.testing.doubles import content

from .places import BIG, SMALL, Place
from .tenants import TwoTenants, two_tenants

KEY = "录像/一.mp4"
SIZES = pytest.mark.parametrize("size", [SMALL, BIG])


@SIZES
def test_without_cover_a_finished_grant_changes_nothing(place: Place, size: int) -> None:
    """``If-None-Match``, ``forbid-overwrite`` and ``insertOnly`` are signed in, so the services themselves refuse."""
    first, second = content(size, 1), content(size, 2)
    grant = place.grant(KEY, size)
    receipts = place.put(grant, first)
    sealed = place.sealed(grant, receipts)
    place.store.complete(sealed, receipts)
    for again in (grant, sealed):
        with pytest.raises(VVOSError) as caught:
            place.store.complete(again, place.put(again, second))
        assert not caught.value.retryable
        assert place.read(KEY) == first


@SIZES
def test_a_grant_of_before_does_not_replace_what_is_there_since(place: Place, size: int) -> None:
    """Two were granted the same key; the second to end is refused, whatever it has stored by then."""
    first, second = content(size, 1), content(size, 2)
    slow = place.grant(KEY, size)
    stored = place.put(slow, second) if slow.multipart else []
    place.upload(KEY, first)
    with pytest.raises(Exists):
        place.store.complete(place.sealed(slow, stored), stored or place.put(slow, second))
    assert place.read(KEY) == first
    place.calls.abort(slow)


def test_with_cover_a_put_in_one_piece_can_be_repeated_until_it_expires_and_no_longer(cloud: Place) -> None:
    """No service offers to sign "once": who may replace can do it again, with an object of the same size, for as long
    as the grant lasts. This is what docs/security.md tells."""
    grant = cloud.grant(KEY, SMALL, cover=True)
    cloud.put(grant, b"first")
    cloud.put(grant, b"again")
    assert cloud.read(KEY) == b"again"
    with pytest.raises(VVOSError):
        cloud.put(grant, b"longer")
    cloud.emulator.clock = lambda: time.time() + 700
    with pytest.raises(TokenExpired):
        cloud.put(grant, b"later")
    cloud.emulator.clock = time.time
    assert cloud.read(KEY) == b"again"


def test_with_cover_an_upload_in_parts_ends_once(cloud: Place) -> None:
    """Its id is gone when it is completed; the same grant begins no other."""
    first, second = content(BIG, 1), content(BIG, 2)
    grant = cloud.grant(KEY, BIG, cover=True)
    receipts = cloud.put(grant, first)
    sealed = cloud.sealed(grant, receipts)
    cloud.store.complete(sealed, receipts)
    with pytest.raises(VVOSError):
        cloud.store.complete(sealed, cloud.put(sealed, second))
    assert cloud.read(KEY) == first


def test_a_checksum_in_the_grant_allows_the_same_bytes_only(emulators: dict[str, object]) -> None:
    """S3 compares it itself, so that with it not even ``cover`` allows other bytes."""
    from .places import cloud_place

    emulators["s3"].reset()  # type: ignore[attr-defined]  # an emulator
    cloud = cloud_place("s3", emulators["s3"])
    hasher = cloud.store.checksum.new()
    hasher.update(memoryview(b"first"))
    grant = cloud.grant(KEY, SMALL, cover=True, checksum=hasher.value())
    cloud.put(grant, b"first")
    with pytest.raises(VVOSError):
        cloud.put(grant, b"again")
    assert cloud.read(KEY) == b"first"


@pytest.fixture
def broker(cloud: Place, tmp_path: Path) -> Iterator[TwoTenants]:
    with two_tenants(cloud, tmp_path) as broker:
        yield broker


@SIZES
@pytest.mark.parametrize("cover", [False, True])
def test_with_a_renewal_after_the_end_nothing_can_be_put(broker: TwoTenants, size: int, cover: bool) -> None:
    """It holds no capability, nor does the renewal of a renewal, and the provider was not asked for one."""
    place, data = broker.place, content(size, 1)
    answer, told = broker.upload("a", "一.mp4", data, cover=cover)
    assert told.status == 200, told.body
    before = place.asked()
    renewed = answer
    for _ in range(2):
        renewed = broker.gettoken("a", {"一.mp4": size}, accessToken=renewed["accessToken"], files={})
        assert renewed.status == 200, renewed.body
        grant = broker.grant_of(renewed, "a/一.mp4")
        assert dict(grant.data) == {}
        with pytest.raises(VVOSError):
            place.store.complete(grant, place.put(grant, content(size, 2)))
        again = broker.call("notifier", "a", accessToken=renewed["accessToken"], keys=["a/一.mp4"])
        assert again.body == told.body
    assert place.asked() == before
    assert place.read("a/一.mp4") == data
