"""The name is the broker's: a client puts nothing under its own, and nothing where a broker gone wrong sends it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from vvos_core import VVOSError
from vvos_core.testing.doubles import content

from ..client.brokers import Broker, Raw, Request, as_json, client, extended
from ..engine.cloud import Cloud
from .places import BIG, SMALL, Place


@pytest.fixture
def cloud_in_memory() -> Cloud:
    return Cloud()


@pytest.fixture
def broker(cloud_in_memory: Cloud) -> Iterator[Broker]:
    with Broker(extended(cloud_in_memory)) as one:
        yield one


Change = Callable[[dict[str, Any], int], None]


def altered(answer: Callable[[Request, int], Raw], change: Change) -> Callable[[Request, int], Raw]:
    """The answer of an honest broker, changed."""

    def answered(request: Request, count: int) -> Raw:
        body = msgspec.json.decode(answer(request, count).body)
        change(body, count)
        return as_json(body)

    return answered


def grant_of(body: dict[str, Any], name: str = "我的.txt") -> dict[str, Any]:
    grant: dict[str, Any] = body["grants"][body["keys"][name]]
    return grant


def moved(body: dict[str, Any], key: str) -> None:
    """The keys say ``key``, and there is no grant of that name."""
    body["keys"]["我的.txt"] = key


def one_name_for_two(body: dict[str, Any], count: int) -> None:
    body["keys"]["他的.txt"] = body["keys"]["我的.txt"]


GETTOKEN: dict[str, tuple[Change, str]] = {
    "the key of no grant": (lambda body, _: moved(body, "e/别人的.txt"), "BAD_ANSWER"),
    "one name for two files": (one_name_for_two, "BAD_ANSWER"),
    "another size": (lambda body, _: grant_of(body).update(size=6), "BAD_ANSWER"),
    "leave to replace what is there": (lambda body, _: grant_of(body).update(cover=True), "BAD_ANSWER"),
    "another type": (lambda body, _: grant_of(body).update(type="text/html"), "BAD_ANSWER"),
    "metadata of its own": (lambda body, _: grant_of(body).update(metadata={"owner": "别人"}), "BAD_ANSWER"),
    "a size below nothing": (lambda body, _: grant_of(body).update(size=-1), "BAD_ANSWER"),
    "more parts than allowed": (lambda body, _: grant_of(body).update(multipart=True, partSize=0), "BAD_ANSWER"),
    "answers for others only": (
        lambda body, _: body.update(keys={"别人的.txt": "e/我的.txt"}),
        "BAD_ANSWER",
    ),
    "a way up": (lambda body, _: moved(body, "../我的.txt"), "BAD_ANSWER"),
    "a way up, with its grant": (
        lambda body, _: body.update(keys={"我的.txt": "../k"}, grants={"../k": grant_of(body)}),
        "BAD_KEY",
    ),
}


@pytest.mark.parametrize("what", GETTOKEN)
def test_a_grant_that_is_not_for_this_file_is_refused_before_a_byte_is_sent(
    what: str, broker: Broker, cloud_in_memory: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    change, code = GETTOKEN[what]
    broker.answers["gettoken"] = altered(broker.answers["gettoken"], change)
    vvos = client(monkeypatch, cloud_in_memory, broker.settings())
    vvos.add_files([(b"mine!", "我的.txt"), (b"his!!", "他的.txt")])
    mine, his = vvos.submit()
    assert mine.error is not None
    assert mine.error.code == code
    assert str(mine.error).endswith(".")
    assert "e/我的.txt" not in cloud_in_memory.objects
    assert mine.url == ""
    if what == "one name for two files":
        assert his.error is not None
        assert his.error.code == code
        assert cloud_in_memory.objects == {}


def test_less_than_was_asked_for_is_taken(
    broker: Broker, cloud_in_memory: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker.answers["gettoken"] = altered(
        broker.answers["gettoken"], lambda body, _: grant_of(body).update(cover=False, metadata={})
    )
    vvos = client(monkeypatch, cloud_in_memory, broker.settings(), cover=True)
    vvos.add_files((b"mine!", "我的.txt"), metadata={"title": "春节"})
    (result,) = vvos.submit()
    assert result.state == "done"


def test_one_name_for_files_of_two_calls_is_refused_to_the_second(
    broker: Broker, cloud_in_memory: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when the first is finished by then: its object would be replaced, and it would be told of as stored."""
    monkeypatch.setattr("vvos_core.engine.BATCH", 1)
    broker.answers["gettoken"] = altered(
        broker.answers["gettoken"],
        lambda body, _: body.update(
            keys=dict.fromkeys(body["keys"], "e/一.txt"), grants={"e/一.txt": next(iter(body["grants"].values()))}
        ),
    )
    vvos = client(monkeypatch, cloud_in_memory, broker.settings(), cover=True)
    vvos.add_files([(b"mine!", "我的.txt"), (b"his!!", "他的.txt")])
    mine, his = vvos.submit()
    assert broker.counts["gettoken"] == 2
    assert mine.state == "done"
    assert his.error is not None
    assert his.error.code == "BAD_ANSWER"
    assert "我的.txt" in str(his.error)
    assert cloud_in_memory.objects == {"e/一.txt": b"mine!"}


