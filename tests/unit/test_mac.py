"""vvos_core.mac: the codes are those of the standard library's HMAC."""

from __future__ import annotations

import hmac
from typing import Literal

from hypothesis import example, given, strategies as st

from vvos_core import Mac


@given(
    key=st.binary(max_size=200),
    algorithm=st.sampled_from(("sha1", "sha256")),
    begun=st.binary(max_size=100),
    messages=st.lists(st.binary(max_size=200), max_size=4),
)
@example(key=b"k" * 64, algorithm="sha256", begun=b"", messages=[b"a"])
@example(key=b"k" * 65, algorithm="sha1", begun=b"x", messages=["文".encode(), b""])
def test_it_is_hmac(key: bytes, algorithm: Literal["sha1", "sha256"], begun: bytes, messages: list[bytes]) -> None:
    mac = Mac(key, algorithm, begun)
    expected = [hmac.digest(key, begun + message, algorithm) for message in messages]
    assert [mac.digest(message) for message in messages] == expected
    assert mac.hexdigests(messages) == [code.hex() for code in expected]
