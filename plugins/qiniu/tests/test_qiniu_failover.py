"""The next host, over real sockets: the first is dead from the beginning, dies half-way, or loses its answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest
from msgspec.structs import replace
from vvos_qiniu.checksum import BLOCK

from vvos_core import Found, NotFound
from vvos_core.testing.faults import FaultProxy, cut, swallow

from .conftest import Bench

KEY = "视频/雨 天.mp4"


@pytest.fixture
def ways(bench: Bench) -> Iterator[tuple[FaultProxy, FaultProxy]]:
    """Two hosts of the same service, in the order in which they are asked."""
    target = urlsplit(bench.emulator.info["endpoint"]).netloc
    with FaultProxy(target) as one, FaultProxy(target) as two:
        yield one, two


def use(bench: Bench, *hosts: FaultProxy, version: str = "v2") -> None:
    urls = tuple(f"http://{host.address}" for host in hosts)
    bench.granting = bench.made(up_hosts=urls, rs_hosts=(bench.emulator.info["endpoint"],), version=version)


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_a_host_that_dies_in_the_middle_of_an_upload(
    bench: Bench, ways: tuple[FaultProxy, FaultProxy], data: Callable[[int], bytes], version: str
) -> None:
    one, two = ways
    use(bench, one, two, version=version)
    two.refuse()  # so far it takes nothing
    content = data(3 * BLOCK + 7)
    grant = bench.grant(KEY, len(content))
    first, second, *others = bench.chunks(grant, content)
    receipts = [bench.storing.put_chunk(grant, first)]
    one.stage(cut(BLOCK // 2), times=None)
    two.pass_all()
    receipts.append(bench.storing.put_chunk(grant, second))
    assert second.readings == 2  # both send it twice
    one.close()
    receipts += [bench.storing.put_chunk(grant, chunk) for chunk in others]
    made = bench.storing.complete(grant, receipts)
    assert bench.read(KEY) == content
    assert bench.found(grant) == Found(key=KEY, exists=True, size=len(content), checksum=made.checksum)


@pytest.mark.parametrize("size", [3, BLOCK + 1])
def test_an_upload_is_begun_and_put_where_somebody_answers(
    bench: Bench, ways: tuple[FaultProxy, FaultProxy], data: Callable[[int], bytes], size: int
) -> None:
    one, two = ways
    use(bench, one, two)
    one.refuse()
    content = data(size)
    bench.upload(KEY, content)
    assert bench.read(KEY) == content
    # The client begins by itself where a plain backend's token is all it has.
    grant = replace(bench.grant("b", BLOCK + 1), upload_id="")
    bench.storing.complete(grant, bench.store(grant, bytes(BLOCK + 1)))
    assert bench.read("b") == bytes(BLOCK + 1)


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_a_completion_whose_answer_the_first_host_loses(
    bench: Bench, ways: tuple[FaultProxy, FaultProxy], data: Callable[[int], bytes], version: str
) -> None:
    one, two = ways
    use(bench, one, two, version=version)
    content = data(BLOCK + 1)
    grant = bench.grant(KEY, len(content))
    receipts = bench.store(grant, content)
    one.stage(swallow())
    if version == "v1":  # the second host makes the same object of the same blocks
        bench.storing.complete(grant, receipts)
    else:  # it knows the upload no more, and whoever completes looks for the object
        with pytest.raises(NotFound):
            bench.storing.complete(grant, receipts)
    assert one.played == ["swallow"]
    assert bench.read(KEY) == content
    found = bench.found(grant, parts=True)
    assert isinstance(found, Found)
    assert (found.exists, found.parts) == (True, None if version == "v1" else ())


def test_blocks_are_joined_where_they_were_said_to_be(
    bench: Bench, ways: tuple[FaultProxy, FaultProxy], data: Callable[[int], bytes]
) -> None:
    answered, asked = ways
    use(bench, asked, version="v1")
    content = data(BLOCK + 1)
    for dead, key in ((asked, "甲"), (answered, "乙")):
        bench.emulator.gate.blocks.host = f"http://{answered.address}"
        grant = bench.grant(key, len(content))
        receipts = bench.store(grant, content)
        assert {receipt.proof.split()[1] for receipt in receipts} == {f"http://{answered.address}"}
        dead.refuse()
        bench.storing.complete(grant, receipts)
        dead.pass_all()
        assert bench.read(key) == content
