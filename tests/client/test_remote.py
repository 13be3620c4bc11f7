"""The broker as a client sees it, over real sockets: what goes out, and what becomes of every kind of answer."""

from __future__ import annotations

import socket
import time
import zlib
from typing import Any

import pytest

from vvos_core import ApiSettings, BadInput, Secret
from vvos_core.loader import remote
from vvos_core.model import Ask, ExistsRequest, Finished, Found, Grant, Notified, NotifyRequest, Receipt, TokenRequest

from ..engine.cloud import Cloud
from .brokers import CALLS, Broker, Raw, Request, TokenCloud, as_json, client, html, plain, put, reason
from .uploading import data

# ── good brokers ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_files_arrive_through_an_extended_broker(broker: Broker, cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    vvos = client(monkeypatch, cloud, broker.settings())
    vvos.add_files([(data(size), f"文件{size}") for size in (0, 5, 10, 11, 55)])
    results = vvos.submit()
    assert [result.error for result in results] == [None] * 5
    assert cloud.objects == {f"e/文件{size}": data(size) for size in (0, 5, 10, 11, 55)}
    assert [result.url for result in results] == [f"https://cdn/e/文件{size}" for size in (0, 5, 10, 11, 55)]
    assert cloud.uploads == {}


def test_files_arrive_through_a_plain_backend_with_its_token(monkeypatch: pytest.MonkeyPatch) -> None:
    cloud = TokenCloud()
    with Broker(plain(cloud)) as broker:
        vvos = client(monkeypatch, cloud, broker.settings(provider="cloud"))
        vvos.add_files([(data(size), f"f{size}") for size in (0, 5, 55)], type="text/plain", metadata={"a": "b"})
        results = vvos.submit()
    assert [result.error for result in results] == [None] * 3
    assert cloud.objects == {f"u/f{size}": data(size) for size in (0, 5, 55)}
    assert {grant.access_token for grant in cloud.grants} == {"up-令牌"}
    large = next(grant for grant in cloud.grants if grant.size == 55)
    assert (large.provider, large.multipart, large.part_size, large.type) == ("cloud", True, 4, "text/plain")
    assert dict(large.metadata) == {"a": "b"}
    assert {request.body["accessToken"] for request in broker.requests if request.call != "gettoken"} == {"up-令牌"}


def test_a_plain_backend_without_a_provider_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    cloud = TokenCloud()
    with Broker(plain(cloud)) as broker:
        error = reason(put(broker, cloud, monkeypatch))
    assert error.code == "BAD_ANSWER"
    assert "api.provider" in str(error)
    assert broker.url("gettoken") in str(error)
    assert broker.counts == {"gettoken": 1}
    assert cloud.objects == {}


