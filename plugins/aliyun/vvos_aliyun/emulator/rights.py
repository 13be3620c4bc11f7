"""Who may do what: ACLs for the anonymous, the inline policy for STS credentials, everything for the owner."""

from __future__ import annotations

from collections.abc import Mapping

from .credentials import Credential
from .errors import OssError
from .store import Store

_READS = ("oss:GetObject",)
_WRITES = ("oss:PutObject", "oss:DeleteObject", "oss:AbortMultipartUpload")


def check(
    store: Store, caller: Credential | None, action: str, bucket: str, key: str, context: Mapping[str, str]
) -> None:
    """Raises ``OssError`` unless the caller may do the action there."""
    if caller is None:
        _check_acl(store, action, bucket, key)
    elif caller.policy is not None:
        resource = f"{bucket}/{key}" if key else bucket
        if not caller.policy.allows(action, resource, context):
            raise OssError("AccessDenied", "Access denied by authorizer's policy.", ec="0003-00000007")


def _check_acl(store: Store, action: str, bucket: str, key: str) -> None:
    if not bucket or not key:
        raise OssError("AccessDenied", "Anonymous access is forbidden for this operation.", ec="0003-00000801")
    home = store.bucket(bucket)
    found = home.objects.get(key)
    of_object = found is not None and found.acl != "default"
    acl = found.acl if found is not None and of_object else home.acl
    allowed = (action in _READS and acl.startswith("public-read")) or (action in _WRITES and acl == "public-read-write")
    if not allowed:
        what = "object" if of_object else "bucket"
        raise OssError("AccessDenied", f"You have no right to access this object because of {what} acl.")
