"""The signer makes the same V4 signatures as the SDK, for any key, header and parameter."""

from __future__ import annotations

import datetime
from urllib.parse import parse_qs, quote, urlsplit

import oss2  # type: ignore[import-untyped,unused-ignore]  # ships no types
import pytest
from hypothesis import example, given, strategies as st
from vvos_aliyun.v4 import Signer

from vvos_core import Secret

MOMENT = 1_795_356_126
TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=40)
WORD = st.from_regex(r"[a-z][a-z0-9-]{0,12}", fullmatch=True)


class Frozen(datetime.datetime):
    """The SDK's clock."""

    @classmethod
    def utcnow(cls) -> Frozen:
        return cls(1970, 1, 1) + datetime.timedelta(seconds=MOMENT)


def theirs(
    method: str, key: str, headers: dict[str, str], extra: dict[str, str], token: str | None, seconds: int
) -> dict[str, list[str]]:
    """The query of the URL that oss2 signs; a header value that is not ASCII goes in as bytes."""
    provider = oss2.StaticCredentialsProvider("LTAIkey", "geheim", token)
    bucket = oss2.Bucket(
        oss2.ProviderAuthV4(provider), "https://oss-cn-hangzhou.aliyuncs.com", "bilder", region="cn-hangzhou"
    )
    raw = {name: value.encode("latin-1") for name, value in headers.items()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("oss2.auth.datetime", Frozen)
        url = bucket.sign_url(
            method, key, seconds, headers=raw, params=dict(extra), additional_headers=["host", "content-length"]
        )
    bucket.session.session.close()
    return parse_qs(urlsplit(url).query, keep_blank_values=True)


@example(  # its last byte is a space to Python, and none to HTTP
    method="PUT", key="k", metadata={"a": "Ġ"}, extra={}, length=0, token=None, seconds=60
)
@given(
    method=st.sampled_from(["GET", "PUT", "POST", "DELETE", "HEAD"]),
    key=TEXT.map(lambda text: "k" + text),
    metadata=st.dictionaries(WORD, TEXT.map(str.strip).filter(bool), max_size=3),
    extra=st.dictionaries(WORD, TEXT, max_size=3),
    length=st.none() | st.integers(0, 10**12),
    token=st.none() | WORD,
    seconds=st.integers(1, 604_800),
)
def test_the_same_signature_as_the_sdk(
    method: str,
    key: str,
    metadata: dict[str, str],
    extra: dict[str, str],
    length: int | None,
    token: str | None,
    seconds: int,
) -> None:
    headers = {"host": "bilder.oss-cn-hangzhou.aliyuncs.com", "content-type": "text/plain; charset=utf-8"}
    headers |= {f"x-oss-meta-{name}": value.encode().decode("latin-1") for name, value in metadata.items()}
    if length is not None:
        headers["content-length"] = str(length)
    signer = Signer(Secret("LTAIkey"), Secret("geheim"), "cn-hangzhou", Secret(token) if token else None)
    ours = signer.at(MOMENT, seconds).presign(method, f"/bilder/{quote(key, safe='/')}", headers, extra)
    assert parse_qs(ours, keep_blank_values=True) == theirs(method, key, headers, extra, token, seconds)


def test_a_parameter_without_a_value_has_no_equals_sign() -> None:
    signer = Signer(Secret("LTAIkey"), Secret("geheim"), "cn-hangzhou")
    query = signer.at(MOMENT, 60).presign("POST", "/bilder/a", {}, {"uploads": ""})
    assert query.startswith("uploads&")
    assert parse_qs(query, keep_blank_values=True) == theirs("POST", "a", {}, {"uploads": ""}, None, 60)


@given(
    keys=st.lists(TEXT, max_size=4),
    metadata=st.dictionaries(WORD, TEXT.map(str.strip).filter(bool), max_size=3),
    extra=st.dictionaries(WORD, TEXT, max_size=3),
    length=st.integers(0, 10**12),
    token=st.none() | WORD,
)
def test_requests_of_a_form_are_signed_as_each_would_be_alone(
    keys: list[str], metadata: dict[str, str], extra: dict[str, str], length: int, token: str | None
) -> None:
    headers = {"host": "bilder.oss-cn-hangzhou.aliyuncs.com", "content-type": "text/plain; charset=utf-8"}
    headers |= {f"x-oss-meta-{name}": value.encode().decode("latin-1") for name, value in metadata.items()}
    signer = Signer(Secret("LTAIkey"), Secret("geheim"), "cn-hangzhou", Secret(token) if token else None)
    signing = signer.at(MOMENT, 60)
    resources = [f"/bilder/{quote(key, safe='/')}" for key in keys]
    lengths = [length + place for place in range(len(keys))]
    assert signing.form("PUT", headers, extra).presign(resources, lengths) == [
        signing.presign("PUT", resource, {**headers, "content-length": str(each)}, extra)
        for resource, each in zip(resources, lengths, strict=True)
    ]