def test_without_an_address_for_exists_nobody_is_asked(
    broker: Broker, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert put(broker, cloud, monkeypatch, exists="").state == "done"
    assert broker.counts == {"gettoken": 1, "notifier": 1}


def test_a_thousand_files_go_in_few_calls(broker: Broker, cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    vvos = client(monkeypatch, cloud, broker.settings())
    vvos.add_files([(b"x", f"f{number}") for number in range(1000)])
    assert {result.state for result in vvos.submit()} == {"done"}
    assert broker.counts["gettoken"] == 5


# ── what goes out ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_calls_have_the_fields_of_the_protocol(
    broker: Broker, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vvos_core import VVOS, RetryPolicy

    client(monkeypatch, cloud, broker.settings())
    vvos = VVOS(broker.settings(client="网页"), cover=True, retry=RetryPolicy(base=0))
    vvos.add_files((data(12), "目录/图.png"), metadata={"作者": "甲"})
    assert vvos.submit()[0].state == "done"
    gettoken, exists, notifier = broker.requests
    assert gettoken.body.pop("requestToken").startswith("e30.")
    assert gettoken.body == {
        "keys": ["目录/图.png"],
        "files": {"目录/图.png": {"size": 12, "type": "image/png", "metadata": {"作者": "甲"}}},
        "cover": True,
        "client": "网页",
    }
    assert exists.body == {"accessToken": "sealed-0", "keys": ["e/目录/图.png"]}
    assert notifier.body == {
        "accessToken": "sealed-0",
        "keys": ["e/目录/图.png"],
        "files": {"e/目录/图.png": {"size": 12, "checksum": f"crc32:{zlib.crc32(data(12)):08x}"}},
    }
    for request in broker.requests:
        assert request.headers["content-type"] == "application/json"
        assert request.path == f"/api/{request.call}"


def test_business_parameters_reach_their_own_call_and_headers_all_three(
    broker: Broker, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    header = {"Authorization": Secret("Bearer base"), "X-App": Secret("vvos")}
    vvos = client(monkeypatch, cloud, broker.settings(header=header))
    vvos.add_files((b"x", "a"))
    vvos.submit(
        header={"X-User": "7", "x-app": "own"},
        gettoken={"课程": {"id": 1}},
        exists={"note": [None]},
        notifier={"success": "mine"},
    )
    assert [request.call for request in broker.requests] == list(CALLS)
    gettoken, exists, notifier = (request.body for request in broker.requests)
    assert gettoken["课程"] == {"id": 1}
    assert exists["note"] == [None]
    assert notifier["success"] == "mine"
    assert "课程" not in {*exists, *notifier}
    for request in broker.requests:
        assert request.headers["x-user"] == "7"
        assert request.headers["x-app"] == "own", "what is said for this submit goes before what is configured"
        assert request.headers["authorization"] == "Bearer base"


@pytest.mark.parametrize(
    "wrong",
    [
        {"gettoken": {"keys": []}},
        {"exists": {"accessToken": "x"}},
        {"notifier": {"files": {}}},
        {"gettoken": {"requestToken": "x"}},
        {"gettoken": {"cover": True}},
        {"header": {"Content-Type": "text/plain"}},
        {"gettoken": {"x": {1, 2}, "y": object()}},
    ],
    ids=lambda wrong: "-".join(wrong),
)
def test_what_would_overwrite_the_protocols_own_is_refused_before_anything_is_sent(
    wrong: dict[str, Any], broker: Broker, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    vvos = client(monkeypatch, cloud, broker.settings())
    vvos.add_files((b"x", "a"))
    with pytest.raises(BadInput) as caught:
        vvos.submit(**wrong)
    assert caught.value.code == "BAD_REQUEST"
    assert broker.requests == []


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "中文"])
def test_a_header_that_cannot_travel_is_a_sentence(
    value: str, broker: Broker, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    vvos = client(monkeypatch, cloud, broker.settings())
    vvos.add_files((b"x", "a"))
    [result] = vvos.submit(header={"X-User": value})
    error = reason(result)
    assert error.code == "BAD_REQUEST"
    assert "Evil" not in str(error)
    assert broker.requests == []


# ── renewal, and many tokens ──────────────────────────────────────────────────────────────────────────────────────────


def test_an_expired_grant_is_renewed_with_its_access_token(
    broker: Broker, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    def expire(hook: str, count: int) -> str:
        if hook == "put_chunk" and count >= 4:
            cloud.generation = 1
        return ""

    cloud.fault = expire
    assert put(broker, cloud, monkeypatch, 40).state == "done"
    assert cloud.objects == {"e/文件.txt": data(40)}
    first, second = (request.body for request in broker.requests if request.call == "gettoken")
    assert "accessToken" not in first
    assert second["accessToken"] == "sealed-0"
    assert second["keys"] == ["文件.txt"], "a file is known by its client key"
    assert second["requestToken"] != first["requestToken"]
    assert broker.requests[-1].body["accessToken"] == "sealed-1", "what was renewed is told with the new token"


def test_no_parts_are_told_from_parts_of_which_nothing_is_said(broker: Broker) -> None:
    objects = [
        {"key": "甲", "exists": True, "size": 3, "parts": [{"number": 2, "size": 5, "proof": "p"}]},
        {"key": "b", "exists": False, "parts": []},
        {"key": "c", "exists": False},
        {"key": "d", "exists": True, "parts": None},
    ]
    broker.answers["exists"] = lambda request, count: as_json({"objects": objects})
    grants = tuple(grant(key, "one") for key in "甲bcd")
    found = remote(broker.settings()).exists(ExistsRequest(grants=grants, parts=True))
    part = Receipt(number=2, size=5, proof="p")
    assert [item.parts for item in found if isinstance(item, Found)] == [(part,), (), None, None]


def grant(key: str, token: str) -> Grant:
    return Grant(provider="cloud", key=key, client_key=f"c-{key}", size=1, access_token=token)


def test_each_access_token_has_a_call_of_its_own(broker: Broker, cloud: Cloud) -> None:
    """Files of one batch may have been granted, or renewed, in different calls."""
    cloud.objects.update({"a": b"", "b": b"", "c": b""})
    grants = (grant("a", "one"), grant("b", "two"), grant("c", "one"))
    calls = remote(broker.settings())
    assert calls.exists(ExistsRequest(grants=grants, parts=True)) == [Found(key=key, exists=False) for key in "abc"]
    told = calls.notify(NotifyRequest(objects=tuple(Finished(grant=each, size=1) for each in grants)))
    assert told == [Notified(key=key, url=f"https://cdn/{key}") for key in "abc"]
    asks = tuple(Ask(client_key=each.client_key, key=each.key, size=1, renew=each) for each in grants)
    fresh = Ask(client_key="new", key="new", size=1)
    got = calls.token(
        TokenRequest(files=(*asks, fresh), request_token="e30.x.y", issued_at=1.0, expires_at=2.0, cover=False)
    )
    assert [item.client_key for item in got if isinstance(item, Grant)] == ["c-a", "c-b", "c-c", "new"]
    bodies = [(request.call, request.body.get("accessToken"), request.body["keys"]) for request in broker.requests]
    assert bodies == [
        ("exists", "one", ["a", "c"]),
        ("exists", "two", ["b"]),
        ("notifier", "one", ["a", "c"]),
        ("notifier", "two", ["b"]),
        ("gettoken", None, ["new"]),
        ("gettoken", "one", ["c-a", "c-c"]),
        ("gettoken", "two", ["c-b"]),
    ]
    assert [request.body.get("parts") for request in broker.requests[:2]] == [True, True]


# ── no answer ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_broker_that_is_down_is_told_with_its_address(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    settings = ApiSettings(
        gettoken=f"http://127.0.0.1:{port}/t?sig=s3cr3t", notifier=f"http://127.0.0.1:{port}/n", timeout=5
    )
    vvos = client(monkeypatch, cloud, settings)
    vvos.add_files([(b"x", "a"), (b"y", "b")])
    for result in vvos.submit():
        error = reason(result)
        assert error.code == "UNAVAILABLE"
        assert f"http://127.0.0.1:{port}/t" in str(error)
        assert "refused the connection" in str(error)
        assert "s3cr3t" not in str(error)


@pytest.mark.parametrize("call", CALLS)
def test_a_broker_that_never_answers_is_given_up(
    call: str, broker: Broker, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(request: Request, count: int) -> Raw:
        broker.release.wait(60)
        return Raw()

    broker.answers[call] = silent
    error = reason(put(broker, cloud, monkeypatch, timeout=0.2))
    assert error.code == "UNAVAILABLE"
    assert "was silent for 0.2 s" in str(error)
    assert broker.url(call) in str(error)
    assert broker.counts[call] == 3


def test_a_host_that_does_not_accept_is_waited_for_no_longer_than_configured(
    monkeypatch: pytest.MonkeyPatch, cloud: Cloud
) -> None:
    """A listener whose queue is full drops what comes next, as a firewall does."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        fillers = []
        for _ in range(3):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
            fillers.append(filler)
        settings = ApiSettings(
            gettoken=f"http://127.0.0.1:{port}/t", notifier=f"http://127.0.0.1:{port}/n", timeout=0.2
        )
        vvos = client(monkeypatch, cloud, settings, attempts=1)
        vvos.add_files((b"x", "a"))
        [result] = vvos.submit()
        for filler in fillers:
            filler.close()
    assert "0.2 s" in str(reason(result))


# ── what an address may hold ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "form",
    ["http://user:s3cr3t@127.0.0.1:{port}/api/gettoken", "http://127.0.0.1:{port}/api/gettoken?key=s3cr3t#s3cr3t"],
)
def test_an_address_is_told_without_what_may_be_secret(
    form: str, broker: Broker, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker.answers["gettoken"] = lambda request, count: html(404)
    error = reason(put(broker, cloud, monkeypatch, gettoken=form.format(port=broker.port)))
    assert "s3cr3t" not in str(error)
    assert "user" not in str(error)
    assert broker.url("gettoken") in str(error)


def test_a_query_in_an_address_reaches_the_broker(
    broker: Broker, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(broker, cloud, monkeypatch, gettoken=broker.url("gettoken") + "?app=7")
    assert broker.requests[0].path == "/api/gettoken?app=7"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://[::1]:9/t", "http://[::1]:9/t"),
        ("http://127.0.0.1:70000/t", "127.0.0.1:70000"),
        ("http://[::1/t", "address"),
        ("ftp://127.0.0.1/t", "ftp://127.0.0.1/t"),
        ("gettoken", "gettoken"),
    ],
)
def test_an_address_that_cannot_be_used_is_a_sentence_not_a_breach(
    url: str, shown: str, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    vvos = client(monkeypatch, cloud, ApiSettings(gettoken=url, notifier=url, timeout=5), attempts=1)
    vvos.add_files((b"x", "a"))
    [result] = vvos.submit()
    error = reason(result)
    assert error.code in ("BAD_REQUEST", "UNAVAILABLE")
    assert shown in str(error)


def test_a_long_message_of_somebody_else_is_cut(broker: Broker, cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    broker.answers["gettoken"] = lambda request, count: as_json({"code": "X", "message": "长" * 100_000}, 400)
    result = put(broker, cloud, monkeypatch)
    assert len(str(result.error)) < 1200


def test_headers_of_the_settings_stay_secret(broker: Broker, cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = broker.settings(header={"Authorization": Secret("s3cr3t")})
    assert "s3cr3t" not in repr(settings)
    broker.answers["gettoken"] = lambda request, count: html(401)
    error = reason(put(broker, cloud, monkeypatch, header={"Authorization": Secret("s3cr3t")}))
    assert "s3cr3t" not in str(error)


def test_finished_files_are_reported_together_while_others_are_put(
    broker: Broker, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    def take_a_while(hook: str, count: int) -> str:
        if hook == "put_chunk":
            time.sleep(0.001)  # as a service takes its time
        return ""

    cloud.fault = take_a_while
    vvos = client(monkeypatch, cloud, broker.settings())
    vvos.add_files([(b"x", f"小/{number}") for number in range(400)])
    assert {result.state for result in vvos.submit()} == {"done"}
    reported = [len(request.body["keys"]) for request in broker.requests if request.call == "notifier"]
    assert sum(reported) == 400
    assert len(reported) < 30
