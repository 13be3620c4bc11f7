"""Presigns requests with OSS signature V4: pure, and fast where many are signed with one key.

Facts: OSS, "Include signatures in a URL (V4)". The signing key depends on the day alone, so it is derived once; each
signature then is one SHA-256 and one HMAC. Signed are the query, ``content-type``, ``content-md5`` and every
``x-oss-*`` header, and the "additional" headers that the signer names.
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

ALGORITHM = "OSS4-HMAC-SHA256"
PAYLOAD = "UNSIGNED-PAYLOAD"
_LENGTH = "\0"
"""Stands for the body's length; no header can hold it."""
ALWAYS = frozenset({"content-type", "content-md5"})
"""Signed whenever they are sent, without being named; as is all that begins with ``x-oss-``."""


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
        scope = f"{stamp[:8]}/{self._region}/oss/aliyun_v4_request"
        pairs = [
            ("x-oss-signature-version", ALGORITHM),
            ("x-oss-credential", f"{self._access_key.reveal()}/{scope}"),
            ("x-oss-date", stamp),
            ("x-oss-expires", str(seconds)),
        ]
        if self._session_token is not None:
            pairs.append(("x-oss-security-token", self._session_token.reveal()))
        key = signing_key(self._secret_key, stamp[:8], self._region)
        return Signing(key, f"{ALGORITHM}\n{stamp}\n{scope}\n", [_pair(*pair) for pair in pairs])


class Signing:
    """One moment's signatures."""

    def __init__(self, key: bytes, prefix: str, pairs: list[str]) -> None:
        self._mac = Mac(key, "sha256", prefix.encode())
        self._pairs = pairs

    def query(self, additional: str, extra: Mapping[str, str] | None = None) -> str:
        """The canonical query string, without a signature: who signs, when, which additional headers, and ``extra``."""
        pairs = list(self._pairs)
        if additional:
            pairs.append(_pair("x-oss-additional-headers", additional))
        pairs += [_pair(name, value) for name, value in (extra or {}).items()]
        return "&".join(sorted(pairs, key=_by_name))

    def sign(self, canonical: bytes) -> bytes:
        """The signature of a canonical request; 32 bytes, hexadecimal on the wire."""
        return self._mac.digest(sha256(canonical).hexdigest().encode())

    def presign(
        self, method: str, resource: str, headers: Mapping[str, str], extra: Mapping[str, str] | None = None
    ) -> str:
        """The query string of a request.

        ``resource`` is ``/bucket/key``, quoted; ``headers`` have lower-case names and the text of the wire, where each
        character is one byte (latin-1), and all of them are to be sent.
        """
        query, after = self._around(headers, extra)
        canonical = f"{method}\n{resource}\n{after}"
        return f"{query}&x-oss-signature={self.sign(canonical.encode('latin-1')).hex()}"

    def form(self, method: str, headers: Mapping[str, str], extra: Mapping[str, str] | None = None) -> Form:
        """Requests that differ in nothing but their resource and the length of their body, which is signed too."""
        query, after = self._around({**headers, "content-length": _LENGTH}, extra)
        return Form(self._mac, method, query, after)

    def _around(self, headers: Mapping[str, str], extra: Mapping[str, str] | None) -> tuple[str, str]:
        """The query string without its signature; and what comes in the canonical request after the resource."""
        additional = ";".join(sorted(name for name in headers if not is_always_signed(name)))
        query = self.query(additional, extra)
        lines = "".join(f"{name}:{headers[name].strip(' ')}\n" for name in sorted(headers))
        return query, f"{query}\n{lines}\n{additional}\n{PAYLOAD}"


class Form:
    """What requests have in common; see ``Signing.form``."""

    def __init__(self, mac: Mac, method: str, query: str, after: str) -> None:
        self._mac = mac
        self._begin = f"{method}\n"
        self._before, _, self._after = f"\n{after}".partition(_LENGTH)
        self._query = f"{query}&x-oss-signature="

    def presign(self, resources: Sequence[str], lengths: Sequence[int]) -> list[str]:
        """The query strings of some: each with its resource, quoted, and its length in bytes."""
        begin, before, after, query = self._begin, self._before, self._after, self._query
        hashes = [
            hexlify(sha256(f"{begin}{resource}{before}{length}{after}".encode("latin-1")).digest())
            for resource, length in zip(resources, lengths, strict=True)
        ]
        return [query + signature for signature in self._mac.hexdigests(hashes)]


def is_always_signed(name: str) -> bool:
    """Whether a header (lower case) is part of every V4 signature that comes with it."""
    return name in ALWAYS or name.startswith("x-oss-")


@lru_cache(maxsize=64)
def signing_key(secret_key: Secret, day: str, region: str) -> bytes:
    """The key of a day (``20261122``) and region."""
    key = f"aliyun_v4{secret_key.reveal()}".encode()
    for word in (day, region, "oss", "aliyun_v4_request"):
        key = hmac.digest(key, word.encode(), "sha256")
    return key


def _pair(name: str, value: str) -> str:
    # A parameter without a value has no '=' either, in the signature as on the wire.
    return f"{quote(name, safe='')}={quote(value, safe='')}" if value else quote(name, safe="")


def _by_name(pair: str) -> str:
    return pair.partition("=")[0]
