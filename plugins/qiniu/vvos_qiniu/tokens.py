"""Signs upload tokens: pure, and fast where many are signed with one key.

Facts: Qiniu, "Upload token" and "Put policy". What is signed is the policy as compact JSON in URL-safe base64.
"""

from __future__ import annotations

import binascii
import json
import re
from collections.abc import Mapping

from vvos_core import Mac, Secret

_PLAIN = re.compile(r"[ !#-\[\]-~]*")
"""Text that is the same in JSON."""
_URL_SAFE = bytes.maketrans(b"+/", b"-_")


class Signer:
    """Signs with one pair of keys, for one bucket. Shared by threads."""

    def __init__(self, access_key: Secret, secret_key: Secret, bucket: str) -> None:
        self._access_key = access_key.reveal()
        self._mac = Mac(secret_key.reveal().encode(), "sha1")
        self._bucket = bucket

    def terms(self, deadline: int, policy: Mapping[str, object]) -> str:
        """What a token allows besides its key, for ``upload_token``: until ``deadline`` (seconds since 1970, UTC)."""
        return json.dumps({"deadline": deadline, **policy}, separators=(",", ":"))[1:]

    def upload_token(self, key: str, terms: str) -> str:
        """The token for one key."""
        scope = f"{self._bucket}:{key}"
        quoted = f'"{scope}"' if _PLAIN.fullmatch(scope) else json.dumps(scope)
        encoded = _b64(f'{{"scope":{quoted},{terms}'.encode())
        return f"{self._access_key}:{_b64(self._mac.digest(encoded)).decode()}:{encoded.decode()}"


def _b64(data: bytes) -> bytes:
    return binascii.b2a_base64(data, newline=False).translate(_URL_SAFE)
