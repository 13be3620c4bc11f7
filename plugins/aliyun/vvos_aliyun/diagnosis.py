"""What can be wrong with an OSS bucket: its place, its rules, the rights of the profile's keys.

Facts: OSS, "GetBucketInfo", "GetBucketLifecycle", "OptionObject", "DeleteObject", "ListBuckets", "CopyObject".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from vvos_core import (
    Denied,
    DiagnoseRequest,
    Diagnosis,
    Finding,
    Grant,
    Http,
    NotFound,
    Unavailable,
    VVOSError,
    check_cors,
)

from .address import locate
from .grants import Writer
from .service import Head, Service
from .settings import Settings
from .v4 import Signer

SECONDS = 900
_SENT = b""
"""What a put sends that is to be turned into a copy, which has no body of its own."""
_CALLS = {
    "PUT": ("content-type", "x-oss-forbid-overwrite"),
    "POST": ("content-type", "x-oss-forbid-overwrite"),
    "DELETE": (),
    "HEAD": (),
}
"""What a browser sends with a grant, and the headers that it was signed with."""
_EXPOSED = ("ETag", "x-oss-hash-crc64ecma")
_CORS = (
    "write the origin, GET, HEAD, PUT, POST and DELETE, AllowedHeader *, ExposeHeader ETag and x-oss-hash-crc64ecma "
    "into the bucket's CORS rules."
)
_RULE = "add a lifecycle rule to the bucket that deletes parts after 7 days, for all keys."


def diagnose(settings: Settings, service: Service, request: DiagnoseRequest) -> Diagnosis:
    """What was found. Where the bucket cannot be had at all, only that."""
    looking = _Looking(settings, service, request)
    hosts = [looking.address.origin]
    hosts += ["/".join(url.split("/")[:3]) for url in (settings.public_url,) if url]
    hosts += [settings.sts_endpoint.rstrip("/")] if settings.grant == "sts" else []
    return Diagnosis(hosts=tuple(dict.fromkeys(hosts)), findings=tuple(looking.findings()))


class _Looking:
    """One look at a bucket, with its owner's keys."""

    def __init__(self, settings: Settings, service: Service, request: DiagnoseRequest) -> None:
        self.address = locate(settings)
        self._settings = settings
        self._request = request
        self._copy = f"{request.key}-copy"
        self._service = service
        signer = Signer(settings.access_key, settings.secret_key, settings.region, settings.session_token)
        self._signing = signer.at(request.issued_at, SECONDS)
        self._http = Http(timeout=(10.0, 10.0))

    def findings(self) -> Iterator[Finding]:
        bucket = self._bucket()
        yield bucket
        if bucket.verdict == "fail" or (bucket.verdict == "unknown" and not bucket.mend):
            return
        yield self._lifecycle()
        url = f"{self.address.origin}{self.address.path(self._request.key)}"
        yield from check_cors(self._http, url, self._request.origins, _CALLS, expose=_EXPOSED, mend=_CORS)
        yield self._copy_header()
        yield self._rights()
        yield self._removal()

    def _bucket(self) -> Finding:
        bucket, region = self._settings.bucket, self._settings.region
        try:
            told = self._service.ask("get_bucket_info", f"looking at the bucket {bucket}")
        except Unavailable as error:
            return _told("bucket", "unknown", error.message)
        except Denied:
            mend = "give them oss:GetBucketInfo to have its region compared."
            return _told("bucket", "unknown", f"the keys may not look at the bucket {bucket}.", mend)
        except VVOSError as error:
            return _told("bucket", "fail", error.message)
        actual = (told.location or "").removeprefix("oss-")
        if actual != region:
            mend = f'write region = "{actual}" into the profile.'
            return _told("bucket", "fail", f"the bucket {bucket} is in {actual}, and not in {region}.", mend)
        return _told("bucket", "ok", f"the bucket {bucket} is there, in {actual}.")

    def _lifecycle(self) -> Finding:
        try:
            answer = self._service.ask("get_bucket_lifecycle", "reading the lifecycle rules")
        except NotFound:
            return _told(
                "lifecycle", "warn", "no rule of the bucket deletes unfinished uploads; they are paid for.", _RULE
            )
        except VVOSError as error:
            message = f"the lifecycle rules cannot be read: {error.message}"
            return _told(
                "lifecycle", "unknown", message, "look at them in the console, or give oss:GetBucketLifecycle."
            )
        rules = [rule for rule in answer.rules if rule.status == "Enabled" and rule.abort_multipart_upload]
        if any(not rule.prefix for rule in rules):
            return _told("lifecycle", "ok", "unfinished uploads are deleted by a rule of the bucket.")
        if rules:
            some = ", ".join(repr(rule.prefix) for rule in rules)
            return _told(
                "lifecycle", "warn", f"unfinished uploads are deleted only where a rule says so: {some}.", _RULE
            )
        return _told("lifecycle", "warn", "no rule of the bucket deletes unfinished uploads; they are paid for.", _RULE)

    def _copy_header(self) -> Finding:
        """Whether a header that nobody signed turns a granted put into a copy of what its sender may not read."""
        if self._there(self._request.key) is None:
            return _told("copy-header", "unknown", "it could not be tried: no object could be put and looked at.")
        grant = Grant(provider="aliyun", key=self._copy, client_key=self._copy, size=len(_SENT), cover=True)
        signed = Writer(grant, self._signing, self.address).put()
        source = quote(f"/{self._settings.bucket}/{self._request.key}")
        headers = {**signed.headers, "x-oss-copy-source": source}
        try:
            answer = self._http.send("PUT", signed.url, headers=headers, body=_SENT, what="putting with a copy header")
        except VVOSError as error:
            return _told("copy-header", "unknown", error.message)
        made = self._there(self._copy) if answer.status < 300 else None
        if made is None or made.size == len(_SENT):
            return _told("copy-header", "ok", "a put that somebody adds a copy header to copies nothing.")
        return _told(
            "copy-header",
            "fail",
            "an unsigned x-oss-copy-source turns a granted put into a copy: its holder can read every object.",
            "upgrade the service; until then, have a proxy before it refuse the header.",
        )

    def _rights(self) -> Finding:
        more = []
        if self._lists_buckets():
            more.append("list all buckets")
        # Nothing is there under this name. Of a versioned bucket it leaves a marker behind, so there it is not tried.
        versioned = self._versioned()
        if not versioned and self._may_delete(f"outside{self._request.key}"):
            more.append("delete any object")
        if more:
            mend = "take keys of a RAM user with the policy in the provider's README."
            return _told("rights", "warn", f"the keys may do more than uploads need: {' and '.join(more)}.", mend)
        unsaid = " (whether they may delete was not tried: the bucket keeps versions)" if versioned else ""
        return _told("rights", "ok", f"the keys may not do more than was tried{unsaid}.")

    def _removal(self) -> Finding:
        left = [key for key in (self._request.key, self._copy) if self._is_there(key) and not self._may_delete(key)]
        if left:
            mend = "delete it; or let the keys delete what begins with .vvos-doctor-, as the README's policy does."
            return _told("removal", "warn", f"the keys may not remove {' and '.join(left)}.", mend)
        return _told("removal", "ok", "what was tried has been removed.")

    def _there(self, key: str) -> Head | None:
        try:
            return self._service.head(key)
        except VVOSError:
            return None

    def _is_there(self, key: str) -> bool:
        """Who may not look may have put it all the same."""
        try:
            return self._service.head(key) is not None
        except VVOSError:
            return True

    def _versioned(self) -> bool:
        try:
            headers = self._service.ask("head_object", "looking", self._request.key).headers
        except VVOSError:
            return False
        return "x-oss-version-id" in headers

    def _may_delete(self, key: str) -> bool:
        try:
            self._service.ask("delete_object", f"removing {key!r}", key)
        except VVOSError:
            return False
        return True

    def _lists_buckets(self) -> bool:
        if self._settings.cname:
            return False  # a bucket's own domain leads to no other
        address = self.address
        host = address.endpoint.partition("://")[2]
        query = self._signing.presign("GET", "/", {"host": host}, {"max-keys": "1"})
        try:
            return self._http.send("GET", f"{address.endpoint}/?{query}", what="listing buckets").status == 200
        except VVOSError:
            return False


def _told(check: str, verdict: Any, message: str, mend: str = "") -> Finding:
    return Finding(check=check, verdict=verdict, message=message, mend=mend)