RENEWED: dict[str, Change] = {
    "another key": lambda body, _: body.update(
        keys={"大.mp4": "e/别人的.mp4"}, grants={"e/别人的.mp4": grant_of(body, "大.mp4")}
    ),
    "another upload": lambda body, _: grant_of(body, "大.mp4").update(uploadId="id-e/别人的.mp4"),
    "no upload": lambda body, _: grant_of(body, "大.mp4").update(uploadId=""),
    "another size": lambda body, _: grant_of(body, "大.mp4").update(size=1),
}


@pytest.mark.parametrize("what", RENEWED)
def test_a_renewal_for_something_else_is_refused_and_sends_nothing_more(
    what: str, broker: Broker, cloud_in_memory: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud = cloud_in_memory
    honest = broker.answers["gettoken"]

    def once_then_other(request: Request, count: int) -> Raw:
        answer = honest(request, count)
        if count == 1:
            cloud.generation += 1  # what was granted has expired before its first chunk
            return answer
        sent_before.append(cloud.counts["put_chunk"])
        return altered(lambda *_: answer, RENEWED[what])(request, count)

    sent_before: list[int] = []
    broker.answers["gettoken"] = once_then_other
    vvos = client(monkeypatch, cloud, broker.settings())
    vvos.add_files((bytes(30), "大.mp4"))
    (result,) = vvos.submit()
    assert result.error is not None
    assert result.error.code == "BAD_ANSWER"
    assert "another file, key or upload" in str(result.error)
    assert cloud.objects == {}
    assert not any(cloud.uploads.values())
    assert sent_before, "the renewal was asked for"


def test_what_exists_and_notifier_say_of_others_keys_is_nothing_to_this_file(
    broker: Broker, cloud_in_memory: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Answers go by server key; of somebody else's nothing is skipped, reported or shown."""
    others = {"key": "e/别人的.txt", "exists": True, "size": 5, "url": "https://cdn/别人的"}
    broker.answers["exists"] = lambda request, count: as_json({"objects": [others]})
    broker.answers["notifier"] = lambda request, count: as_json({"success": True, "objects": [others]})
    vvos = client(monkeypatch, cloud_in_memory, broker.settings())
    vvos.add_files((b"mine!", "我的.txt"))
    (result,) = vvos.submit()
    assert cloud_in_memory.objects == {"e/我的.txt": b"mine!"}
    assert result.error is not None
    assert result.error.code == "BAD_ANSWER"
    assert result.url == ""


@pytest.mark.parametrize("size", [SMALL, BIG])
def test_a_client_that_keeps_its_own_name_puts_nothing(place: Place, size: int) -> None:
    """The grant is for the name that the broker chose. With the client's own in its place, the service refuses."""
    data = content(size)
    grant = place.grant("改名/0a1b2c.bin", size, client_key="我的/相片.bin")
    own = replace(grant, key=grant.client_key, data=_with(grant.data, grant.key, grant.client_key))
    for attack in (own, replace(grant, key=grant.client_key)):
        with suppress(VVOSError):  # refused at the first chunk or at the end; or it went to the granted name after all
            receipts = place.put(attack, data)
            place.store.complete(place.sealed(grant, receipts), receipts)
        assert not place.found(own).exists
    place.calls.abort(grant)


def _with(value: Any, old: str, new: str) -> Any:
    from urllib.parse import quote

    if isinstance(value, dict):
        return {name: _with(item, old, new) for name, item in value.items()}
    return value.replace(old, new).replace(quote(old), quote(new)) if isinstance(value, str) else value
