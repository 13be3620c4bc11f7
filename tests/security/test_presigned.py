"""A put cannot be made into anything else on its way: the service refuses what was not signed; the client adds none."""

from __future__ import annotations

import base64
import hmac
import http.client
import json
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest
from msgspec.structs import replace

from vvos_core import Secret, VVOSError
from vvos_core.loader import load, storing
from vvos_core.model import Grant
from vvos_core.testing.doubles import Piece
from vvos_core.testing.faults import FaultProxy, add_headers

from .places import BIG, SIZES, SMALL, Place, cloud_place
from .test_keys import WAYS, Way, granted, profile, wire
from .wire import Wire

__all__ = ["wire"]  # a fixture
DATA = b"12345"
KEY = "相册/a b.jpg"


class Put(msgspec.Struct, frozen=True):
    """The request that a grant allows, ready to be altered."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes = DATA

    def with_query(self, more: str) -> Put:
        return replace(self, url=f"{self.url}&{more}")

    def with_headers(self, **more: str) -> Put:
        named = {name.replace("_", "-"): value for name, value in more.items()}
        return replace(self, headers={**self.headers, **named})

    def without(self, name: str) -> Put:
        kept = {key: value for key, value in self.headers.items() if key.lower() != name}
        return replace(self, headers=kept)

    def send(self) -> int:
        parts = urlsplit(self.url)
        connection = http.client.HTTPConnection(parts.netloc, timeout=10)
        try:
            connection.request(self.method, f"{parts.path}?{parts.query}", self.body, dict(self.headers))
            answer = connection.getresponse()
            answer.read()
            return answer.status
        finally:
            connection.close()


PRESIGNED = ("aliyun", "s3")


@pytest.fixture(params=PRESIGNED)
def service(request: pytest.FixtureRequest, emulators: dict[str, Any]) -> Place:
    """The services whose grants are presigned requests."""
    emulators[request.param].reset()
    return cloud_place(request.param, emulators[request.param])


def put_of(grant: Grant) -> Put:
    signed = dict(grant.data.get("presigned") or grant.data)["put"]
    return Put("PUT", signed["url"], signed["headers"])


def part_of(service: Place, grant: Grant) -> Put:
    """The request of the first part, caught as the client makes it."""
    parts = dict(grant.data.get("presigned") or grant.data)["parts"]
    letters = base64.urlsafe_b64decode(parts["signatures"][:43] + "=").hex()
    size = SIZES[service.name]["part_size"]
    return Put("PUT", f"{parts['url']}1{parts['tail']}{letters}", {}, bytes(size))


ALTERATIONS: dict[str, Callable[[Put], Put]] = {
    "a copy": lambda put: put.with_headers(x_v_copy_source="/vvos/secret.txt"),
    "a copy of a range": lambda put: put.with_headers(
        x_v_copy_source="/vvos/secret.txt", x_v_copy_source_range="bytes=0-4"
    ),
    "a copy, in the query": lambda put: put.with_query("x-v-copy-source=%2Fvvos%2Fsecret.txt"),
    "public": lambda put: put.with_headers(x_v_acl="public-read", x_v_object_acl="public-read"),
    "a symlink": lambda put: put.with_query("symlink").with_headers(x_v_symlink_target="secret.txt"),
    "a callback": lambda put: put.with_headers(x_v_callback="e30="),
    "a redirect": lambda put: put.with_headers(x_v_website_redirect_location="https://evil.test/"),
    "metadata": lambda put: put.with_headers(x_v_meta_owner="me"),
    "tags": lambda put: put.with_headers(x_v_tagging="a=b"),
    "another query": lambda put: put.with_query("acl"),
    "another upload": lambda put: put.with_query("partNumber=1&uploadId=x"),
    "reading": lambda put: replace(put, method="GET", body=b""),
    "looking": lambda put: replace(put, method="HEAD", body=b""),
    "deleting": lambda put: replace(put, method="DELETE", body=b""),
    "posting": lambda put: replace(put, method="POST"),
    "one byte more": lambda put: replace(put, body=put.body + b"6"),
    "one byte less": lambda put: replace(put, body=put.body[:-1]),
    "another key": lambda put: replace(put, url=put.url.replace("a%20b.jpg", "c.jpg")),
    "a key above": lambda put: replace(put, url=put.url.replace("a%20b.jpg", "../c.jpg")),
    "a later end": lambda put: replace(put, url=re.sub(r"(?i)(expires=)600", r"\g<1>6000", put.url)),
    "another signature": lambda put: replace(put, url=put.url[:-1] + ("0" if put.url[-1] != "0" else "1")),
}
"""``x-v-`` stands for the service's own prefix of headers."""
OF_A_PUT_ONLY: dict[str, Callable[[Put], Put]] = {
    "another type": lambda put: put.with_headers(content_type="text/html"),
    "no type": lambda put: put.without("content-type"),
    "replacing, by leaving out": lambda put: put.without("if-none-match").without("x-oss-forbid-overwrite"),
    "replacing, by saying so": lambda put: put.without("if-none-match").with_headers(x_v_forbid_overwrite="false"),
}


def refused(service: Place, what: str, put: Put) -> None:
    """Send the altered request: it is refused, and nothing was copied."""
    prefix = {"s3": "x-amz-", "aliyun": "x-oss-"}[service.name]
    named = {name.replace("x-v-", prefix): value for name, value in put.headers.items()}
    service.emulator.counts.clear()
    status = replace(put, headers=named, url=put.url.replace("x-v-", prefix)).send()
    assert 400 <= status < 500, f"{what}: answered {status}"
    assert not {name for name in service.emulator.counts if "Copy" in name}, what


