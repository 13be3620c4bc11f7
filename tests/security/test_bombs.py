"""Answers made to hurt: growing XML, endless nesting, gzip within gzip. Bounded memory, and one sentence."""

from __future__ import annotations

import gzip
import json
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from vvos_aliyun import xml as oss_xml
from vvos_s3 import xml as s3_xml

from vvos_core import BadAnswer, Http, VVOSError
from vvos_core.http import MAX_ANSWER
from vvos_core.testing.server import LocalServer, Request, Response

MIB = 1024 * 1024


@contextmanager
def bounded(mebibytes: float, seconds: float) -> Iterator[None]:
    """What happens within takes no more memory than this beyond what was there, and no longer."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        start = time.perf_counter()
        yield
        took = time.perf_counter() - start
        peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert peak < mebibytes * MIB, f"{peak / MIB:.1f} MiB"
    assert took < seconds, f"{took:.1f} s"


class Serving:
    """A service that answers whatever a test has put here."""

    def __init__(self) -> None:
        self.answer = Response(200)
        self.server = LocalServer("127.0.0.1", 0, self._answer, "bombs")

    def _answer(self, request: Request) -> Response:
        while request.body.read(1 << 16):
            pass
        return self.answer


@pytest.fixture
def serving() -> Iterator[Serving]:
    made = Serving()
    made.server.start()
    yield made
    made.server.stop()


def times(data: bytes, *codings: str) -> Response:
    """``data`` in these codings, one within the other."""
    for coding in codings:
        data = gzip.compress(data, 6) if coding == "gzip" else zlib.compress(data, 6)
    return Response(200, [("Content-Encoding", ", ".join(codings))], data)


BOMBS: dict[str, Callable[[], Response]] = {
    "gzip": lambda: times(bytes(40 * MIB), "gzip"),
    "deflate": lambda: times(bytes(40 * MIB), "deflate"),
    "gzip in gzip": lambda: times(bytes(40 * MIB), "gzip", "gzip"),
    "gzip in deflate in gzip": lambda: times(bytes(40 * MIB), "gzip", "deflate", "gzip"),
    "a hundred times": lambda: times(b"x", *["gzip"] * 100),
    "no length": lambda: Response(200, [], (bytes(MIB) for _ in range(60)), length=60 * MIB),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_an_answer_that_unpacks_beyond_the_limit_is_refused_in_bounded_memory(serving: Serving, bomb: str) -> None:
    """The limit holds for what comes out of the coding, not for what came over the wire."""
    serving.answer = BOMBS[bomb]()
    http = Http()
    with bounded(30, 20), pytest.raises(BadAnswer) as caught:
        http.send("GET", serving.server.url, what="looking")
    assert str(caught.value).endswith((".", "?"))
    http.close()


@pytest.mark.parametrize("size", [10, MAX_ANSWER])
def test_what_nobody_asked_to_compress_is_not_unpacked(serving: Serving, size: int) -> None:
    serving.answer = times(bytes(size), "gzip")
    http = Http()
    try:
        with pytest.raises(BadAnswer, match="nobody asked it to compress"):
            http.send("GET", serving.server.url, what="looking")
    finally:
        http.close()


LAUGHS = b"".join(b'<!ENTITY l%d "%s">' % (n, b"&l%d;" % (n - 1) * 10) for n in range(1, 12))
XML: dict[str, bytes] = {
    "a billion laughs": b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY l0 "ha">' + LAUGHS + b"]><a>&l11;</a>",
    "one entity, a million times": b'<!DOCTYPE a [<!ENTITY x "'
    + b"y" * 50_000
    + b'">]><a>'
    + b"&x;" * 50_000
    + b"</a>",
    "a file": b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><Error><Code>&x;</Code></Error>',
    "an address": b'<!DOCTYPE a SYSTEM "http://127.0.0.1:1/x.dtd"><Error/>',
    "a parameter entity": b'<!DOCTYPE a [<!ENTITY % p SYSTEM "http://127.0.0.1:1/"> %p;]><a/>',
    "attributes that are declared": b'<!DOCTYPE a [<!ATTLIST a b CDATA "c">]><a/>',
    "in UTF-16": '<?xml version="1.0" encoding="UTF-16"?><!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>'.encode("utf-16"),
    "in UTF-7": b'<?xml version="1.0" encoding="UTF-7"?>+ADwAIQ-DOCTYPE a+AD4-<a/>',
    "an unknown entity": b"<a>&x;</a>",
    "nothing": b"",
    "half": b"<Error><Code>",
    "two roots": b"<a/><b/>",
    "a control character": b"<a>\x00</a>",
}
READERS: dict[str, Callable[[bytes], Any]] = {"s3": s3_xml.read, "aliyun": oss_xml.parse}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("bomb", XML)
def test_xml_that_grows_or_reaches_out_is_refused(reader: str, bomb: str) -> None:
    with bounded(2, 2), pytest.raises(BadAnswer):
        READERS[reader](XML[bomb])


FULL = MAX_ANSWER // 4
LARGE: dict[str, Callable[[], bytes]] = {
    "nesting": lambda: b"<a>" * (FULL // 7) + b"</a>" * (FULL // 7),
    "nesting without end": lambda: b"<a>" * (FULL // 3),
    "siblings": lambda: b"<r>" + b"<a/>" * (FULL // 4 - 3) + b"</r>",
    "one name": lambda: b"<" + b"a" * (FULL - 3) + b"/>",
    "attributes": lambda: b"<a " + b" ".join(b'b%d="c"' % n for n in range(80_000)) + b"/>",
    "namespaces": lambda: b"<a " + b" ".join(b'xmlns:b%d="c"' % n for n in range(50_000)) + b"/>",
    "comments": lambda: b"<a>" + b"<!---->" * (FULL // 7 - 2) + b"</a>",
}
"""A quarter of what an answer may be, for the tests' time: the limit on its length is what bounds these."""


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("shape", LARGE)
def test_a_large_answer_of_any_shape_is_read_in_bounded_memory_and_time(reader: str, shape: str) -> None:
    data = LARGE[shape]()
    assert len(data) <= FULL
    with bounded(100, 20):
        said = ""
        try:
            READERS[reader](data)
        except VVOSError as error:
            said = str(error)
    assert len(said) < 500, "an error does not repeat the attack"


