"""The operations on a bucket, and the list of them."""

from __future__ import annotations

from urllib.parse import quote

from vvos_core.testing.server import Response

from .call import STORAGE_CLASSES, Call
from .cors import check_rules
from .errors import OssError
from .objects import owner
from .store import ACLS, Bucket
from .times import iso
from .xml import Fields, answer, parse


def create(call: Call, region: str) -> Response:
    """PutBucket; again by its owner is harmless, and sets the ACL that it names."""
    body = call.document()
    storage_class, redundancy = "Standard", "LRS"
    if body:
        tree = parse(body, "CreateBucketConfiguration")
        storage_class = tree.findtext("StorageClass") or storage_class
        redundancy = tree.findtext("DataRedundancyType") or redundancy
        location = tree.findtext("LocationConstraint")
        if storage_class not in STORAGE_CLASSES or redundancy not in ("LRS", "ZRS"):
            raise OssError("MalformedXML")
        if location not in (None, f"oss-{region}"):
            raise OssError("InvalidArgument", "The specified location-constraint is not valid", ec="0015-00000202")
    acl = _acl(call)
    known = call.bucket in call.store.buckets
    bucket = call.store.make_bucket(call.bucket, call.clock())
    if not known:
        bucket.storage_class, bucket.redundancy = storage_class, redundancy
    bucket.acl = acl or bucket.acl
    return Response(200, [("Location", f"/{call.bucket}")])


def delete(call: Call) -> Response:
    """DeleteBucket."""
    with call.store.lock:
        bucket = call.store.bucket(call.bucket)
        if bucket.objects:
            raise OssError("BucketNotEmpty", BucketName=call.bucket)
        if bucket.uploads:
            raise OssError("BucketNotEmpty", "The bucket has unfinished uploads.", BucketName=call.bucket)
        del call.store.buckets[call.bucket]
    return Response(204)


def info(call: Call, region: str) -> Response:
    """GetBucketInfo."""
    bucket = call.store.bucket(call.bucket)
    fields = [
        *_summary(call, bucket, region),
        ("AccessControlList", [("Grant", bucket.acl)]),
        ("DataRedundancyType", bucket.redundancy),
        ("AccessMonitor", "Disabled"),
        ("Comment", ""),
        ("ServerSideEncryptionRule", [("SSEAlgorithm", "None")]),
        ("TransferAcceleration", "Disabled"),
        ("CrossRegionReplication", "Disabled"),
        owner(),
    ]
    return answer("BucketInfo", [("Bucket", fields)])


def location(call: Call, region: str) -> Response:
    """GetBucketLocation."""
    call.store.bucket(call.bucket)
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<LocationConstraint>oss-{region}</LocationConstraint>'
    return Response(200, [("Content-Type", "application/xml")], body.encode())


def stat(call: Call) -> Response:
    """GetBucketStat."""
    with call.store.lock:
        bucket = call.store.bucket(call.bucket)
        size = sum(found.size for found in bucket.objects.values())
        fields = [
            ("Storage", size),
            ("ObjectCount", len(bucket.objects)),
            ("MultipartUploadCount", len(bucket.uploads)),
            ("LiveChannelCount", 0),
            ("LastModifiedTime", int(call.clock())),
        ]
    return answer("BucketStat", fields)


def put_acl(call: Call) -> Response:
    """PutBucketACL; makes the bucket where there is none, as OSS does."""
    acl = _acl(call)
    if acl is None:
        raise OssError("MissingArgument", ArgumentName="x-oss-acl")
    call.store.make_bucket(call.bucket, call.clock()).acl = acl
    return Response(200)


def get_acl(call: Call) -> Response:
    """GetBucketACL."""
    bucket = call.store.bucket(call.bucket)
    return answer("AccessControlPolicy", [owner(), ("AccessControlList", [("Grant", bucket.acl)])])


def put_cors(call: Call) -> Response:
    """PutBucketCors."""
    body = call.document()
    check_rules(body)
    call.store.bucket(call.bucket).settings["cors"] = body
    return Response(200)


def get_cors(call: Call) -> Response:
    """GetBucketCors."""
    body = call.store.bucket(call.bucket).settings.get("cors")
    if body is None:
        raise OssError("NoSuchCORSConfiguration")
    return Response(200, [("Content-Type", "application/xml")], body)


