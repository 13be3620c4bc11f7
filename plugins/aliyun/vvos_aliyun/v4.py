"""Presigns requests with OSS signature V4: pure, and fast where many are signed with one key.

Facts: OSS, "Include signatures in a URL (V4)". The signing key depends on the day alone, so it is derived once; each
signature then is one SHA-256 and one HMAC. Signed are the query, ``content-type``, ``content-md5`` and every
``x-oss-*`` header, and the "additional" headers that the signer names.
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
        # Copied for each signature: that is less than half the work of a new one.
        self._begun = hmac.new(key, prefix.encode(), "sha256")
        self._pairs = pairs
        self._forms: dict[tuple[tuple[str, str], ...], _Form] = {}

    def query(self, additional: str, extra: Mapping[str, str] | None = None) -> str:
        """The canonical query string, without a signature: who signs, when, which additional headers, and ``extra``."""
        pairs = list(self._pairs)
        if additional:
            pairs.append(_pair("x-oss-additional-headers", additional))
        pairs += [_pair(name, value) for name, value in (extra or {}).items()]
        return "&".join(sorted(pairs, key=_by_name))

    def sign(self, canonical: bytes) -> bytes:
        """The signature of a canonical request; 32 bytes, hexadecimal on the wire."""
        mac = self._begun.copy()
        mac.update(hashlib.sha256(canonical).hexdigest().encode())
        return mac.digest()

    def presign(
        self,
        method: str,
        resource: str,
        headers: Mapping[str, str],
        extra: Mapping[str, str] | None = None,
        length: int | None = None,
    ) -> str:
        """The query string of a request.

        ``resource`` is ``/bucket/key``, quoted; ``headers`` have lower-case names and the text of the wire, where each
        character is one byte (latin-1), and all of them are to be sent. ``length`` is the body's, and signed too:
        requests that differ in it and in their resource share all other work.
        """
        shape = (*headers.items(), ("content-length", "" if length is None else _LENGTH))
        form = self._forms.get(shape) if extra is None else None
        if form is None:
            form = self._form(dict(shape) if length is not None else headers, extra)
            if extra is None:
                self._forms[shape] = form
        canonical = f"{method}\n{resource}\n{form.before}{'' if length is None else length}{form.after}"
        return f"{form.query}&x-oss-signature={self.sign(canonical.encode('latin-1')).hex()}"

    def _form(self, headers: Mapping[str, str], extra: Mapping[str, str] | None) -> _Form:
        additional = ";".join(sorted(name for name in headers if not is_always_signed(name)))
        query = self.query(additional, extra)
        lines = "".join(f"{name}:{headers[name].strip(' ')}\n" for name in sorted(headers))
        before, _, after = f"{query}\n{lines}\n{additional}\n{PAYLOAD}".partition(_LENGTH)
        return _Form(query, before, after)


class _Form(NamedTuple):
    """What canonical requests of the same headers share: all that is around the body's length."""

    query: str
    before: str
    after: str


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
