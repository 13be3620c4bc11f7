"""XML that OSS answers and reads: without namespaces on the way out, with or without on the way in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Union
from xml.etree import ElementTree as ET

from vvos_core.testing.server import Response

from .errors import OssError, xml_text

Fields = Sequence[tuple[str, Union[str, int, "Fields"]]]

_CONTROLS = [code for code in range(0x20) if chr(code) not in "\t\n\r"]
_HIDDEN = {code: 0x10F000 + code for code in _CONTROLS}
_SHOWN = {hidden: code for code, hidden in _HIDDEN.items()}
"""Control characters of keys, which OSS takes in XML as they are and the parser would not."""


def document(root: str, fields: Fields) -> bytes:
    """An XML document; a value that is a sequence is an element with children."""
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{_element(root, fields)}'.encode()


def answer(root: str, fields: Fields, headers: Sequence[tuple[str, str]] = ()) -> Response:
    """A 200 with an XML document."""
    return Response(200, [("Content-Type", "application/xml"), *headers], document(root, fields))


def parse(body: bytes, root: str) -> ET.Element:
    """The root element, all names without namespaces. Raises ``OssError`` MalformedXML, also for a document type."""
    try:
        text = body.decode()
        if "<!DOCTYPE" in text:  # entities can be made to grow without bound
            raise OssError("MalformedXML")
        tree = ET.fromstring(text.strip().translate(_HIDDEN))
    except (ET.ParseError, UnicodeDecodeError):
        raise OssError("MalformedXML") from None
    for element in tree.iter():
        element.tag = element.tag.rpartition("}")[2]
        element.text = element.text and element.text.translate(_SHOWN)
    if tree.tag != root:
        raise OssError("MalformedXML")
    return tree


def _element(name: str, value: str | int | Fields) -> str:
    if isinstance(value, str | int):
        return f"<{name}>{xml_text(str(value))}</{name}>"
    return f"<{name}>{''.join(_element(*child) for child in value)}</{name}>"
