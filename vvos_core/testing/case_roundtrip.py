"""Cases: what is put comes back, byte for byte, whatever its size, name and type."""

from __future__ import annotations

import pytest

from ..client import VVOS
from ..errors import VVOSError
from ..model import Ask, Notified
from .bench import LIMIT, Bench
from .doubles import Piece, content
from .verdict import fail, skip_unless

SIZES = ("nothing", "one byte", "threshold - 1", "threshold", "threshold + 1", "parts with a short last one")
SINGLE_AND_MULTI = pytest.mark.parametrize("kind", ["single", "multipart"])
METADATA = {"owner": "小明", "note": "two words"}


class RoundTripCases(Bench):
    @pytest.mark.parametrize("size", SIZES)
    def test_every_size_arrives(self, size: str) -> None:
        self.arrives(self.key(), self._bytes_of(size))

    def test_a_chinese_key_with_spaces_and_signs_arrives(self) -> None:
        data = content(self.small)
        for name in ("目录/带 空格 +%#?&=~.txt", "%2e%2e/百分号%20.txt", "emoji 🎬/ü'\"<>;@:!$*(),[]|^`{}.bin"):
            self.arrives(self.key(name), data)

    def test_a_key_of_the_greatest_length_arrives(self) -> None:
        room = self.rules.max_key - len(self.key("").encode())
        # Folders with short names: a file system may be behind it.
        name = ("长" * 60 + "/") * (room // 181)
        name += "k" * (room - len(name.encode()))
        self.arrives(self.key(name.rstrip("/") + "k" * (len(name) - len(name.rstrip("/")))), content(10))

    @SINGLE_AND_MULTI
    def test_the_type_is_kept(self, kind: str) -> None:
        key = self.key("说明.md")
        self.upload(key, content(self.sized(kind)), type="text/markdown")
        kept = self.type_of(key)
        if kept is None:
            pytest.skip("type_of is not overridden, or the service keeps no type")
        if kept != "text/markdown":
            fail(f"the object has the type {kept!r}, granted was 'text/markdown'.", "send grant.type with the object.")

    @SINGLE_AND_MULTI
    def test_metadata_are_kept_or_refused(self, kind: str) -> None:
        key, data = self.key(), content(self.sized(kind))
        if not self.capabilities.metadata:
            (answer,) = self.token(self.request(Ask(client_key=key, key=key, size=len(data), metadata=METADATA)))
            if not isinstance(answer, VVOSError):
                fail(
                    "token granted metadata, which the provider declares that it cannot keep: they would be lost.",
                    "answer BadInput for an Ask with metadata, or keep them and declare metadata=True.",
                )
            return
        self.upload(key, data, metadata=METADATA)
        kept = dict(self.metadata_of(key))
        if kept != METADATA:
            fail(f"the object has the metadata {kept}, given were {METADATA}.", "send ask.metadata with the object.")

    def test_the_largest_number_of_parts_arrives(self) -> None:
        skip_unless(self.capabilities.multipart, "multipart")
        rules = self.rules
        size = rules.part_size * (rules.max_parts - 1) + 1
        if size > rules.threshold and size <= LIMIT:
            self.arrives(self.key(), content(size))
            return
        # Too much to send: the first and the last will do.
        size = max(size, rules.threshold + 1)
        grant = self.grant(self.key(), size)
        count = -(-size // grant.part_size)
        first, last = content(self.affordable(grant.part_size)), content(size - (count - 1) * grant.part_size)
        self.put(grant, Piece(last, count, size - len(last)))
        self.put(grant, Piece(first))
        if self.capabilities.lists_parts:
            numbers = [part.number for part in self.found(grant, parts=True).parts or ()]
            if numbers != [1, count]:
                fail(f"of {count} parts, 1 and {count} are stored; exists lists {numbers}.", "list them all, in order.")
        self.calls.abort(grant)

    @SINGLE_AND_MULTI
    def test_an_object_is_replaced_where_that_was_granted(self, kind: str) -> None:
        key, size = self.key(), self.sized(kind)
        self.upload(key, content(size, 1))
        self.upload(key, content(size, 2), cover=True)
        self.check_object(key, content(size, 2), "uploaded again with cover=True")

    def test_the_client_uploads_and_uploads_again(self) -> None:
        """All of it together: the engine with this profile, a small and a large file, and the same once more."""
        sizes = [self.small, *([self.large] if self.capabilities.multipart else [])]
        for again in (False, True):
            client = VVOS(profile=self.made_profile())
            for number, size in enumerate(sizes):
                client.add_files([(content(size), self.key(f"文件 {number}.bin"))])
            for number, result in enumerate(client.submit()):
                known = self.capabilities.checksums
                if result.error is not None and (known or not again):
                    fail(f"the client's upload failed: {self.shown(result.error)!r}.", "run the other cases first.")
                if again and known and not result.reused:
                    fail(
                        "a file that was there already, byte for byte, was sent again.",
                        "let exists answer the object's size and checksum, in the form that Checksum.new() computes.",
                    )
                self.check_object(self.key(f"文件 {number}.bin"), content(sizes[number]), "uploaded by the client")

    def arrives(self, key: str, data: bytes) -> None:
        """A whole upload, and everything that can be said of it afterwards."""
        grant, stored = self.upload(key, data)
        self.check_object(key, data, f"an upload of {len(data)} bytes")
        if (stored.key, stored.size) != (key, len(data)):
            fail(
                f"complete answered {stored.key!r} of {stored.size} bytes for {key!r} of {len(data)}.",
                "answer grant.key and the object's size.",
            )
        found = self.found(grant)
        if not found.exists or found.size != len(data):
            fail(
                f"exists answers exists={found.exists}, size={found.size} for an object of {len(data)} bytes.",
                "answer the object as the service has it.",
            )
        wanted = self.checksum_of(data) if self.capabilities.checksums else ""
        for hook, said in (("complete", stored.checksum), ("exists", found.checksum)):
            if wanted and said and said != wanted:
                fail(f"{hook} answers the checksum {said}; of these bytes it is {wanted}.", "use one form everywhere.")
        verdict = self.verdict(grant, len(data), wanted)
        if not isinstance(verdict, Notified) or verdict.key != key or "://" not in verdict.url:
            fail(f"notify answered {verdict!r} for an object that is right.", "answer Notified with its key and url.")

    def _bytes_of(self, size: str) -> bytes:
        if size in ("nothing", "one byte"):
            return content(SIZES.index(size))
        if size.startswith("parts"):
            return content(self.large)
        skip_unless(self.capabilities.multipart, "multipart; there is no threshold")
        # A threshold of 0 has nothing below it.
        return content(self.affordable(max(0, self.rules.threshold + {"-": -1, "+": 1}.get(size[10:11], 0))))
