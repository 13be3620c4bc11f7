"""The journal against a dictionary: whatever is said in whatever order, what was committed is there, and only that."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from msgspec import structs

from vvos_core.errors import Busy
from vvos_core.journal import Journal, Record
from vvos_core.model import Receipt

from ..effort import examples
from .making import grant, kept, record

NUMBERS = st.integers(0, 3)
ID = [record(number).id for number in range(4)]
RECEIPTS = st.builds(
    Receipt,
    number=st.integers(1, 5),
    size=st.integers(0, 2**40),
    proof=st.text(st.characters(exclude_categories=()), max_size=8),
    checksum=st.text(max_size=4),
)


class Model(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.journals = [self.new(), self.new()]
        self.committed: dict[str, Record] = {}
        self.said: list[list[tuple[str, str, Any]]] = [[], []]
        self.claimed: dict[str, int] = {}

    def new(self) -> Journal:
        return Journal(Path(self.folder.name) / "state")

    def say(self, who: int, what: str, id: str, more: Any = None) -> None:
        self.said[who].append((what, id, more))

    @rule(
        who=st.integers(0, 1),
        number=NUMBERS,
        receipts=st.lists(RECEIPTS, max_size=3, unique_by=lambda receipt: receipt.number),
        text=st.text(st.characters(exclude_categories=()), max_size=5),
        begun=st.floats(0, 2e9),
    )
    def begin(self, who: int, number: int, receipts: list[Receipt], text: str, begun: float) -> None:
        ordered = tuple(sorted(receipts, key=lambda receipt: receipt.number))
        said = record(number, receipts=ordered, path=text, where={"x": [text]}, begun_at=begun)
        self.journals[who].begin(said)
        self.say(who, "begin", said.id, said)

    @rule(who=st.integers(0, 1), number=NUMBERS, receipt=RECEIPTS)
    def store(self, who: int, number: int, receipt: Receipt) -> None:
        self.journals[who].store(ID[number], receipt)
        self.say(who, "store", ID[number], receipt)

    @rule(who=st.integers(0, 1), number=NUMBERS, numbers=st.sets(st.integers(1, 6)))
    def forget(self, who: int, number: int, numbers: set[int]) -> None:
        self.journals[who].forget(ID[number], numbers)
        self.say(who, "forget", ID[number], numbers)

    @rule(who=st.integers(0, 1), number=NUMBERS, token=st.text(max_size=5))
    def renew(self, who: int, number: int, token: str) -> None:
        self.journals[who].renew(ID[number], grant(number, token))
        self.say(who, "change", ID[number], {"grant": grant(number, token)})

    @rule(who=st.integers(0, 1), number=NUMBERS, error=st.text(max_size=5))
    def fail(self, who: int, number: int, error: str) -> None:
        self.journals[who].fail(ID[number], error)
        self.say(who, "change", ID[number], {"error": error})

    @rule(who=st.integers(0, 1), number=NUMBERS, url=st.text(max_size=5))
    def finish(self, who: int, number: int, url: str) -> None:
        self.journals[who].finish(ID[number], key="k", checksum="c", url=url)
        fields = {"state": "finished", "grant": None, "receipts": (), "error": "", "key": "k", "checksum": "c"}
        self.say(who, "change", ID[number], {**fields, "url": url})

    @rule(who=st.integers(0, 1), number=NUMBERS)
    def drop(self, who: int, number: int) -> None:
        self.journals[who].drop(ID[number])
        self.say(who, "drop", ID[number])

    @rule(who=st.integers(0, 1))
    def commit(self, who: int) -> None:
        self.journals[who].commit()
        for what, id, more in self.said[who]:
            self.do(what, id, more)
        self.said[who] = []

    def do(self, what: str, id: str, more: Any) -> None:
        known = self.committed.get(id)
        if what == "begin":
            self.committed[id] = deepcopy(more)
        elif known is None:
            return
        elif what == "store" and known.state == "unfinished":
            parts = {part.number: part for part in (*known.receipts, more)}
            ordered = tuple(parts[number] for number in sorted(parts))
            self.committed[id] = structs.replace(known, receipts=ordered)
        elif what == "forget":
            left = tuple(part for part in known.receipts if part.number not in more)
            self.committed[id] = structs.replace(known, receipts=left)
        elif what == "change":
            self.committed[id] = structs.replace(known, **more)
        elif what == "drop":
            del self.committed[id]

    @rule(who=st.integers(0, 1), orderly=st.booleans())
    def end(self, who: int, orderly: bool) -> None:
        """Without a commit; in order, or as one that dies leaves it (its claims end with the process, so here too)."""
        journal = self.journals[who]
        if orderly:
            journal.close()
        else:
            for id, whose in list(self.claimed.items()):
                if whose == who:
                    journal.release(id)
            if journal._database is not None:
                journal._database._disconnect()
        self.claimed = {id: whose for id, whose in self.claimed.items() if whose != who}
        self.said[who] = []
        self.journals[who] = self.new()

    @rule(who=st.integers(0, 1), number=NUMBERS)
    def claim(self, who: int, number: int) -> None:
        try:
            self.journals[who].claim(ID[number])
        except Busy:
            assert self.claimed[ID[number]] != who
        else:
            assert self.claimed.setdefault(ID[number], who) == who

    @precondition(lambda self: self.claimed)
    @rule(who=st.integers(0, 1), number=NUMBERS)
    def release(self, who: int, number: int) -> None:
        self.journals[who].release(ID[number])
        if self.claimed.get(ID[number]) == who:
            del self.claimed[ID[number]]

    @invariant()
    def what_was_committed_is_there(self) -> None:
        for journal in self.journals:
            found = {id: kept(one) for id, one in journal.find(ID).items()}
            assert found == {id: kept(one) for id, one in self.committed.items()}
        listed = [one.id for one in self.journals[0].records()]
        assert listed == sorted(listed, key=lambda id: self.committed[id].begun_at)
        assert set(listed) == set(self.committed)

    def teardown(self) -> None:
        for journal in self.journals:
            journal.close()
        self.folder.cleanup()


TestModel = Model.TestCase
TestModel.settings = settings(max_examples=examples(30), stateful_step_count=30, deadline=None)
