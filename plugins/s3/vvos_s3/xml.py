"""The little XML that S3 speaks to a client: builds the list of parts, reads results and errors, safely."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import unquote_plus
from xml.etree import ElementTree as ET

from vvos_core import BadAnswer, Listed, Page, Receipt

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"


def parts(receipts: Sequence[Receipt]) -> bytes:
    """The body of CompleteMultipartUpload."""
    root = ET.Element("CompleteMultipartUpload", xmlns=NAMESPACE)
    for receipt in receipts:
        part = ET.SubElement(root, "Part")
        ET.SubElement(part, "PartNumber").text = str(receipt.number)
        ET.SubElement(part, "ETag").text = f'"{receipt.proof}"'
    body: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return body


def read(body: bytes) -> tuple[str, dict[str, str]]:
    """The root's name and its children's texts, without namespaces. ``body`` is bounded by who read it.

    Raises ``BadAnswer`` for what is no XML, and for a document type: entities can be made to grow without bound.
    """
    root = _parse(body)
    return _local(root.tag), {_local(child.tag): (child.text or "").strip() for child in root}


def page(body: bytes) -> Page:
    """A piece of ListObjectsV2. Raises ``BadAnswer`` for what is none."""
    root = _parse(body)
    space = root.tag.removesuffix("ListBucketResult")

    def text(element: ET.Element, name: str) -> str:
        return element.findtext(space + name) or ""

    decode = unquote_plus if text(root, "EncodingType") == "url" else str
    found = []
    for item in root.iterfind(space + "Contents"):
        size = text(item, "Size")
        if not (size.isascii() and size.isdigit()):
            raise BadAnswer("the service listed an object without its size; is it S3?")
        found.append(Listed(decode(text(item, "Key")), int(size), text(item, "ETag").strip('"').lower()))
    more = text(root, "IsTruncated")
    if space == root.tag or more not in ("true", "false") or text(root, "KeyCount") not in ("", str(len(found))):
        raise BadAnswer("the service answered no list of objects; is it S3?")
    return Page(found, more == "true")


def error(body: bytes) -> tuple[str, str]:
    """The code and message of an error's body; empty where it has none, as after HEAD."""
    try:
        name, fields = read(body)
    except BadAnswer:
        return "", ""
    return (fields.get("Code", ""), fields.get("Message", "")) if name == "Error" else ("", "")


def _parse(body: bytes) -> ET.Element:
    try:
        text = body.decode().strip()
        if "<!DOCTYPE" in text:
            raise BadAnswer("the service answered XML with a document type; is it the right address?")
        return ET.fromstring(text)
    except (ET.ParseError, UnicodeDecodeError) as error:
        raise BadAnswer("the service answered what is no XML; is it the right address?") from error


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]
