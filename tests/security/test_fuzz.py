"""Every parser of bytes from outside, by the thousand: a VVOSError or an answer, in bounded memory and time.

More of it: ``HYPOTHESIS_PROFILE=soak``. The broker's bodies have their own: ``tests/broker/test_fuzz.py``.
"""

from __future__ import annotations

import base64
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.fernet import Fernet
from hypothesis import HealthCheck, example, given, reject, settings, strategies as st
from msgspec.structs import replace
from vvos_aliyun import sts as oss_sts, xml as oss_xml
from vvos_qiniu import faults as kodo_faults, grants as kodo_grants, hosts as kodo_hosts, parts as kodo_parts
from vvos_s3 import xml as s3_xml

from vvos_core import Answer, ApiSettings, Grant, Receipt, VVOSError, request_token
from vvos_core.broker import seal as sealing
from vvos_core.broker.seal import Seal
from vvos_core.builtin.remote import Remote
from vvos_core.loader import load, storing
from vvos_core.model import (
    MIB,
    Ask,
    ExistsRequest,
    Finished,
    NotifyRequest,
    Rules,
    TokenRequest,
)
from vvos_core.profile import load as load_config
from vvos_core.testing.doubles import Piece
from vvos_core.testing.server import LocalServer, Request, Response

from ..broker.fake import NOW, SEAL_KEY
from ..effort import examples
from .mutating import exchanged, spoiled
from .test_keys import WAYS, profile

MEMORY = 64 * MIB
"""Bytes that one example may take at its peak."""
SECONDS = 10.0
"""That one example may take, on a machine that is busy."""
MANY = settings(max_examples=examples(60), suppress_health_check=list(HealthCheck), deadline=None)


def survives(call: Callable[[], object]) -> None:
    """It answers, or raises a VVOSError: nothing else, soon, and in little memory."""
    start = time.perf_counter()
    tracemalloc.start()
    said = ""
    try:
        call()
    except VVOSError as error:
        said = str(error)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert len(said) < 20_000, "an error does not repeat the attack"
    assert peak < MEMORY, f"{peak / MIB:.1f} MiB"
    assert time.perf_counter() - start < SECONDS


RESULT = (
    b'<?xml version="1.0"?><CompleteMultipartUploadResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Key>k</Key>'
    b'<ETag>"e-2"</ETag><ChecksumCRC64NVME>AAAAAAAAAAA=</ChecksumCRC64NVME></CompleteMultipartUploadResult>'
)
ERROR = b"<Error><Code>NoSuchUpload</Code><Message>gone</Message><RequestId>1</RequestId><EC>0002</EC></Error>"
LIST = (
    b"<ListPartsResult><IsTruncated>false</IsTruncated><NextPartNumberMarker>1</NextPartNumberMarker><Part><PartNumber>1"
    b"</PartNumber><ETag>&quot;E&quot;</ETag><Size>5</Size><HashCrc64ecma>1</HashCrc64ecma></Part></ListPartsResult>"
)
BEGUN = b"<InitiateMultipartUploadResult><UploadId>id</UploadId></InitiateMultipartUploadResult>"
XML = [RESULT, ERROR, LIST, BEGUN]
KODO_PARTS = {
    "uploadId": "i",
    "expireAt": 1,
    "partNumberMarker": 0,
    "parts": [{"size": 1, "etag": "e", "partNumber": 1}],
}
KODO_HOSTS = {"hosts": [{"up": {"domains": ["up.test"]}, "rs": {"domains": ["rs.test"]}, "ttl": 86400}]}
STS = {
    "Credentials": {
        "AccessKeyId": "a",
        "AccessKeySecret": "s",
        "SecurityToken": "t",
        "Expiration": "2026-01-01T00:00:00Z",
    }
}
JSON = st.one_of(
    *[exchanged(sample) for sample in (KODO_PARTS, KODO_HOSTS, STS, {"error": "x"}, {"hash": "h", "key": "k"})]
)


@pytest.mark.parametrize("read", [s3_xml.read, s3_xml.error, oss_xml.parse])
def test_xml(read: Callable[[bytes], object]) -> None:
    @MANY
    @given(spoiled(XML))
    def check(body: bytes) -> None:
        survives(lambda: read(body))

    check()


@MANY
@given(spoiled([ERROR]), st.text(max_size=80))
def test_errors_of_oss_with_and_without_a_body(body: bytes, header: str) -> None:
    survives(lambda: oss_xml.error(Answer(status=400, headers={"x-oss-err": header}, body=body)))
    survives(lambda: oss_xml.error(Answer(status=400, headers={"x-oss-err": header})))


@pytest.mark.parametrize("kind", [kodo_hosts._Query, kodo_parts._List, kodo_parts._Put, dict])
def test_json_of_kodo(kind: Any) -> None:
    @MANY
    @given(JSON | spoiled([msgspec.json.encode(KODO_PARTS)]))
    def check(body: bytes) -> None:
        survives(lambda: kodo_hosts.decode(body, kind, "asking", "键"))
        survives(lambda: kodo_faults.text(body))
        survives(lambda: oss_sts._decoded(body, oss_sts._Answer, None))

    check()


