"""Cases: an upload that was broken off goes on: what is stored of it is listed truly, and what is gone is not found."""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from ..errors import NotFound, VVOSError
from ..model import Grant, Receipt
from .bench import Bench
from .doubles import Piece, content
from .verdict import fail, skip_unless

SAME = "list every stored part, in order, with the very proof that put_chunk answered, and its checksum if it has one."
GONE = "translate the service's answer for an upload that it does not know into NotFound: then it is begun again."


class ResumeCases(Bench):
    # ── what exists lists ────────────────────────────────────────────────────────────────────────────────────────────

    def test_the_parts_that_are_listed_are_the_receipts(self) -> None:
        grant, pieces, receipts = self._begun(1, -1)
        listed = self._listed(grant)
        for got, had in zip(listed, receipts, strict=False):
            if got.checksum and had.checksum and got.checksum != had.checksum:
                fail(f"exists lists part {got.number} with {got.checksum}; read were bytes of {had.checksum}.", SAME)
        self._check_listed(grant, receipts, f"of {len(pieces)} parts")
        self.calls.abort(grant)

    def test_parts_are_listed_also_over_an_object(self) -> None:
        key, old = self.key(), content(self.small)
        self.upload(key, old)
        grant, _, receipts = self._begun(1, key=key)
        found = self.found(grant, parts=True)
        if not found.exists or found.size != len(old):
            fail(f"exists answers {found} for a key with an object and an unfinished upload.", "answer the object.")
        self._check_listed(grant, receipts, "of an upload that may replace an object")
        self.calls.abort(grant)

    def test_the_parts_of_another_upload_are_never_listed(self) -> None:
        one, pieces, receipts = self._begun(1)
        other = self.grant(one.key, one.size, cover=True)
        self._check_listed(other, [], "of an upload that was only begun, beside another one of the same key")
        more = self.put(other, pieces[-1])
        self._check_listed(other, [more], "of the second upload of a key")
        self._check_listed(one, receipts, "of the first upload of a key")
        for grant in (one, other):
            self.calls.abort(grant)

    def test_nothing_is_said_of_parts_where_there_is_nothing_to_say(self) -> None:
        single = self.grant(self.key("single.bin"), self.small)
        wrong = [("a grant that is not multipart", self.found(single, parts=True))]
        if self.capabilities.multipart:
            grant = self.grant(self.key(), self.large)
            wrong.append(("an upload, its parts not asked for", self.found(grant)))
            asked = self.found(grant, parts=True)
            if self.capabilities.lists_parts and asked.parts != ():
                fail(f"exists answers parts={asked.parts} of an upload without any.", "answer (), which says: none.")
            if not self.capabilities.lists_parts:
                wrong.append(("an upload whose parts cannot be listed", asked))
            self.calls.abort(grant)
        for what, found in wrong:
            if found.parts is not None:
                fail(
                    f"exists answers parts={found.parts} for {what}.",
                    "leave parts None there: () says that the service holds none, and stored ones would be sent again.",
                )

    def test_a_part_beyond_the_plan_is_listed_and_harms_nothing(self) -> None:
        grant, _, _ = self._begun(1, -1)
        # Asked with a grant that has no such part: as if somebody else had put it.
        size = max(self.rules.threshold, grant.part_size) + 1
        numbers = [part.number for part in self._listed(replace(grant, size=min(size, grant.size - grant.part_size)))]
        if 1 not in numbers:
            fail(f"exists lists the parts {numbers}; 1 is stored, and one that the grant has no room for.", SAME)
        self.calls.abort(grant)

    # ── going on ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def test_an_upload_goes_on_from_what_exists_lists(self) -> None:
        grant, pieces, _ = self._begun(1)
        self.use()  # another process, that knows no more than the grant
        receipts = [*self._listed(grant), *(self.put(grant, piece) for piece in pieces[1:])]
        self.complete(self.sealed(grant, self._data), receipts)
        self.check_object(grant.key, self._data, "an upload that went on with the parts that exists listed")

    def test_a_renewed_grant_goes_on_with_the_same_parts(self) -> None:
        old, pieces, receipts = self._begun(1)
        grant = self.renewed(old)
        if self.capabilities.lists_parts:
            self._check_listed(grant, receipts, "by a renewed grant")
        receipts += [self.put(grant, piece) for piece in pieces[1:]]
        if self.capabilities.lists_parts:
            self._check_listed(old, receipts, "of which some were put with a renewed grant")
        self.complete(self.sealed(self.renewed(grant), self._data), receipts)
        self.check_object(old.key, self._data, "an upload whose grant was renewed twice")

    def test_an_upload_is_completed_after_a_restart(self) -> None:
        old, pieces, receipts = self._begun(1)
        for piece in (*pieces[1:], None):
            # Each time a new process: it has the receipts and the grant as they were written down, without data.
            self.use()
            receipts = msgspec.json.decode(msgspec.json.encode(receipts), type=list[Receipt])
            grant = self.renewed(old)
            if piece is not None:
                receipts.append(self.put(grant, piece))
        self.complete(self.sealed(grant, self._data), receipts)
        self.check_object(old.key, self._data, "an upload that every part of was put by another process")

    # ── what the service forgot ──────────────────────────────────────────────────────────────────────────────────────

    def test_an_upload_that_was_forgotten_is_begun_again(self) -> None:
        skip_unless(self.capabilities.aborts, "abort")
        old, pieces, receipts = self._begun(1)
        self.calls.abort(replace(old, data={}))  # what a lifecycle rule of the bucket does, or another's sweep
        grant = self.renewal(old)
        if isinstance(grant, VVOSError):
            if not isinstance(grant, NotFound) and not grant.retryable:
                fail(f"token answered {grant!r} when an upload was to be renewed that is gone.", GONE)
        else:
            store = self.store
            self.refused("put_chunk", lambda: store.put_chunk(grant, pieces[1]), NotFound, mend=GONE)
            sealed = self.sealed(grant, self._data)
            claimed = [replace(receipts[0], number=piece.number, size=len(piece)) for piece in pieces]
            self.refused("complete", lambda: store.complete(sealed, claimed), NotFound, mend=GONE)
        if self.capabilities.lists_parts:
            self._check_listed(old, [], "of an upload that is gone")
        self.upload(old.key, self._data, cover=True)
        self.check_object(old.key, self._data, "an upload that was forgotten, and begun again")

    # ── shared ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def _begun(self, *numbers: int, key: str = "") -> tuple[Grant, list[Piece], list[Receipt]]:
        """An upload that may replace, of which these parts (from 1; -1 is the last) are stored: its grant, all its
        pieces, and the receipts."""
        self._data = content(self.large)
        grant = self.grant(key or self.key(), len(self._data), cover=True)
        pieces = self.pieces(grant, self._data)
        return grant, pieces, [self.put(grant, pieces[number - (number > 0)]) for number in numbers]

    def _listed(self, grant: Grant) -> tuple[Receipt, ...]:
        skip_unless(self.capabilities.lists_parts, "list the parts of an unfinished upload")
        parts = self.found(grant, parts=True).parts
        if parts is None:
            fail(f"exists says nothing of the parts of {grant.key!r}, which were asked for.", SAME)
        return parts

    def _check_listed(self, grant: Grant, receipts: list[Receipt], what: str) -> None:
        listed = [(part.number, part.size, part.proof) for part in self._listed(grant)]
        wanted = [(receipt.number, receipt.size, receipt.proof) for receipt in receipts]
        if listed != wanted:
            fail(f"exists lists the parts {listed} {what}; stored are {wanted} (number, size, proof).", SAME)
