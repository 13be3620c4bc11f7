"""Resumable upload v1 at its edges: block sizes, contexts, offsets."""

from __future__ import annotations

import base64
import hashlib
import os
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from .conftest import Raw, encoded

MIB = 1024 * 1024
BLOCK = 4 * MIB
DAY = 24 * 3600


def block(raw: Raw, body: bytes, size: int | None = None) -> Any:
    return raw.send("POST", f"/mkblk/{len(body) if size is None else size}", body, token=raw.token("a"))


def make(raw: Raw, size: object, *contexts: str, more: str = f"/key/{encoded('a')}") -> Any:
    return raw.send("POST", f"/mkfile/{size}{more}", ",".join(contexts).encode(), token=raw.token("a"))


def test_a_block_is_answered_with_all_that_clients_compare(raw: Raw) -> None:
    told = block(raw, b"hello").json
    assert set(told) == {"ctx", "checksum", "crc32", "offset", "host", "expired_at"}
    assert (told["crc32"], told["offset"], told["host"]) == (zlib.crc32(b"hello"), 5, raw.emulator.info["endpoint"])
    assert base64.urlsafe_b64decode(told["checksum"]) == hashlib.sha1(b"hello").digest()


@pytest.mark.parametrize(("size", "status"), [(0, 400), (1, 200), (BLOCK, 200), (BLOCK + 1, 400), ("x", 400)])
def test_sizes_of_blocks(raw: Raw, size: Any, status: int) -> None:
    assert block(raw, b"x" if size else b"", size).status == status


def test_chunks_make_a_block(raw: Raw) -> None:
    content = os.urandom(3 * MIB)
    told = block(raw, content[:MIB], 3 * MIB).json
    for start in (MIB, 2 * MIB):
        piece = content[start : start + MIB]
        reply = raw.send("POST", f"/bput/{told['ctx']}/{start}", piece, token=raw.token("a"))
        assert (reply.json["offset"], reply.json["crc32"]) == (start + MIB, zlib.crc32(piece))
        told = reply.json
    assert base64.urlsafe_b64decode(told["checksum"]) == hashlib.sha1(content).digest()
    assert make(raw, 3 * MIB, told["ctx"]).status == 200
    assert b"".join(raw.emulator.read("a")) == content


def test_a_context_is_stale_once_the_block_went_on(raw: Raw) -> None:
    first = block(raw, b"he", 5).json
    for offset in (1, 3):
        assert raw.send("POST", f"/bput/{first['ctx']}/{offset}", b"llo", token=raw.token("a")).status == 701
    assert raw.send("POST", f"/bput/{first['ctx']}/2", b"llo!", token=raw.token("a")).status == 400
    assert raw.send("POST", f"/bput/{first['ctx']}/2", b"llo", token=raw.token("a")).status == 200
    assert raw.send("POST", f"/bput/{first['ctx']}/2", b"llo", token=raw.token("a")).status == 701
    assert raw.send("POST", "/bput/nobody/0", b"x", token=raw.token("a")).status == 701


def test_what_makes_no_file(raw: Raw) -> None:
    whole, open_ = block(raw, b"hello").json["ctx"], block(raw, b"he", 5).json["ctx"]
    assert make(raw, 5, "nobody").status == 701
    assert make(raw, 5, open_).status == 701
    assert make(raw, 4, whole).status == 400
    assert make(raw, 10, whole, whole).status == 400
    assert make(raw, 5, whole, more="/key").status == 400
    assert make(raw, 5, whole, more="/key/***").status == 400
    assert make(raw, 5, whole, more=f"/key/{encoded('b')}").status == 403
    assert make(raw, 5, whole).status == 200


def test_a_context_lives_for_a_week(raw: Raw, later: Callable[[float], None]) -> None:
    ctx = block(raw, b"hello").json["ctx"]
    later(7 * DAY - 60)
    assert make(raw, 5, ctx).status == 200
    later(7 * DAY + 1)
    assert make(raw, 5, ctx).status == 701


def test_type_name_metadata_and_variables_are_in_the_path(raw: Raw) -> None:
    token = raw.token("a", returnBody='{"v":$(x:v),"f":$(fname)}')
    ctx = block(raw, b"hello").json["ctx"]
    said = {"key": "a", "mimeType": "text/x-a", "fname": "名", "x:v": "甲", "x-qn-meta-m": "乙"}
    path = "/mkfile/5" + "".join(f"/{name}/{encoded(value)}" for name, value in said.items())
    assert raw.send("POST", path, ctx.encode(), token=token).json == {"v": "甲", "f": "名"}
    stat = raw.managed("GET", f"/stat/{encoded('vvos:a')}").json
    assert (stat["mimeType"], stat["x-qn-meta"]) == ("text/x-a", {"m": "乙"})


def test_every_call_wants_a_token(raw: Raw) -> None:
    for path in ("/mkblk/1", "/bput/x/0", "/mkfile/1"):
        assert raw.send("POST", path, b"x").status == 401
        assert raw.send("GET", path, token=raw.token("a")).status == 405
        nobody = raw.auth.upload_token("nobody", "a")
        assert raw.send("POST", path, b"x", token=nobody).status == 631