@MANY
@given(
    st.text(max_size=200)
    | spoiled([b"ak:c2ln:eyJzY29wZSI6ImI6ayIsImRlYWRsaW5lIjoxfQ=="]).map(lambda b: b.decode("latin-1"))
)
def test_upload_tokens_of_kodo(token: str) -> None:
    survives(lambda: kodo_grants.parse(token, "键"))


@MANY
@given(st.text(max_size=300) | spoiled([request_token.make("批").encode()]).map(lambda b: b.decode("latin-1")))
def test_request_tokens(token: str) -> None:
    survives(lambda: request_token.request_id(token))


@MANY
@given(st.binary(max_size=100) | spoiled([b'{"requestId": "x"}']) | exchanged({"requestId": "x", "a": [1]}))
def test_what_is_inside_a_request_token(payload: bytes) -> None:
    middle = base64.urlsafe_b64encode(payload).rstrip(b"=").decode()
    survives(lambda: request_token.request_id(f"e30.{middle}.x"))


SEALED = [1, "who", "id", NOW, NOW + 60, "client", [["main", "fake"]]]
ITEM = ["a", "b", 5, "text/plain", False, NOW, False, 0, "", "", False, {}, 0]


@MANY
@given(
    st.text(max_size=300) | st.binary(max_size=300).map(lambda b: Fernet(sealing._derive(SEAL_KEY)).encrypt(b).decode())
)
def test_access_tokens(token: str) -> None:
    survives(lambda: Seal([SEAL_KEY], 60).open(token, NOW))


@MANY
@given(exchanged([*SEALED, [ITEM]]))
@example(msgspec.json.encode([*SEALED[:-1], [], [ITEM]]))
def test_what_is_inside_an_access_token(inside: bytes) -> None:
    """Sealed with the broker's own key, by a program that is not this release."""
    import zlib

    try:
        packed = zlib.compress(msgspec.msgpack.encode(msgspec.json.decode(inside)))
    except OverflowError:
        reject()  # MessagePack has no such integers
    token = Fernet(sealing._derive(SEAL_KEY)).encrypt(packed).decode()

    def opened() -> object:
        found = Seal([SEAL_KEY], 60).open(token, NOW)
        return found.by_key, found.by_client_key

    survives(opened)


class Stand:
    """A service that answers as the example says."""

    def __init__(self) -> None:
        self.answer = Response(200)
        self.server = LocalServer("127.0.0.1", 0, self._answer, "fuzz")

    def _answer(self, request: Request) -> Response:
        while request.body.read(1 << 16):
            pass
        return self.answer


@pytest.fixture
def stand() -> Iterator[Stand]:
    made = Stand()
    made.server.start()
    yield made
    made.server.stop()


# Not 301: botocore asks for the bucket's region, and again when that is answered with 301, some eighty times over.
STATUSES = st.sampled_from([200, 200, 201, 204, 298, 400, 403, 404, 409, 412, 416, 612, 614, 701])
VALUES = st.sampled_from(["", "0", "-1", "x", '"e"', "9" * 30, "1e5", "é", "crc", "Mon, 01 Jan 2026 00:00:00 GMT"])
NAMES = (
    "ETag",
    "x-oss-hash-crc64ecma",
    "x-amz-checksum-crc64nvme",
    "Retry-After",
    "x-oss-err",
    "Content-Type",
    "X-Reqid",
)
HEADERS = st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=4)
GRANTED = [name for name in WAYS if "virtual" not in name]