def delete_cors(call: Call) -> Response:
    """DeleteBucketCors."""
    call.store.bucket(call.bucket).settings.pop("cors", None)
    return Response(204)


def put_lifecycle(call: Call) -> Response:
    """PutBucketLifecycle. The rules are kept, and not obeyed."""
    body = call.document()
    rules = parse(body, "LifecycleConfiguration").findall("Rule")
    if not 1 <= len(rules) <= 1000 or not all(
        rule.findtext("Status") in ("Enabled", "Disabled") and rule.find("Prefix") is not None for rule in rules
    ):
        raise OssError("MalformedXML")
    call.store.bucket(call.bucket).settings["lifecycle"] = body
    return Response(200)


def get_lifecycle(call: Call) -> Response:
    """GetBucketLifecycle."""
    body = call.store.bucket(call.bucket).settings.get("lifecycle")
    if body is None:
        raise OssError("NoSuchLifecycle")
    return Response(200, [("Content-Type", "application/xml")], body)


def delete_lifecycle(call: Call) -> Response:
    """DeleteBucketLifecycle."""
    call.store.bucket(call.bucket).settings.pop("lifecycle", None)
    return Response(204)


def list_all(call: Call, region: str) -> Response:
    """ListBuckets."""
    prefix, marker = call.params.get("prefix", ""), call.params.get("marker", "")
    limit = call.integer("max-keys", 100, 1, 1000)
    with call.store.lock:
        names = sorted(name for name in call.store.buckets if name.startswith(prefix) and name > marker)
        shown = [_summary(call, call.store.buckets[name], region) for name in names[:limit]]
    fields: list[tuple[str, str | int | Fields]] = [owner()]
    if prefix or marker or len(names) > limit:
        fields += [("Prefix", prefix), ("Marker", marker), ("MaxKeys", limit)]
        fields.append(("IsTruncated", "true" if len(names) > limit else "false"))
    if len(names) > limit:
        fields.append(("NextMarker", names[limit - 1]))
    fields.append(("Buckets", [("Bucket", item) for item in shown]))
    return answer("ListAllMyBucketsResult", fields)


def list_live_channels(call: Call) -> Response:
    """ListLiveChannel: there are never any, and clients that clean up after themselves ask."""
    call.store.bucket(call.bucket)
    fields: list[tuple[str, str | int | Fields]] = [
        ("Prefix", ""),
        ("Marker", ""),
        ("MaxKeys", 100),
        ("IsTruncated", "false"),
        ("NextMarker", ""),
    ]
    return answer("ListLiveChannelResult", fields)


def delete_objects(call: Call) -> Response:
    """DeleteMultipleObjects: each key needs its own right, what is not there counts as deleted."""
    if call.header("content-md5") is None:
        raise OssError("InvalidArgument", "Missing Content-MD5.", ec="0017-00000701")
    tree = parse(call.document(), "Delete")
    keys = [item.findtext("Key") or "" for item in tree.findall("Object")]
    if not keys or len(keys) > 1000 or not all(keys):
        raise OssError("MalformedXML", ec="0016-00000621")
    for key in keys:
        call.may("oss:DeleteObject", call.bucket, key)
    with call.store.lock:
        bucket = call.store.bucket(call.bucket)
        for key in keys:
            bucket.objects.pop(key, None)
    if (tree.findtext("Quiet") or "").lower() == "true":
        return Response(200)
    fields: list[tuple[str, str | int | Fields]] = []
    url = call.params.get("encoding-type") == "url"
    if url:
        fields.append(("EncodingType", "url"))
    fields += [("Deleted", [("Key", quote(key, safe="") if url else key)]) for key in keys]
    return answer("DeleteResult", fields)


def _summary(call: Call, bucket: Bucket, region: str) -> list[tuple[str, str | int | Fields]]:
    return [
        ("CreationDate", iso(bucket.created)),
        # Not Aliyun's: a client that goes where it is told must not leave this machine.
        ("ExtranetEndpoint", call.endpoint),
        ("IntranetEndpoint", call.endpoint),
        ("Location", f"oss-{region}"),
        ("Name", bucket.name),
        ("Region", region),
        ("StorageClass", bucket.storage_class),
    ]


def _acl(call: Call) -> str | None:
    acl = call.header("x-oss-acl")
    if acl is not None and acl not in ACLS:
        raise OssError("InvalidArgument", "no such bucket access control exists", ArgumentName="x-oss-acl")
    return acl
