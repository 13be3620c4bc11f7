"""What a user with few rights may do: the action of each request, and whether it is among theirs.

Source: AWS, Service Authorization Reference, "Actions, resources, and condition keys for Amazon S3".
"""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase

from .errors import S3Error
from .objects import Call

_OBJECT = {"GET": "s3:GetObject", "HEAD": "s3:GetObject", "PUT": "s3:PutObject", "DELETE": "s3:DeleteObject"}
_BUCKET = {
    ("GET", "lifecycle"): "s3:GetLifecycleConfiguration",
    ("PUT", "lifecycle"): "s3:PutLifecycleConfiguration",
    ("GET", "cors"): "s3:GetBucketCORS",
    ("PUT", "cors"): "s3:PutBucketCORS",
    ("GET", "uploads"): "s3:ListBucketMultipartUploads",
    ("POST", "delete"): "s3:DeleteObject",
}


def check(call: Call) -> None:
    """Raises ``S3Error`` unless who signed may do this."""
    assert call.verified is not None
    rights = call.verified.credential.rights
    if rights is not None and not _allows(rights, action(call), call.key):
        raise S3Error("AccessDenied")


def hides_absence(call: Call) -> bool:
    """Whether a missing object is told as a forbidden one ("HeadObject": without s3:ListBucket 403, not 404)."""
    rights = call.verified.credential.rights if call.verified is not None else None
    return rights is not None and "s3:ListBucket" not in rights


def action(call: Call) -> str:
    """The action that a request needs."""
    method, params = call.request.method, call.params
    if not call.bucket:
        return "s3:ListAllMyBuckets"
    if not call.key:
        for (verb, name), needed in _BUCKET.items():
            if verb == method and name in params:
                return needed
        return "s3:ListBucket" if method in ("GET", "HEAD") else "s3:PutBucket"
    if "uploadId" in params:
        return {"GET": "s3:ListMultipartUploadParts", "DELETE": "s3:AbortMultipartUpload"}.get(method, "s3:PutObject")
    return _OBJECT.get(method, "s3:PutObject")


def _allows(rights: Mapping[str, str], needed: str, key: str) -> bool:
    return needed in rights and fnmatchcase(key, rights[needed])
