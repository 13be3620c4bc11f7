"""Presigns requests with AWS Signature Version 4: pure, and fast where many are signed with one key.

Facts: AWS, "Authenticating Requests: Using Query Parameters (AWS Signature Version 4)". The signing key depends on the
day alone, so it is derived once; each signature then is one SHA-256 and one HMAC.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import quote

from vvos_core import Secret

ALGORITHM = "AWS4-HMAC-SHA256"
PAYLOAD = "UNSIGNED-PAYLOAD"
_LENGTH = "\0"
"""Stands for the body's length; no header can hold it."""


class Signer:
    """Signs with one pair of keys, for one region."""

    def __init__(
        self, access_key: Secret, secret_key: Secret, region: str, session_token: Secret | None = None
    ) -> None:
        self._access_key = access_key
        self._secret_key = secret_key
        self._region = region
        self._session_token = session_token

    def at(self, moment: float, seconds: int) -> Signing:
        """Signatures that are made at ``moment`` (seconds since 1970, UTC) and good for ``seconds``."""
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(int(moment)))
        scope = f"{stamp[:8]}/{self._region}/s3/aws4_request"
        pairs = [
            ("X-Amz-Algorithm", ALGORITHM),
            ("X-Amz-Credential", f"{self._access_key.reveal()}/{scope}"),
            ("X-Amz-Date", stamp),
            ("X-Amz-Expires", str(seconds)),
        ]
        if self._session_token is not None:
            pairs.append(("X-Amz-Security-Token", self._session_token.reveal()))
        key = _signing_key(self._secret_key, stamp[:8], self._region)
        return Signing(key, f"{ALGORITHM}\n{stamp}\n{scope}\n", [_pair(*pair) for pair in pairs])


class Signing:
    """One moment's signatures."""

    def __init__(self, key: bytes, prefix: str, pairs: list[str]) -> None:
        # Copied for each signature: that is less than half the work of a new one.
        self._begun = hmac.new(key, prefix.encode(), "sha256")
        self._pairs = pairs
        self._forms: dict[tuple[tuple[str, str], ...], _Form] = {}

    def query(self, names: str, extra: Mapping[str, str] | None = None) -> str:
        """The canonical query string, without a signature: who signs, when, which headers, and ``extra`` parameters."""
        pairs = [*self._pairs, _pair("X-Amz-SignedHeaders", names)]
        pairs += [_pair(name, value) for name, value in (extra or {}).items()]
        return "&".join(sorted(pairs, key=_by_name))

    def sign(self, canonical: str) -> bytes:
        """The signature of a canonical request; 32 bytes, hexadecimal on the wire."""
        mac = self._begun.copy()
        mac.update(hashlib.sha256(canonical.encode()).hexdigest().encode())
        return mac.digest()

    def presign(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        extra: Mapping[str, str] | None = None,
        length: int | None = None,
    ) -> str:
        """The query string of a request: ``path`` quoted, ``headers`` lower-case, with ``host``, all to be sent.

        ``length`` is the body's, and signed too: requests that differ in it and in their path share all other work.
        """
        shape = (*headers.items(), ("content-length", "" if length is None else _LENGTH))
        form = self._forms.get(shape) if extra is None else None
        if form is None:
            form = self._form(dict(shape) if length is not None else headers, extra)
            if extra is None:
                self._forms[shape] = form
        canonical = f"{method}\n{path}\n{form.before}{'' if length is None else length}{form.after}"
        return f"{form.query}&X-Amz-Signature={self.sign(canonical).hex()}"

    def _form(self, headers: Mapping[str, str], extra: Mapping[str, str] | None) -> _Form:
        names = ";".join(sorted(headers))
        query = self.query(names, extra)
        lines = "".join(f"{name}:{' '.join(headers[name].split())}\n" for name in sorted(headers))
        before, _, after = f"{query}\n{lines}\n{names}\n{PAYLOAD}".partition(_LENGTH)
        return _Form(query, before, after)


class _Form(NamedTuple):
    """What canonical requests of the same headers share: all that is around the body's length."""

    query: str
    before: str
    after: str


@lru_cache(maxsize=64)
def _signing_key(secret_key: Secret, day: str, region: str) -> bytes:
    key = f"AWS4{secret_key.reveal()}".encode()
    for word in (day, region, "s3", "aws4_request"):
        key = hmac.digest(key, word.encode(), "sha256")
    return key


def _trimmed(value: str) -> str:
    if value.isprintable() and " " not in value:
        return value  # without any white space
    return " ".join(value.split())


def _pair(name: str, value: str) -> str:
    return f"{quote(name, safe='')}={quote(value, safe='')}"


def _by_name(pair: str) -> tuple[str, str]:
    name, _, value = pair.partition("=")
    return name, value
