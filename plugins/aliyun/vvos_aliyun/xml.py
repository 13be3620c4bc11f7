"""The little XML that OSS speaks to a client: builds the list of parts, reads results and errors, safely."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from urllib.parse import unquote
from xml.etree import ElementTree as ET

from vvos_core import Answer, BadAnswer, Listed, Page, Receipt


def parts(receipts: Sequence[Receipt]) -> bytes:
    """The body of CompleteMultipartUpload."""
    root = ET.Element("CompleteMultipartUpload")
    for receipt in receipts:
        part = ET.SubElement(root, "Part")
        ET.SubElement(part, "PartNumber").text = str(receipt.number)
        ET.SubElement(part, "ETag").text = f'"{receipt.proof}"'
    body: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return body


def parse(body: bytes) -> ET.Element:
    """The root element, all names without namespaces. ``body`` is bounded by who read it.

    Raises ``BadAnswer`` for what is no XML, and for a document type: entities can be made to grow without bound.
    """
    try:
        text = body.decode().strip()
        if "<!DOCTYPE" in text:
            raise BadAnswer("the service answered XML with a document type; is it the right address?")
        root = ET.fromstring(text)
    except (ET.ParseError, UnicodeDecodeError) as error:
        raise BadAnswer("the service answered what is no XML; is it the right address?") from error
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    return root


def page(body: bytes) -> Page:
    """A piece of ListObjectsV2. Raises ``BadAnswer`` for what is none."""
    root = parse(body)
    decode = unquote if root.findtext("EncodingType") == "url" else str
    found = []
    for item in root.iterfind("Contents"):
        size = item.findtext("Size") or ""
        if not (size.isascii() and size.isdigit()):
            raise BadAnswer("the service listed an object without its size; is it OSS?")
        etag = (item.findtext("ETag") or "").strip('"').lower()
        found.append(Listed(decode(item.findtext("Key") or ""), int(size), etag))
    more = root.findtext("IsTruncated")
    counted = root.findtext("KeyCount") in (None, str(len(found)))
    if root.tag != "ListBucketResult" or more not in ("true", "false") or not counted:
        raise BadAnswer("the service answered no list of objects; is it OSS?")
    return Page(found, more == "true")


def error(answer: Answer) -> tuple[str, str]:
    """The code and message of an error, from its body or, after a HEAD, from ``x-oss-err``; empty without one."""
    body = answer.body
    if not body:
        try:
            body = base64.b64decode(answer.headers.get("x-oss-err", ""), validate=True)
        except (binascii.Error, ValueError):
            return "", ""
    try:
        root = parse(body)
    except BadAnswer:
        return "", ""
    if root.tag != "Error":
        return "", ""
    return (root.findtext("Code") or "").strip(), (root.findtext("Message") or "").strip()
