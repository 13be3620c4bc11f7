"""What can be wrong with an S3 bucket: its place, its rules, its checksums, the rights of the profile's keys.

Facts: AWS, S3 User Guide, "Configuring a bucket lifecycle configuration to delete incomplete multipart uploads" and
"Using cross-origin resource sharing (CORS)"; S3 API Reference, "HeadBucket", "DeleteObject", "CopyObject".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from vvos_core import (
    BadInput,
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

from . import grants
from .address import locate
from .checksum import CRC64NVME
from .service import Service
from .settings import Settings
from .sigv4 import Signer

SECONDS = 900
_SENT = b""
"""What a put sends that is to be turned into a copy, which has no body of its own."""
_CALLS = {
    "PUT": ("content-md5", "content-type", "if-none-match", "x-amz-checksum-crc64nvme"),
    "POST": ("if-none-match", "x-amz-checksum-crc64nvme", "x-amz-checksum-type", "x-amz-mp-object-size"),
    "DELETE": (),
}
"""What a browser sends with a grant, and the headers that it was signed with."""
_CORS = (
    "write the origin, GET, PUT, POST and DELETE, AllowedHeaders *, ExposeHeaders ETag and x-amz-checksum-crc64nvme "
    "into the bucket's CORS rules."
)
_RULE = "add a lifecycle rule to the bucket: AbortIncompleteMultipartUpload after 7 days, for all keys."


def diagnose(settings: Settings, service: Service, request: DiagnoseRequest) -> Diagnosis:
    """What was found. Where the bucket cannot be had at all, only that."""
    looking = _Looking(settings, service, request)
    hosts = [looking.address.origin]
    if settings.public_url:
        hosts.append("/".join(settings.public_url.split("/")[:3]))
    return Diagnosis(hosts=tuple(dict.fromkeys(hosts)), findings=tuple(looking.findings()))


class _Looking:
    """One look at a bucket, with its owner's keys."""

    def __init__(self, settings: Settings, service: Service, request: DiagnoseRequest) -> None:
        self.address = locate(settings)
        self._settings = settings
        self._request = request
        self._copy = f"{request.key}-copy"
        self._service = service
        self._signer = Signer(settings.access_key, settings.secret_key, settings.region, settings.session_token)
        self._http = Http(timeout=(10.0, 10.0))
        self._reachable = True

    def findings(self) -> Iterator[Finding]:
        bucket = self._bucket()
        yield bucket
        if bucket.verdict == "fail" or not self._reachable:
            return
        source = self._there(self._request.key)
        if source is not None and self._settings.checksum == CRC64NVME:
            yield _checksum(source)
        yield self._lifecycle()
        url = f"{self.address.origin}{self.address.path(self._request.key)}"
        yield from check_cors(self._http, url, self._request.origins, _CALLS, expose=["ETag"], mend=_CORS)
        yield self._copy_header(source)
        yield self._rights(versioned=source is not None and "VersionId" in source)
        yield self._removal()

    def _bucket(self) -> Finding:
        bucket, region = self._settings.bucket, self._settings.region
        try:
            answer = self._service.ask("head_bucket", f"looking for the bucket {bucket}", Bucket=bucket)
        except Unavailable as error:
            self._reachable = False
            return _told("bucket", "unknown", error.message)
        except NotFound:
            return _told(
                "bucket", "fail", f"there is no bucket {bucket}.", "correct bucket or endpoint in the profile."
            )
        except Denied:
            mend = "give them s3:ListBucket: without it, nobody can tell a missing object from a forbidden one."
            return _told("bucket", "warn", f"the keys may not look at the bucket {bucket}.", mend)
        except BadInput:
            # The answer to HEAD has no body that would say more ("HeadBucket").
            message = f"the service does not understand requests for the bucket {bucket} in {region}."
            return _told("bucket", "fail", message, "correct region and endpoint in the profile.")
        except VVOSError as error:
            return _told("bucket", "fail", error.message)
        actual = answer.get("BucketRegion") or answer["ResponseMetadata"]["HTTPHeaders"].get("x-amz-bucket-region", "")
        if actual not in ("", region):
            mend = f'write region = "{actual}" into the profile.'
            return _told("bucket", "fail", f"the bucket {bucket} is in {actual}, and not in {region}.", mend)
        return _told("bucket", "ok", f"the bucket {bucket} is there{f', in {actual}' if actual else ''}.")

    def _there(self, key: str) -> Any:
        """The answer to HEAD; None where nothing is there, or nobody may know."""
        try:
            return self._ask("head_object", f"looking for {key!r}", Key=key, ChecksumMode="ENABLED")
        except VVOSError:
            return None

    def _lifecycle(self) -> Finding:
        try:
            answer = self._ask("get_bucket_lifecycle_configuration", "reading the lifecycle rules")
        except NotFound:
            return _told(
                "lifecycle", "warn", "no rule of the bucket deletes unfinished uploads; they are paid for.", _RULE
            )
        except VVOSError as error:
            message = f"the lifecycle rules cannot be read: {error.message}"
            return _told(
                "lifecycle", "unknown", message, "look at them in the console, or give s3:GetLifecycleConfiguration."
            )
        rules = [
            rule
            for rule in answer.get("Rules", ())
            if rule.get("Status") == "Enabled" and "AbortIncompleteMultipartUpload" in rule
        ]
        for rule in rules:
            if not _prefix(rule):
                days = rule["AbortIncompleteMultipartUpload"].get("DaysAfterInitiation")
                return _told("lifecycle", "ok", f"unfinished uploads are deleted after {days} days.")
        if rules:
            some = ", ".join(repr(_prefix(rule)) for rule in rules)
            return _told(
                "lifecycle", "warn", f"unfinished uploads are deleted only where a rule says so: {some}.", _RULE
            )
        return _told("lifecycle", "warn", "no rule of the bucket deletes unfinished uploads; they are paid for.", _RULE)

    def _copy_header(self, source: Any) -> Finding:
        """Whether a header that nobody signed turns a granted put into a copy of what its sender may not read."""
        if source is None:
            return _told("copy-header", "unknown", "it could not be tried: no object could be put and looked at.")
        grant = Grant(provider="s3", key=self._copy, client_key=self._copy, size=len(_SENT), cover=True)
        signing = self._signer.at(self._request.issued_at, SECONDS)
        signed = grants.read(
            Grant(
                provider="s3",
                key=grant.key,
                client_key=grant.key,
                size=grant.size,
                data=grants.Writer(signing, self.address, self._settings.checksum).data(grant),
            )
        ).put
        assert signed is not None  # it is no multipart grant
        headers = {**signed.headers, "x-amz-copy-source": quote(f"/{self._settings.bucket}/{self._request.key}")}
        try:
            answer = self._http.send("PUT", signed.url, headers=headers, body=_SENT, what="putting with a copy header")
        except VVOSError as error:
            return _told("copy-header", "unknown", error.message)
        made = self._there(self._copy) if answer.status < 300 else None
        if made is None or made["ContentLength"] == len(_SENT):
            return _told("copy-header", "ok", "a put that somebody adds a copy header to copies nothing.")
        return _told(
            "copy-header",
            "fail",
            "an unsigned x-amz-copy-source turns a granted put into a copy: its holder can read every object.",
            "upgrade the service; until then, have a proxy before it refuse the header.",
        )

    def _rights(self, versioned: bool) -> Finding:
        more = []
        if self._may("list_buckets"):
            more.append("list all buckets")
        # Nothing is there under this name. Of a versioned bucket it would leave a marker behind.
        outside = f"outside{self._request.key}"
        if not versioned and self._may("delete_object", Bucket=self._settings.bucket, Key=outside):
            more.append("delete any object")
        if more:
            mend = "take keys of a user with the policy in the provider's README."
            return _told("rights", "warn", f"the keys may do more than uploads need: {' and '.join(more)}.", mend)
        unsaid = " (whether they may delete was not tried: the bucket keeps versions)" if versioned else ""
        return _told("rights", "ok", f"the keys may not do more than was tried{unsaid}.")

    def _removal(self) -> Finding:
        left = []
        for key in (self._request.key, self._copy):
            version = {}
            try:
                found = self._ask("head_object", f"looking for {key!r}", Key=key)
                version = {"VersionId": found["VersionId"]} if "VersionId" in found else {}
            except NotFound:
                continue
            except VVOSError:
                pass  # who may not look may have put it all the same
            try:
                self._ask("delete_object", f"removing {key!r}", Key=key, **version)
            except VVOSError:
                left.append(key)
        if left:
            mend = "delete it; or let the keys delete what begins with .vvos-doctor-, as the README's policy does."
            return _told("removal", "warn", f"the keys may not remove {' and '.join(left)}.", mend)
        return _told("removal", "ok", "what was tried has been removed.")

    def _may(self, method: str, **arguments: object) -> bool:
        try:
            self._service.ask(method, "looking at the rights of the keys", **arguments)
        except VVOSError:
            return False
        return True

    def _ask(self, method: str, what: str, **arguments: object) -> Any:
        return self._service.ask(method, what, Bucket=self._settings.bucket, **arguments)


def _checksum(head: Any) -> Finding:
    if head.get("ChecksumCRC64NVME"):
        return _told("checksum", "ok", "the service keeps a CRC64NVME of every object.")
    mend = 'write checksum = "md5" into the profile.'
    return _told("checksum", "fail", "the service computes no CRC64NVME, so no upload can be verified.", mend)


def _prefix(rule: Any) -> str:
    """The keys that a rule is for; empty for all of them."""
    scope = rule.get("Filter", {})
    scope = scope.get("And", scope)
    if set(scope) - {"Prefix"}:
        return f"{scope.get('Prefix', '')}…"  # tags or sizes, which an unfinished upload has not
    prefix: str = scope.get("Prefix", rule.get("Prefix", ""))
    return prefix


def _told(check: str, verdict: Any, message: str, mend: str = "") -> Finding:
    return Finding(check=check, verdict=verdict, message=message, mend=mend)
