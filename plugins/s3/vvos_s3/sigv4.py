"""Presigns requests with AWS Signature Version 4: pure, and fast where many are signed with one key.

Facts: AWS, "Authenticating Requests: Using Query Parameters (AWS Signature Version 4)". The signing key depends on the
day alone, so it is derived once; each signature then is one SHA-256 and one HMAC.
"""

from __future__ import annotations

import hmac
import time
from binascii import hexlify
from collections.abc import Mapping, Sequence
from functools import lru_cache
from hashlib import sha256
from urllib.parse import quote

from vvos_core import Mac, Secret

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
        self._mac = Mac(key, "sha256", prefix.encode())
        self._pairs = pairs

    def query(self, names: str, extra: Mapping[str, str] | None = None) -> str:
        """The canonical query string, without a signature: who signs, when, which headers, and ``extra`` parameters."""
        pairs = [*self._pairs, _pair("X-Amz-SignedHeaders", names)]
        pairs += [_pair(name, value) for name, value in (extra or {}).items()]
        return "&".join(sorted(pairs, key=_by_name))

    def sign(self, canonical: str) -> bytes:
        """The signature of a canonical request; 32 bytes, hexadecimal on the wire."""
        return self._mac.digest(sha256(canonical.encode()).hexdigest().encode())

    def presign(
        self, method: str, path: str, headers: Mapping[str, str], extra: Mapping[str, str] | None = None
    ) -> str:
        """The query string of a request: ``path`` quoted, ``headers`` lower-case, with ``host``, all to be sent."""
        query, after = self._around(headers, extra)
        canonical = f"{method}\n{path}\n{after}"
        return f"{query}&X-Amz-Signature={self.sign(canonical).hex()}"

    def form(self, method: str, headers: Mapping[str, str]) -> Form:
        """Requests that differ in nothing but their path and the length of their body, which is signed too."""
        query, after = self._around({**headers, "content-length": _LENGTH}, None)
        return Form(self._mac, method, query, after)

    def _around(self, headers: Mapping[str, str], extra: Mapping[str, str] | None) -> tuple[str, str]:
        """The query string without its signature; and what comes in the canonical request after the path."""
        names = ";".join(sorted(headers))
        query = self.query(names, extra)
        lines = "".join(f"{name}:{' '.join(headers[name].split())}\n" for name in sorted(headers))
        return query, f"{query}\n{lines}\n{names}\n{PAYLOAD}"


class Form:
    """What requests have in common; see ``Signing.form``."""

    def __init__(self, mac: Mac, method: str, query: str, after: str) -> None:
        self._mac = mac
        self._begin = f"{method}\n"
        self._before, _, self._after = f"\n{after}".partition(_LENGTH)
        self._query = f"{query}&X-Amz-Signature="

    def presign(self, paths: Sequence[str], lengths: Sequence[int]) -> list[str]:
        """The query strings of some: each with its path, quoted, and its length in bytes."""
        begin, before, after, query = self._begin, self._before, self._after, self._query
        hashes = [
            hexlify(sha256(f"{begin}{path}{before}{length}{after}".encode()).digest())
            for path, length in zip(paths, lengths, strict=True)
        ]
        return [query + signature for signature in self._mac.hexdigests(hashes)]


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
