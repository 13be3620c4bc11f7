"""vvos_core.grants: a new grant fits what was asked, a renewed one is never wider, and another object is none."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from vvos_core import (
    Ask,
    BadAnswer,
    BadInput,
    BadKey,
    Denied,
    Finished,
    Found,
    Grant,
    Mismatch,
    NotFound,
    Rules,
    TokenRequest,
    TooLarge,
    VVOSError,
    check_object,
    new_grant,
    new_grants,
    renewed_grant,
)

RULES = Rules(threshold=10, part_size=4, min_part=1, max_part=8, max_parts=10, max_key=20)
ASK = Ask(client_key="客户", key="键", size=25, type="video/mp4", metadata={"a": "b"})


def new(ask: Ask = ASK, cover: bool = False) -> Grant:
    return new_grant(ask, provider="p", rules=RULES, cover=cover, expires_at=100.0)


def test_a_new_grant_is_for_what_was_asked_and_cut_by_the_rules() -> None:
    grant = new()
    assert (grant.key, grant.client_key, grant.size, grant.type) == ("键", "客户", 25, "video/mp4")
    assert (grant.multipart, grant.part_size, grant.cover, grant.expires_at) == (True, 4, False, 100.0)
    assert not new(replace(ASK, size=10)).multipart


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"key": "a/../b"}, BadKey),
        ({"key": "k" * 21}, BadKey),
        ({"size": -1}, BadInput),
        ({"size": 81}, TooLarge),
        ({"type": ""}, BadInput),
        ({"type": "a\r\nx-amz-acl: public"}, BadInput),
        ({"type": "电影"}, BadInput),
    ],
)
def test_what_cannot_be_granted_is_refused(change: dict[str, Any], error: type[VVOSError]) -> None:
    with pytest.raises(error):
        new(replace(ASK, **change))


def renew(change: dict[str, Any], old: Grant | None = None, cover: bool = False) -> Grant:
    old = old or replace(new(), upload_id="u")
    return renewed_grant(replace(ASK, renew=old, **change), old, provider="p", cover=cover, expires_at=200.0)


def test_a_renewal_has_a_new_end_and_may_learn_its_checksum() -> None:
    grant = renew({"checksum": "sum:1"})
    assert (grant.expires_at, grant.checksum, grant.upload_id) == (200.0, "sum:1", "u")
    assert renew({}, grant).checksum == "sum:1"


@pytest.mark.parametrize(
    "change",
    [
        {"key": "other"},
        {"client_key": "other"},
        {"size": 26},
        {"size": 24},
        {"type": "text/html"},
        {"metadata": {"a": "c"}},
    ],
)
def test_a_renewal_is_never_for_anything_else(change: dict[str, Any]) -> None:
    with pytest.raises(Denied):
        renew(change)


def test_a_renewal_never_covers_more_changes_its_checksum_or_its_provider_or_lacks_its_upload() -> None:
    with pytest.raises(Denied, match="cover"):
        renew({}, cover=True)
    assert not renew({}).cover
    with pytest.raises(Denied, match="checksum"):
        renew({"checksum": "sum:2"}, renew({"checksum": "sum:1"}))
    with pytest.raises(Denied, match="provider"):
        renew({}, replace(new(), provider="q", upload_id="u"))
    with pytest.raises(Denied, match="upload"):
        renew({}, new())


@pytest.mark.parametrize(
    ("found", "error"),
    [
        (Found(key="键", exists=False), NotFound),
        (Found(key="键", exists=True, size=24, checksum="sum:1"), Mismatch),
        (Found(key="键", exists=True, size=25, checksum="sum:2"), Mismatch),
        (Found(key="键", exists=True, size=25), BadAnswer),
    ],
)
def test_another_object_is_none(found: Found, error: type[VVOSError]) -> None:
    with pytest.raises(error):
        check_object(Finished(grant=new(), size=25, checksum="sum:1"), found)
    with pytest.raises(error):
        check_object(Finished(grant=replace(new(), checksum="sum:1"), size=25), found)


def test_the_object_that_was_granted_and_read_passes() -> None:
    check_object(
        Finished(grant=new(), size=25, checksum="sum:1"), Found(key="键", exists=True, size=25, checksum="sum:1")
    )
    check_object(Finished(grant=new(), size=25), Found(key="键", exists=True, size=25))
    with pytest.raises(Mismatch):
        check_object(Finished(grant=new(), size=24), Found(key="键", exists=True, size=25))


ODD = (
    {"size": 0},
    {"size": 10},
    {"size": 11},
    {"size": -1},
    {"size": 10**6},
    {"type": "no type\n"},
    {"type": "文/字"},
    {"type": ""},
    {"checksum": "md5:00"},
    {"metadata": {"a": "b"}},
    {"key": "../a"},
    {"key": "a" * 21},
    {"key": "", "renew": new()},
)


@pytest.mark.parametrize("cover", [True, False])
@pytest.mark.parametrize("odd", [*((each,) for each in ODD), ODD, ()], ids=str)
def test_together_they_are_granted_as_each_is_alone(odd: tuple[dict[str, Any], ...], cover: bool) -> None:
    usual = Ask(client_key="客户", key="键", size=7, type="video/mp4")
    files = (usual, *(replace(usual, **each) for each in odd), replace(usual, key="b/c"))

    def alone(ask: Ask) -> Grant | VVOSError:
        try:
            return new_grant(ask, provider="p", rules=RULES, cover=cover, expires_at=100.0)
        except VVOSError as error:
            return error

    asked = []

    def each(ask: Ask) -> Grant | VVOSError:
        asked.append(ask)
        return alone(ask)

    request = TokenRequest(files=files, request_token="r", issued_at=1.0, expires_at=100.0, cover=cover)
    together = new_grants(request, each, provider="p", rules=RULES, expires_at=100.0)
    for ask, answer in zip(files, together, strict=True):
        expected = alone(ask)
        if isinstance(expected, VVOSError):
            assert (type(answer), str(answer)) == (type(expected), str(expected))
        else:
            assert answer == expected
    assert odd or not asked, "usual files cost no call each"
    assert all(ask in asked for ask in files if ask.renew is not None)
