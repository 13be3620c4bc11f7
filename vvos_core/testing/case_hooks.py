"""Cases: each hook again, out of order, in between and too late."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from msgspec.structs import replace

from ..errors import BadKey, Exists, NotFound, VVOSError
from ..model import Ask, Grant, Receipt
from .bench import Bench
from .doubles import Piece, content
from .verdict import fail, skip_unless

BAD_KEYS = {
    "empty": "",
    "two dots": "..",
    "two dots within": "a/../b.txt",
    "one dot": "a/./b.txt",
    "slash before": "/a.txt",
    "slash behind": "a/",
    "empty segment": "a//b.txt",
    "newline": "a\nb.txt",
    "NUL": "a\0b.txt",
    "not NFC": "cafe\u0301.txt",
}


class HookCases(Bench):
    # ── token ────────────────────────────────────────────────────────────────────────────────────────────────────────

    @pytest.mark.parametrize("bad", BAD_KEYS)
    def test_a_bad_key_is_refused(self, bad: str) -> None:
        (answer,) = self.token(self.request(Ask(client_key="a.txt", key=BAD_KEYS[bad], size=1)))
        self._refused_key(BAD_KEYS[bad], answer)

    def test_a_key_that_is_too_long_is_refused(self) -> None:
        key = ("k" * 99 + "/") * (self.rules.max_key // 100 + 1)
        key = key[: self.rules.max_key].rstrip("/").ljust(self.rules.max_key, "k") + "k"
        (answer,) = self.token(self.request(Ask(client_key="a.txt", key=key, size=1)))
        self._refused_key(key, answer)

    def test_a_batch_is_answered_in_order_and_one_bad_file_spoils_no_other(self) -> None:
        keys = [self.key("一.txt"), "a/../b.txt", self.key("三.txt")]
        answers = self.token(self.request(*(Ask(client_key=f"c{n}", key=key, size=n) for n, key in enumerate(keys))))
        got = [item.key if isinstance(item, Grant) else type(item).__name__ for item in answers]
        if got != [keys[0], "BadKey", keys[2]]:
            fail(
                f"token answered {got} for two good keys with a bad one between them.",
                "answer one item for each ask, in order; an error is the item's own and is not raised.",
            )

    def test_a_grant_says_what_was_asked(self) -> None:
        request = self.request(
            Ask(client_key="用户的.md", key=self.key("说明.md"), size=self.small, type="text/markdown"), cover=True
        )
        (grant,) = self.token(request)
        if isinstance(grant, VVOSError):
            fail(f"token refused an ordinary file: {grant!r}.", "grant it.")
        ask = request.files[0]
        wanted = {
            "provider": self.name,
            "key": ask.key,
            "client_key": ask.client_key,
            "size": ask.size,
            "type": ask.type,
            "cover": True,
        }
        for name, value in wanted.items():
            if getattr(grant, name) != value:
                fail(
                    f"the grant has {name} {getattr(grant, name)!r}, asked was {value!r}.",
                    "grant what was asked: the broker has chosen the key, and the entry point's name finds the plugin.",
                )
        if not request.issued_at < grant.expires_at <= request.expires_at:
            fail(
                f"the grant expires {grant.expires_at - request.expires_at:g} s after it should.",
                "let it expire at request.expires_at, or earlier where the service signs for no longer.",
            )

    def test_token_may_be_asked_again(self) -> None:
        request = self.request(Ask(client_key="a", key=self.key(), size=self.small), cover=True)
        for time in (1, 2):
            (grant,) = self.token(request)
            if isinstance(grant, VVOSError):
                fail(f"token, asked the same for time {time}, answered {grant!r}.", "answer a grant each time.")
            data = content(self.small, time)
            self.complete(grant, self.put_all(grant, data))
            self.check_object(grant.key, data, f"an upload by the grant number {time} of one request")

    # ── put_chunk ────────────────────────────────────────────────────────────────────────────────────────────────────

    def test_chunks_in_any_order_and_twice(self) -> None:
        key, data = self.key(), content(self.large)
        grant = self.grant(key, len(data))
        receipts: dict[int, Receipt] = {}
        for piece in reversed(self.pieces(grant, data)):
            for _ in range(2):
                receipts[piece.number] = self.put(grant, piece)
        grant = self.sealed(grant, data)
        self.complete(grant, [receipts[number] for number in sorted(receipts)])
        self.check_object(key, data, "chunks that were put backwards, each twice")

    def test_the_last_that_was_put_counts(self) -> None:
        key, data = self.key(), content(self.large)
        grant = self.grant(key, len(data))
        pieces = self.pieces(grant, data)
        self.put(grant, Piece(content(len(pieces[0]), 5), 1, 0))
        receipts = [self.put(grant, piece) for piece in pieces]
        self.complete(self.sealed(grant, data), receipts)
        self.check_object(key, data, "a chunk that was put again with other bytes")

    def test_chunks_from_many_threads(self) -> None:
        key, data = self.key(), content(self.large)
        grant = self.grant(key, len(data))
        with ThreadPoolExecutor(8) as pool:
            receipts = list(pool.map(lambda piece: self.put(grant, piece), self.pieces(grant, data)))
        self.complete(self.sealed(grant, data), receipts)
        self.check_object(key, data, "chunks that were put at the same time")

    def test_the_same_single_put_twice_is_harmless(self) -> None:
        key, data = self.key(), content(self.small)
        grant = self.grant(key, len(data))
        self.put_all(grant, data)
        self.again("put_chunk", lambda: self.store.put_chunk(grant, self.pieces(grant, data)[0]), Exists)
        self.check_object(key, data, "put twice")

    def test_receipts_carry_the_checksum_of_what_was_read(self) -> None:
        skip_unless(self.capabilities.checksums, "checksums")
        for size in (self.small, *([self.large] if self.capabilities.multipart else [])):
            data = content(size)
            grant = self.grant(self.key(f"{size}.bin"), size)
            receipts = self.put_all(grant, data)
            combined, whole = self.store.checksum.combine(receipts), self.checksum_of(data)
            if not combined or any(not receipt.checksum for receipt in receipts):
                fail(
                    f"the receipts of {len(receipts)} chunks have no checksum to combine: "
                    f"{[receipt.checksum for receipt in receipts]}.",
                    "compute it while the chunk is sent, answer it in Receipt.checksum, and combine it in Checksum.",
                )
            if combined.partition(":")[0] == whole.partition(":")[0] and combined != whole:
                fail(
                    f"the chunks' checksums combine to {combined}; of the whole, as Checksum.new() reads it, it is "
                    f"{whole}.",
                    "make both the same: combine must not depend on how the bytes were cut.",
                )
            self.calls.abort(grant)

    # ── complete ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def test_complete_twice_is_harmless(self) -> None:
        key, data = self.key(), content(self.large)
        grant = self.grant(key, len(data))
        receipts = self.put_all(grant, data)
        grant = self.sealed(grant, data)
        self.complete(grant, receipts)
        # NotFound and Exists say that the upload is over; then the engine asks exists.
        self.again("complete", lambda: self.store.complete(grant, receipts), NotFound, Exists)
        self.check_object(key, data, "completed twice")

    def test_nothing_is_made_of_parts_that_are_missing(self) -> None:
        key, data = self.key(), content(self.large)
        grant = self.grant(key, len(data))
        pieces = self.pieces(grant, data)
        receipts = [self.put(grant, piece) for piece in pieces[:-1]]
        invented = replace(receipts[0], number=len(pieces), size=len(pieces[-1]))
        sealed = self.sealed(grant, data)
        self.refused(
            "completed with a receipt of a part that was never put",
            lambda: self.store.complete(sealed, [*receipts, invented]),
            mend="have the service check each receipt's proof, and translate its refusal.",
        )
        self.check_absent(grant, "after that", "make no object of what is incomplete.")
        self.calls.abort(grant)

    # ── exists ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def test_exists_before_during_and_after(self) -> None:
        key, data = self.key(), content(self.large)
        grant = self.grant(key, len(data))
        before = self.found(grant, parts=True)
        if before.exists or before.parts:
            fail(f"exists finds {before} before anything was put.", "answer Found(exists=False) without parts.")
        pieces = self.pieces(grant, data)
        stored = {piece.number: self.put(grant, piece) for piece in (pieces[0], pieces[-1])}
        during = self.found(grant, parts=True)
        if during.exists:
            fail("exists finds an object while its parts are being put.", "exists=True is for objects, not uploads.")
        receipts = [stored.get(piece.number) or self.put(grant, piece) for piece in pieces]
        self.complete(self.sealed(grant, data), receipts)
        after = self.found(grant, parts=True)
        if not after.exists or after.size != len(data) or after.parts:
            fail(f"exists answers {after} for a finished object.", "answer exists=True, its size, and no parts.")

    # ── abort ────────────────────────────────────────────────────────────────────────────────────────────────────────

    @pytest.mark.parametrize("by", ["the client", "the client, renewed", "the broker", "a sweep"])
    def test_nothing_of_an_upload_is_left_after_abort(self, by: str) -> None:
        skip_unless(self.capabilities.aborts, "abort")
        before = self.unfinished()
        data = content(self.large)
        grant = self.grant(self.key(), len(data))
        pieces = self.pieces(grant, data)
        receipts = [self.put(grant, piece) for piece in pieces]
        sealed = self.sealed(grant, data)
        # The broker has the grant without its data, a sweep knows of the upload no more than its name; both abort with
        # the keys of the profile.
        name = Grant(provider=grant.provider, key=grant.key, client_key="", size=0, upload_id=grant.upload_id)
        abort = {
            "the client": lambda: self.store.abort(grant),
            "the client, renewed": lambda: self.store.abort(self.renewed(grant)),
            "the broker": lambda: self.calls.abort(replace(grant, data={})),
            "a sweep": lambda: self.calls.abort(name),
        }[by]
        self.kept("abort", abort)
        left = self.found(grant, parts=True)
        if left.exists or left.parts:
            fail(f"exists still finds {left} after abort.", "abort has to make the service forget the stored parts.")
        mend = "translate the service's answer for an upload that is gone into NotFound."
        self.refused("put_chunk after abort", lambda: self.store.put_chunk(grant, pieces[0]), NotFound, mend=mend)
        self.refused("complete after abort", lambda: self.store.complete(sealed, receipts), NotFound, mend=mend)
        self.check_absent(grant, "after abort", "an upload that was aborted must not become an object.")
        after = self.unfinished()
        if before is not None and after is not None and len(after) > len(before):
            fail(f"the service keeps {len(after) - len(before)} unfinished upload(s) more than before.", mend)
        self.kept("abort, called again", abort)

    # ── unfinished ───────────────────────────────────────────────────────────────────────────────────────────────────

    def test_unfinished_uploads_are_listed_by_their_key(self) -> None:
        lists = self.capabilities.multipart and hasattr(self.store.plugin, "unfinished")
        skip_unless(lists, "list unfinished uploads")
        key, size = self.key(), self.large
        grants = [self.grant(key, size), self.grant(key, size), self.grant(f"{key}.2", size)]
        for left in (2, 1, 0):
            wanted = {grant.upload_id for grant in grants[:left]}
            listed = self.kept("unfinished", lambda: self.calls.unfinished(key))
            found = {item.upload_id for item in listed}
            if found != wanted or len(listed) != left:
                fail(
                    f"unfinished answers {len(listed)} upload(s) of a key of which {left} are unfinished, or others.",
                    "list each upload of just this key that is neither completed nor aborted; a prefix is not enough.",
                )
            self.calls.abort(grants[left - 1])  # in the end the one of the other key

    # ── shared ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def _refused_key(self, key: str, answer: Grant | VVOSError) -> None:
        if not isinstance(answer, BadKey):
            shown = repr(answer) if isinstance(answer, VVOSError) else "a grant"
            fail(
                f"token answered {shown} for the key {key[:80]!r}.",
                "call check_key(ask.key, self.rules.max_key) for each ask, and answer its BadKey: HTTP clients "
                "collapse such paths, so that what is put is not what was signed.",
            )
