"""Renewed grants: the same upload and key, a later expiry, never more."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from vvos_core.errors import BadInput, Denied
from vvos_core.model import MIB, Notified

KEY = "视频/长.mp4"
BIG = 6 * MIB
CRC = "crc64nvme:AAAAAAAAAAA="


def test_an_upload_goes_on_after_its_grant_expired(bench: Any) -> None:
    content = bytes(BIG)
    grant = bench.grant(KEY, BIG, metadata={"owner": "小明"}, type="video/mp4")
    first, second = bench.chunks(grant, content)
    receipts = [bench.storing.put_chunk(grant, first)]
    bench.later(700)  # past the grant, and within the quarter of an hour that the SDK may be off
    begun = bench.emulator.counts["CreateMultipartUpload"]
    grant = bench.renewed(grant)
    receipts.append(bench.storing.put_chunk(grant, second))
    grant = bench.renewed(grant, checksum=bench.storing.checksum.combine(receipts))
    stored = bench.storing.complete(grant, receipts)
    assert isinstance(bench.notify(grant, BIG, stored.checksum), Notified)
    assert bench.emulator.counts["CreateMultipartUpload"] == begun == 1


def test_a_renewal_changes_expiry_and_checksum_alone(bench: Any) -> None:
    grant = bench.grant(KEY, BIG, type="video/mp4", metadata={"a": "b"}, cover=True)
    bench.later(60)
    renewed = bench.renewed(grant, checksum=CRC)
    assert renewed.expires_at >= grant.expires_at + 59
    assert replace(renewed, expires_at=grant.expires_at, data=grant.data, checksum="") == grant


def test_a_checksum_stays_when_a_renewal_names_none(bench: Any) -> None:
    grant = bench.renewed(bench.grant(KEY, BIG), checksum=CRC)
    assert bench.renewed(grant).checksum == CRC


@pytest.mark.parametrize("size", [3, BIG])
@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"key": "视频/别.mp4"}, "key"),
        ({"size": BIG + 1}, "size"),
        ({"type": "text/html"}, "type"),
        ({"metadata": {"owner": "别人"}}, "metadata"),
        ({"client_key": "other"}, "name"),
    ],
    ids=str,
)
def test_a_wider_renewal_is_denied(bench: Any, size: int, changes: dict[str, Any], named: str) -> None:
    grant = bench.grant(KEY, size, metadata={"owner": "小明"})
    assert f"another {named};" in bench.refusal(Denied, bench.renewal(grant, **changes)).message


def test_a_renewal_never_begins_to_cover(bench: Any) -> None:
    bench.refusal(Denied, bench.renewal(bench.grant(KEY, 3)), cover=True)


def test_a_renewal_that_no_longer_asks_to_cover_keeps_what_was_granted(bench: Any) -> None:
    (renewed,) = bench.answers(bench.renewal(bench.grant(KEY, 3, cover=True)), cover=False)
    assert renewed.cover


def test_a_sealed_grant_takes_no_second_checksum(bench: Any) -> None:
    sealed = bench.renewed(bench.grant(KEY, BIG), checksum=CRC)
    bench.refusal(Denied, bench.renewal(sealed, checksum="crc64nvme:AAAAAAAAAAE="))


def test_a_renewal_checks_the_checksum(bench: Any) -> None:
    bench.refusal(BadInput, bench.renewal(bench.grant(KEY, BIG), checksum="crc64nvme:x"))


def test_a_grant_of_another_provider_is_not_renewed(bench: Any) -> None:
    grant = bench.grant(KEY, 3)
    bench.refusal(Denied, bench.renewal(grant, renew=replace(grant, provider="other")))


def test_a_grant_of_parts_without_its_upload_is_not_renewed(bench: Any) -> None:
    grant = bench.grant(KEY, BIG)
    bench.refusal(Denied, bench.renewal(grant, renew=replace(grant, upload_id="")))
    assert bench.emulator.counts["CreateMultipartUpload"] == 1


def test_settings_that_changed_do_not_cut_an_upload_anew(bench: Any) -> None:
    grant = bench.grant(KEY, BIG)
    bench.granting = bench.made(part_size=16 * MIB, threshold=16 * MIB)
    renewed = bench.renewed(grant)
    assert (renewed.multipart, renewed.part_size) == (True, 5 * MIB)
    bench.store(renewed, bytes(BIG))


def test_asking_again_with_the_same_request_signs_the_same(bench: Any) -> None:
    from vvos_core.model import Ask

    request = bench.request(Ask(client_key=KEY, key=KEY, size=3))
    assert bench.granting.token(request) == bench.granting.token(request)