def test_an_altered_put_is_refused(service: Place) -> None:
    service.upload("secret.txt", b"secret")
    put = put_of(service.grant(KEY, type="image/jpeg"))
    for what, change in {**ALTERATIONS, **OF_A_PUT_ONLY}.items():
        refused(service, what, change(put))
        for key in (KEY, "相册/c.jpg", "c.jpg"):
            assert not service.found(service.grant(key)).exists, what
    assert put.send() == 200, "unaltered it is good"
    assert (service.read(KEY), service.read("secret.txt")) == (DATA, b"secret")


def test_an_altered_part_is_refused(service: Place) -> None:
    service.upload("secret.txt", b"secret")
    grant = service.grant(KEY, BIG)
    part = part_of(service, grant)
    for what, change in ALTERATIONS.items():
        refused(service, what, change(part))
        assert service.found(grant, parts=True).parts == (), what
    assert part.send() == 200, "unaltered it is good"
    service.calls.abort(grant)


@pytest.mark.parametrize("size", [SMALL, BIG])
def test_a_header_added_on_the_way_makes_no_copy(cloud: Place, size: int) -> None:
    """The client's own requests, to which a proxy between adds what asks for a copy."""
    cloud.upload("secret.txt", b"secret")
    with FaultProxy(cloud.emulator.info["endpoint"]) as proxy:
        through: dict[str, Any] = {"up_hosts": [proxy.url]} if cloud.name == "qiniu" else {"endpoint": proxy.url}
        between = cloud_place(cloud.name, cloud.emulator, **through)
        grant = between.grant(KEY, size)
        copying = {"x-amz-copy-source": "/vvos/secret.txt", "x-oss-copy-source": "/vvos/secret.txt"}
        proxy.stage(add_headers(copying), times=None)
        data = bytes(size)
        if cloud.name == "qiniu":  # a token is no presigned request: Kodo knows no such header
            cloud.store.complete(grant, between.put(grant, data))
            assert cloud.read(KEY) == data
        else:
            with pytest.raises(VVOSError):
                between.put(grant, data)
        assert "add headers" in proxy.played
        assert {name for name in cloud.emulator.counts if "Copy" in name} == set()


OURS = {"host", "user-agent", "accept-encoding", "content-length"}
"""What every HTTP client sends."""
SIGNED: dict[str, set[str]] = {
    "s3": {"content-type", "if-none-match", "content-md5"},
    "aliyun": {"content-type", "x-oss-forbid-overwrite"},
    "qiniu": {"content-type", "authorization", "content-md5"},
    "webdav": {"content-type", "authorization", "if-none-match"},
}
"""What a put of each provider may carry besides; of S3 ``content-md5`` needs no signature, and is verified."""


@pytest.mark.parametrize("name", WAYS)
def test_the_client_sends_no_other_headers(name: str, wire: Wire) -> None:  # the fixture
    way: Way = WAYS[name]
    calls, store = load(profile(way, wire.url)), storing(way.provider)
    grant = granted(way, calls, KEY)
    assert isinstance(grant, Grant)
    wire.seen.clear()
    size = grant.part_size or way.size
    store.put_chunk(grant, Piece(bytes(size), 1))
    (seen,) = wire.seen
    assert seen.names <= OURS | SIGNED[way.provider], seen.names
    assert not [header for header in seen.names if "copy" in header or "acl" in header]


def upload_token(place: Place, policy: Mapping[str, object]) -> str:
    """Kodo's token form, signed with another secret than the account's."""
    encoded = base64.urlsafe_b64encode(json.dumps(policy).encode()).decode()
    mac = hmac.new(b"not the secret", encoded.encode(), "sha1").digest()
    return f"{place.emulator.info['access_key']}:{base64.urlsafe_b64encode(mac).decode()}:{encoded}"


@pytest.fixture
def kodo(emulators: dict[str, Any]) -> Place:
    emulators["qiniu"].reset()
    return cloud_place("qiniu", emulators["qiniu"])


@pytest.mark.parametrize(
    "wider",
    [
        {"scope": "vvos"},
        {"scope": "vvos:别人的"},
        {"insertOnly": 0},
        {"fsizeLimit": 1 << 40},
        {"deadline": 1 << 40},
        {"callbackUrl": "http://evil.test/"},
        {"returnUrl": "http://evil.test/"},
        {"saveKey": "别人的", "forceSaveKey": True},
    ],
    ids=lambda wider: next(iter(wider)),
)
def test_an_upload_token_with_another_policy_is_refused(kodo: Place, wider: dict[str, object]) -> None:
    grant = kodo.grant(KEY, SMALL)
    signature, _, encoded = str(grant.data["token"]).rpartition(":")
    policy = json.loads(base64.urlsafe_b64decode(encoded)) | wider
    altered = f"{signature}:{base64.urlsafe_b64encode(json.dumps(policy).encode()).decode()}"
    for token in (altered, upload_token(kodo, policy)):
        with pytest.raises(VVOSError):
            kodo.put(replace(grant, data={**grant.data, "token": token}), DATA)
    assert not kodo.found(grant).exists


def test_no_secret_of_a_profile_is_needed_to_put(cloud: Place) -> None:
    """The half that puts is made with no settings at all, and a grant holds no key of the account."""
    grant = cloud.grant(KEY, SMALL)
    shown = json.dumps(dict(grant.data))
    for value in cloud.profile.settings.values():
        if (
            isinstance(value, Secret)
            and len(value.reveal()) > 20
            and value.reveal() != cloud.emulator.info["access_key"]
        ):
            assert value.reveal() not in shown
