"""Cases: `notify` believes nobody; it looks at the object."""

from __future__ import annotations

from msgspec.structs import replace

from ..errors import Mismatch, NotFound
from ..model import Finished, Notified, NotifyRequest
from .bench import Bench
from .doubles import content
from .verdict import fail, skip_unless


class NotifyCases(Bench):
    def test_an_object_that_is_not_there_is_not_found(self) -> None:
        grant = self.grant(self.key(), self.small)
        verdict = self.verdict(grant, self.small)
        if not isinstance(verdict, NotFound):
            fail(f"notify answered {verdict!r} for an object that nobody put.", "look for it, and answer NotFound.")

    def test_an_object_of_another_size_is_a_mismatch(self) -> None:
        grant, _ = self.upload(self.key(), content(self.small))
        for what, claimed, size in (
            ("the client read", grant, self.small + 1),
            ("was granted", replace(grant, size=self.small + 1), self.small),
        ):
            verdict = self.verdict(claimed, size)
            if not isinstance(verdict, Mismatch):
                fail(
                    f"notify answered {verdict!r} for an object that is a byte shorter than {what}.",
                    "compare the stored size with done.size and with done.grant.size, and answer Mismatch.",
                )

    def test_an_object_of_other_bytes_is_a_mismatch(self) -> None:
        skip_unless(self.capabilities.checksums, "checksums")
        grant, _ = self.upload(self.key(), content(self.small))
        other = self.checksum_of(content(self.small, 7))
        for what, claimed, checksum in (
            ("the client read", grant, other),
            ("was granted", replace(grant, checksum=other), ""),
        ):
            verdict = self.verdict(claimed, self.small, checksum)
            if not isinstance(verdict, Mismatch):
                fail(
                    f"notify answered {verdict!r} for an object with another checksum than {what}.",
                    "compare the service's checksum with done.checksum and with done.grant.checksum; answer Mismatch.",
                )

    def test_each_of_a_batch_gets_its_own_verdict(self) -> None:
        data = content(self.small)
        there = [self.upload(self.key(name), data)[0] for name in ("一.bin", "三.bin")]
        missing = self.grant(self.key("二.bin"), self.small)
        batch = (there[0], missing, there[1])
        done = tuple(Finished(grant=replace(grant, data={}), size=self.small) for grant in batch)
        verdicts = self.kept("notify", lambda: self.calls.notify(NotifyRequest(objects=done)))
        right = [getattr(verdict, "key", None) == grant.key for verdict, grant in zip(verdicts, batch, strict=True)]
        if not (isinstance(verdicts[1], NotFound) and right[0] and right[2] and isinstance(verdicts[0], Notified)):
            fail(
                f"notify answered {verdicts!r} for two objects and, between them, one that is not there.",
                "answer one verdict for each, in order; an error is the item's, and spoils no other.",
            )