JSON: dict[str, bytes] = {
    "nesting": b"[" * 1_000_000,
    "nesting of objects": b'{"keys":' * 500_000,
    "nesting within": b'{"accessToken":"t","keys":{},"x":' + b"[" * 500_000 + b"]" * 500_000 + b"}",
    "a long number": b'{"accessToken":"t","keys":{},"x":' + b"9" * 1_000_000 + b"}",
    "a great exponent": b'{"accessToken":"t","keys":{},"x":1e999999999}',
    "a long name": b'{"' + b"k" * 3_000_000 + b'":1}',
    "many names": json.dumps({f"k{number}": number for number in range(200_000)}).encode(),
    "half a character": b'{"accessToken":"\\ud800","keys":{"a":"b"}}',
    "no UTF-8": b'{"accessToken":"\xff\xfe"}',
    "NaN": b'{"accessToken":"t","keys":{"a":"b"},"grants":{"b":{"provider":"s3","size":NaN}}}',
    "endless": b'{"accessToken":"t","keys":{"a":"b"},"grants":{"b":{"provider":"s3","size":1,"expiresAt":1e400}}}',
}


@pytest.mark.parametrize("bomb", JSON)
def test_json_of_a_broker_that_would_hurt_is_one_sentence_at_the_client(serving: Serving, bomb: str) -> None:
    from vvos_core import VVOS, RetryPolicy

    serving.answer = Response(200, [("Content-Type", "application/json")], JSON[bomb])
    url = serving.server.url
    upload = VVOS(
        api={"gettoken": url + "/t", "notifier": url + "/n", "exists": url + "/e"}, retry=RetryPolicy(attempts=1)
    )
    upload.add_files((b"x", "a"))
    with bounded(100, 20):
        (result,) = upload.submit()
    assert result.error is not None
    assert len(str(result.error)) < 2000
    assert "\n" not in str(result.error)


@pytest.mark.parametrize("bomb", JSON)
def test_json_of_kodo_that_would_hurt_is_one_sentence(bomb: str) -> None:
    from vvos_qiniu.hosts import _Query, decode

    with bounded(100, 20), pytest.raises(BadAnswer) as caught:
        decode(JSON[bomb], _Query, "asking", "键")
    assert len(str(caught.value)) < 500
