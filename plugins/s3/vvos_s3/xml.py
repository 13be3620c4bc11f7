"""The little XML that S3 speaks to a client: builds the list of parts, reads results and errors, safely."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree as ET

from vvos_core import BadAnswer, Receipt

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
    try:
        text = body.decode().strip()
        if "<!DOCTYPE" in text:
            raise BadAnswer("the service answered XML with a document type; is it the right address?")
        root = ET.fromstring(text)
    except (ET.ParseError, UnicodeDecodeError) as error:
        raise BadAnswer("the service answered what is no XML; is it the right address?") from error
    return _local(root.tag), {_local(child.tag): (child.text or "").strip() for child in root}


def error(body: bytes) -> tuple[str, str]:
    """The code and message of an error's body; empty where it has none, as after HEAD."""
    try:
        name, fields = read(body)
    except BadAnswer:
        return "", ""
    return (fields.get("Code", ""), fields.get("Message", "")) if name == "Error" else ("", "")


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]
