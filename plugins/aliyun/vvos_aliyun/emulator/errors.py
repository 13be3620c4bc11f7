"""The error answers of OSS: code, HTTP status, message and EC, and their XML form.

Source: OSS, "Error codes" and the pages of the single ECs. Where no page tells the EC of a case, the table has the
nearest that is documented; a refusal that knows better gives its own.
"""

from __future__ import annotations

import base64
import re
from xml.sax.saxutils import escape

from vvos_core.testing.server import Response

_NO_TEXT = re.compile("[\ud800-\udfff\ufffe\uffff]")

_CODES: dict[str, tuple[int, str, str]] = {
    "AccessDenied": (403, "0003-00000001", "You have no right to access this object because of bucket acl."),
    "AccessForbidden": (403, "0021-00000001", "CORSResponse: CORS is not enabled for this bucket."),
    "BucketNotEmpty": (409, "0015-00000301", "The bucket has objects. Please delete them first."),
    "CallbackFailed": (203, "0007-00000203", "Error status : 502."),
    "EntityTooLarge": (400, "0010-00000034", "Your proposed upload exceeds the maximum allowed object size."),
    "EntityTooSmall": (
        400,
        "0042-00000213",
        "Your proposed upload is smaller than the minimum allowed object size.",
    ),
    "FieldItemTooLong": (400, "0010-00000018", "Your post field items exceeds the maximum length."),
    "FileAlreadyExists": (
        409,
        "0026-00000002",
        "The object you specified already exists and can not be overwritten.",
    ),
    "InternalError": (500, "0000-00000001", "We encountered an internal error. Please try again."),
    "InvalidAccessKeyId": (
        403,
        "0002-00000902",
        "The OSS Access Key Id you provided does not exist in our records.",
    ),
    "InvalidArgument": (400, "0017-00000000", "Invalid argument."),
    "InvalidBucketName": (400, "0015-00000001", "The specified bucket is not valid."),
    "InvalidDigest": (400, "0010-00000050", "The Content-MD5 you specified was invalid."),
    "InvalidObjectName": (400, "0016-00000001", "The specified object is not valid."),
    "InvalidPart": (
        400,
        "0042-00000212",
        "One or more of the specified parts could not be found or the specified entity tag might not have matched the "
        "part's entity tag.",
    ),
    "InvalidPartOrder": (
        400,
        "0042-00000209",
        "The list of parts was not in ascending order. Parts list must specified in order by part number.",
    ),
    "InvalidPolicyDocument": (400, "0010-00000024", "The content of the form does not meet the policy."),
    "InvalidRange": (416, "0021-00000004", "The requested range cannot be satisfied"),
    "InvalidRequest": (400, "0042-00000203", "Invalid request."),
    "InvalidSecurityToken": (403, "0002-00000044", "The security token you provided is invalid."),
    "InvalidTargetType": (409, "0028-00000003", "The symbolic's target file type is invalid"),
    "MalformedPOSTRequest": (
        400,
        "0010-00000001",
        "The body of your POST request is not well-formed multipart/form-data.",
    ),
    "MalformedXML": (
        400,
        "0042-00000205",
        "The XML you provided was not well-formed or did not validate against our published schema.",
    ),
    "MetadataTooLarge": (400, "0017-00000306", "Your metadata headers exceed the maximum allowed metadata size."),
    "MethodNotAllowed": (405, "0017-00000006", "The specified method is not allowed against this resource."),
    "MissingArgument": (411, "0017-00000802", "Missing Some Required Arguments."),
    "MissingContentLength": (411, "0017-00000401", "You must provide the Content-Length HTTP header."),
    "NoSuchBucket": (404, "0015-00000101", "The specified bucket does not exist."),
    "NoSuchCORSConfiguration": (404, "0021-00000011", "The CORS Configuration does not exist."),
    "NoSuchKey": (404, "0026-00000001", "The specified key does not exist."),
    "NoSuchLifecycle": (404, "0026-00000020", "No Row found in Lifecycle Table."),  # [?] the numbers
    "NoSuchUpload": (
        404,
        "0042-00000002",
        "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or "
        "completed.",
    ),
    "NotImplemented": (400, "0017-00000005", "A header you provided implies functionality that is not implemented."),
    "ObjectNotAppendable": (409, "0026-00000207", "The object is not appendable"),
    "PositionNotEqualToLength": (409, "0026-00000208", "Position is not equal to file length"),
    "PreconditionFailed": (
        412,
        "0021-00000005",
        "At least one of the pre-conditions you specified did not hold.",
    ),
    "RequestIsNotMultiPartContent": (
        400,
        "0010-00000002",
        "Bucket POST must be of the enclosure-type multipart/form-data.",
    ),
    "RequestTimeTooSkewed": (
        403,
        "0002-00000504",
        "The difference between the request time and the current time is too large.",
    ),
    "RequestTimeout": (
        400,
        "0017-00000002",
        "Your socket connection to the server was not read from or written to within the timeout period.",
    ),
    "SecurityTokenExpired": (403, "0002-00000045", "The security token you provided has expired."),
    "SignatureDoesNotMatch": (
        403,
        "0002-00000001",
        "The request signature we calculated does not match the signature you provided. Check your key and signing "
        "method.",
    ),
    "SymlinkTargetNotExist": (404, "0028-00000001", "The symlink target object does not exist"),
}


class OssError(Exception):
    """A refusal, as the client will see it. ``details`` become elements of the XML, ``headers`` some of the answer."""

    def __init__(
        self,
        code: str,
        message: str | None = None,
        *,
        ec: str | None = None,
        headers: dict[str, str] | None = None,
        **details: str,
    ) -> None:
        self.code = code
        self.status, default_ec, default = _CODES[code]
        self.message = default if message is None else message
        self.ec = default_ec if ec is None else ec
        self.headers = headers or {}
        self.details = details
        super().__init__(f"{code}: {self.message}")

    def response(self, method: str, host: str, request_id: str) -> Response:
        """The answer. A HEAD has no body, so the same XML is in its ``x-oss-err`` header."""
        fields = {"Code": self.code, "Message": self.message, "RequestId": request_id, "HostId": host}
        fields |= self.details | {"EC": self.ec}
        inner = "".join(f"\n  <{name}>{xml_text(value)}</{name}>" for name, value in fields.items())
        body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{inner}\n</Error>\n'.encode()
        response = Response(self.status, [("Content-Type", "application/xml"), ("x-oss-ec", self.ec)], body)
        for name, value in self.headers.items():
            response.set(name, value)
        if method == "HEAD":
            response.set("x-oss-err", base64.b64encode(body).decode())
        return response


class NotModified(Exception):
    """The conditions of a GET, HEAD or copy ask for nothing: 304, without a body."""


def xml_text(value: str) -> str:
    """Text for an XML element; what is no text becomes a question mark.

    Control characters go out as they are, which XML 1.0 forbids: OSS's own Node client reads them so, and others ask
    for ``encoding-type=url``.
    """
    return escape(_NO_TEXT.sub("?", value), {"\r": "&#xD;"})
