"""Which operation a request is: by method, by what it names, and by the parameters that select a subresource."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from vvos_core.testing.server import Response

from . import buckets, listing, multipart, objects
from .call import Call
from .errors import OssError
from .signatures import SUBRESOURCES


@dataclass(frozen=True)
class Operation:
    """An operation of OSS, and the RAM action that it needs (OSS, "RAM policies", "Actions")."""

    name: str
    action: str
    run: Callable[[Call], Response]


class Router:
    """All operations of one region."""

    def __init__(self, region: str) -> None:
        def of(function: Callable[[Call, str], Response]) -> Callable[[Call], Response]:
            return lambda call: function(call, region)

        # Method and the parameter that selects it; the first that fits counts, "" fits always.
        self._service = {
            ("GET", ""): Operation("ListBuckets", "oss:ListBuckets", of(buckets.list_all)),
        }
        self._bucket = {
            ("GET", "acl"): Operation("GetBucketACL", "oss:GetBucketAcl", buckets.get_acl),
            ("PUT", "acl"): Operation("PutBucketACL", "oss:PutBucketAcl", buckets.put_acl),
            ("GET", "cors"): Operation("GetBucketCors", "oss:GetBucketCors", buckets.get_cors),
            ("PUT", "cors"): Operation("PutBucketCors", "oss:PutBucketCors", buckets.put_cors),
            ("DELETE", "cors"): Operation("DeleteBucketCors", "oss:DeleteBucketCors", buckets.delete_cors),
            ("GET", "lifecycle"): Operation("GetBucketLifecycle", "oss:GetBucketLifecycle", buckets.get_lifecycle),
            ("PUT", "lifecycle"): Operation("PutBucketLifecycle", "oss:PutBucketLifecycle", buckets.put_lifecycle),
            ("DELETE", "lifecycle"): Operation(
                "DeleteBucketLifecycle", "oss:PutBucketLifecycle", buckets.delete_lifecycle
            ),
            ("GET", "bucketInfo"): Operation("GetBucketInfo", "oss:GetBucketInfo", of(buckets.info)),
            ("GET", "location"): Operation("GetBucketLocation", "oss:GetBucketLocation", of(buckets.location)),
            ("GET", "stat"): Operation("GetBucketStat", "oss:GetBucketStat", buckets.stat),
            ("GET", "live"): Operation("ListLiveChannel", "oss:ListLiveChannel", buckets.list_live_channels),
            ("GET", "uploads"): Operation("ListMultipartUploads", "oss:ListMultipartUploads", listing.uploads),
            ("POST", "delete"): Operation("DeleteMultipleObjects", "", buckets.delete_objects),
            ("PUT", ""): Operation("PutBucket", "oss:PutBucket", of(buckets.create)),
            ("DELETE", ""): Operation("DeleteBucket", "oss:DeleteBucket", buckets.delete),
            ("GET", ""): Operation("ListObjects", "oss:ListObjects", listing.objects),
        }
        self._object = {
            ("POST", "uploads"): Operation("InitiateMultipartUpload", "oss:PutObject", multipart.begin),
            ("PUT", "uploadId"): Operation("UploadPart", "oss:PutObject", multipart.put_part),
            ("PUT", "partNumber"): Operation("UploadPart", "oss:PutObject", multipart.put_part),
            ("POST", "uploadId"): Operation("CompleteMultipartUpload", "oss:PutObject", multipart.complete),
            ("DELETE", "uploadId"): Operation("AbortMultipartUpload", "oss:AbortMultipartUpload", multipart.abort),
            ("GET", "uploadId"): Operation("ListParts", "oss:ListParts", multipart.list_parts),
            ("POST", "append"): Operation("AppendObject", "oss:PutObject", objects.append),
            ("GET", "acl"): Operation("GetObjectACL", "oss:GetObjectAcl", objects.get_acl),
            ("PUT", "acl"): Operation("PutObjectACL", "oss:PutObjectAcl", objects.put_acl),
            ("GET", "tagging"): Operation("GetObjectTagging", "oss:GetObjectTagging", objects.get_tags),
            ("PUT", "tagging"): Operation("PutObjectTagging", "oss:PutObjectTagging", objects.put_tags),
            ("DELETE", "tagging"): Operation("DeleteObjectTagging", "oss:DeleteObjectTagging", objects.delete_tags),
            ("GET", "symlink"): Operation("GetSymlink", "oss:GetObject", objects.get_symlink),
            ("PUT", "symlink"): Operation("PutSymlink", "oss:PutObject", objects.put_symlink),
            ("GET", "objectMeta"): Operation("GetObjectMeta", "oss:GetObject", objects.meta),
            ("HEAD", "objectMeta"): Operation("GetObjectMeta", "oss:GetObject", objects.meta),
            ("PUT", ""): Operation("PutObject", "oss:PutObject", objects.put),
            ("GET", ""): Operation("GetObject", "oss:GetObject", objects.get),
            ("HEAD", ""): Operation("HeadObject", "oss:GetObject", objects.head),
            ("DELETE", ""): Operation("DeleteObject", "oss:DeleteObject", objects.delete),
        }
        self._copy = Operation("CopyObject", "oss:PutObject", objects.copy)
        self._copy_part = Operation("UploadPartCopy", "oss:PutObject", multipart.copy_part)

    def find(self, call: Call) -> Operation:
        """The operation of a request. Raises ``OssError`` where there is none."""
        table = self._object if call.key else self._bucket if call.bucket else self._service
        selecting = set(call.params) & _SELECTING
        for (method, parameter), operation in table.items():
            if method == call.request.method and (not parameter or parameter in call.params):
                if selecting - {parameter}:
                    break
                if call.header("x-oss-copy-source") is not None:
                    return {"PutObject": self._copy, "UploadPart": self._copy_part}.get(operation.name, operation)
                return operation
        if selecting:
            names = ", ".join(sorted(selecting))
            raise OssError("NotImplemented", f"The emulator does not know {names} here.", ArgumentName=names)
        raise OssError("MethodNotAllowed", Method=call.request.method, ResourceType=_resource_type(call))


_HARMLESS = frozenset(
    {"uploadId", "partNumber", "position", "security-token", "continuation-token", "callback", "callback-var"}
    | {"x-oss-process", "x-oss-traffic-limit", "sequential", "regions"}
)
_SELECTING = frozenset(
    name for name in SUBRESOURCES if name not in _HARMLESS and not name.startswith(("response-", "x-oss-ac-"))
)
"""Parameters that make another operation of a request. One that is not emulated is never taken for something else."""


def _resource_type(call: Call) -> str:
    return "Object" if call.key else "Bucket" if call.bucket else "Service"
