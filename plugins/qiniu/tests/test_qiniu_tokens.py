"""Upload tokens: signed as the SDK signs, and saying what they were asked to say, for any key."""

from __future__ import annotations

import base64
import json

from hypothesis import example, given, strategies as st
from qiniu import Auth  # type: ignore[import-untyped,unused-ignore]  # ships no types
from vvos_qiniu.tokens import Signer

from vvos_core import Secret

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@given(key=TEXT, secret=TEXT.filter(bool), deadline=st.integers(0, 2**33), size=st.integers(0, 2**60))
@example(key='文/"a"\\.bin', secret="geheim", deadline=1, size=0)
@example(key="a/1?>~.bin", secret="geheim", deadline=1, size=0)
def test_a_token_is_the_sdks(key: str, secret: str, deadline: int, size: int) -> None:
    policy = {"fsizeMin": size, "insertOnly": 1}
    signer = Signer(Secret("AK"), Secret(secret), "bucket")
    token = signer.upload_token(key, signer.terms(deadline, policy))
    assert token == Auth("AK", secret).token_with_data(
        json.dumps({"scope": f"bucket:{key}", "deadline": deadline, **policy}, separators=(",", ":"))
    )
    assert json.loads(base64.urlsafe_b64decode(token.split(":")[2]))["scope"] == f"bucket:{key}"