# The clouds' SDKs drop connections whose answers they did not like, and leave the closing to the garbage collector.
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("name", GRANTED)
def test_answers_of_a_service_to_each_provider(name: str, stand: Stand) -> None:
    """Both halves, every call: storing, completing, aborting; beginning, looking, listing, verifying."""
    way = WAYS[name]
    at = profile(way, stand.server.url)
    at = replace(
        at, settings={**at.settings, "endpoint": stand.server.url} if "endpoint" in at.settings else at.settings
    )
    calls, store = load(at), storing(way.provider)
    begun = b'{"uploadId": "id", "expireAt": 1}' if way.provider == "qiniu" else BEGUN
    stand.answer = Response(200, [], begun)
    (grant,) = calls.token(
        TokenRequest(
            files=(Ask(client_key="k", key="键", size=way.size),), request_token="x", issued_at=NOW, expires_at=NOW + 60
        )
    )
    assert isinstance(grant, Grant)
    stand.answer = Response(404)
    with suppress(VVOSError):
        calls.exists(ExistsRequest(grants=(grant,)))  # imports the cloud's SDK, which is not what is measured

    @settings(MANY, max_examples=MANY.max_examples // 6)
    @given(STATUSES, HEADERS, spoiled(XML) | JSON)
    def check(status: int, headers: dict[str, str], body: bytes) -> None:
        stand.answer = Response(status, list(headers.items()), body)
        piece = Piece(bytes(grant.part_size or way.size), 1)
        receipts = [Receipt(number=1, size=len(piece), proof="p"), Receipt(number=2, size=1, proof="q")]
        survives(lambda: store.put_chunk(grant, piece))
        survives(lambda: store.complete(grant, receipts))
        survives(lambda: store.abort(grant))
        survives(lambda: calls.exists(ExistsRequest(grants=(grant,), parts=True)))
        survives(lambda: calls.verify(NotifyRequest(objects=(Finished(grant=grant, size=way.size),))))
        ask = Ask(client_key="k", key="键", size=way.size)
        survives(lambda: calls.token(TokenRequest(files=(ask,), request_token="x", issued_at=NOW, expires_at=NOW + 60)))

    check()


GRANT = {"provider": "s3", "size": 5, "type": "t", "multipart": True, "partSize": 5, "uploadId": "u", "data": {"a": 1}}
GETTOKEN = {
    "accessToken": "t",
    "keys": {"a": "k"},
    "grants": {
        "k": {**GRANT, "expiresAt": 1e9, "metadata": {"a": "b"}, "cover": True, "checksum": "x:y", "seal": True}
    },
    "failed": [{"key": "b", "code": "C", "message": "m"}],
}
EXISTS = {
    "objects": [
        {"key": "k", "exists": True, "size": 5, "checksum": "x", "parts": [{"number": 1, "size": 5, "proof": "p"}]}
    ]
}
NOTIFIER = {"success": True, "code": "SUCCESS", "objects": [{"key": "k", "url": "u"}], "failed": [{"key": "b"}]}
ANSWERS = st.one_of(*[exchanged(sample) for sample in (GETTOKEN, EXISTS, NOTIFIER)])


@MANY
@given(STATUSES, ANSWERS | spoiled([msgspec.json.encode(GETTOKEN)]))
def test_answers_of_a_broker_at_the_client(status: int, body: bytes) -> None:
    api = ApiSettings(gettoken="http://b.test/t", exists="http://b.test/e", notifier="http://b.test/n", provider="s3")
    rules = Rules(threshold=1, part_size=5, min_part=1, max_part=5, max_parts=5, max_key=50)
    plugin = Remote(api, lambda name: rules)
    plugin._http.send = lambda *_, **__: Answer(status=status, headers={}, body=body)  # type: ignore[method-assign]  # the wire
    ask = Ask(client_key="a", key="a", size=5)
    grant = Grant(provider="s3", key="k", client_key="a", size=5, access_token="t")
    survives(lambda: plugin.token(TokenRequest(files=(ask,), request_token="x", issued_at=NOW, expires_at=NOW + 60)))
    survives(
        lambda: plugin.token(
            TokenRequest(files=(replace(ask, renew=grant),), request_token="x", issued_at=NOW, expires_at=NOW + 60)
        )
    )
    survives(lambda: plugin.exists(ExistsRequest(grants=(grant,), parts=True)))
    survives(lambda: plugin.notify(NotifyRequest(objects=(Finished(grant=grant, size=5),))))


TOML = """\
default_profile = "p"
[profiles.p]
provider = "directory"
root = "/"
threshold = 5
[api]
gettoken = "https://b.test/t"
exists = "https://b.test/e"
notifier = "https://b.test/n"
header = { Authorization = { env = "HEADER" } }
[broker]
access = "open"
seal_keys = [{ env = "SEAL" }, { file = "seal" }]
database = "sqlite:///b.db"
ttl = 60
cors_origins = ["*"]
"""


@MANY
@given(spoiled([TOML.encode()]))
def test_configuration_files(tmp_path_factory: pytest.TempPathFactory, text: bytes) -> None:
    folder = tmp_path_factory.getbasetemp() / "fuzz"
    folder.mkdir(exist_ok=True)
    path = folder / "vvos.toml"
    path.write_bytes(text)
    survives(lambda: load_config(path))


@MANY
@given(
    st.sampled_from(["PROFILES__P__THRESHOLD", "BROKER__TTL", "API__TIMEOUT", "BROKER__SEAL_KEYS", "DEFAULT_PROFILE"])
    | st.from_regex(r"(PROFILES|BROKER|API)(__[A-Z0-9_]{0,8}){0,3}", fullmatch=True),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=60)
    | spoiled([b"5", b'["a", "b"]', b"true", b'{"a": 1}']).map(lambda b: b.replace(b"\0", b"").decode("latin-1")),
)
def test_environment_values(tmp_path_factory: pytest.TempPathFactory, name: str, value: str) -> None:
    path = tmp_path_factory.getbasetemp() / "environment.toml"
    path.write_text(TOML, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEADER", value[:20] or "x")
        patch.setenv("SEAL", "s" * 40)
        patch.setenv(f"VVOS_{name}", value)
        survives(lambda: load_config(Path(path)))
