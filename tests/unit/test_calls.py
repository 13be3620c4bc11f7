"""vvos_core.calls: what a plugin answers against the contract is a sentence, and listeners disturb nobody."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any

import pluggy
import pytest

from vvos_core import ContractBroken, Denied, Unavailable, VVOSError, hookimpl
from vvos_core.calls import Calls, Store
from vvos_core.hooks import PROJECT, Spec
from vvos_core.model import (
    Ask as Asked,
    ExistsRequest,
    Finished,
    Found,
    Grant,
    Notified,
    NotifyRequest,
    Receipt,
    Rules,
    Stored,
    TokenRequest,
)

from ..protocol.doubles import Sum

SECRET = "AKIA-5ec2e7"


def grant(key: str = "文件") -> Grant:
    return Grant(provider="p", key=key, client_key=key, size=3)


class Chunk:
    number = 2
    offset = 3

    def __len__(self) -> int:
        return 3

    def __iter__(self) -> Iterator[memoryview]:
        yield memoryview(b"abc")


TOKEN = TokenRequest(
    files=(Asked(client_key="a", key="a", size=1), Asked(client_key="b", key="b", size=1)),
    request_token="r",
    issued_at=1.0,
    expires_at=2.0,
)
EXISTS = ExistsRequest(grants=(grant("a"), grant("b")))
NOTIFY = NotifyRequest(objects=(Finished(grant=grant("a"), size=1), Finished(grant=grant("b"), size=1)))


class Plugin:
    """Answers each hook with what ``answers`` says: a value, or an error to raise."""

    Settings: Any = None
    rules = Rules(threshold=1, part_size=1, min_part=1, max_part=1, max_parts=1, max_key=1)
    checksum = Sum()

    def __init__(self, **answers: Any) -> None:
        self._answers = answers
        self.asked: list[str] = []

    def _answer(self, hook: str) -> Any:
        self.asked.append(hook)
        answer = self._answers[hook]
        if isinstance(answer, BaseException):
            raise answer
        return answer

    @hookimpl
    def token(self, request: TokenRequest) -> Any:
        return self._answer("token")

    @hookimpl
    def exists(self, request: ExistsRequest) -> Any:
        return self._answer("exists")

    @hookimpl
    def put_chunk(self, grant: Grant, chunk: Chunk) -> Any:
        return self._answer("put_chunk")

    @hookimpl
    def complete(self, grant: Grant, receipts: Sequence[Receipt]) -> Any:
        return self._answer("complete")

    @hookimpl
    def notify(self, request: NotifyRequest) -> Any:
        return self._answer("notify")


def calls_of(plugin: Any, *others: object) -> Calls:
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(Spec)
    for item in (plugin, *others):
        manager.register(item)
    return Calls("oss-x", manager, plugin, lambda name: Store(name, manager, plugin))


CALL: dict[str, Callable[[Calls], object]] = {
    "token": lambda calls: calls.token(TOKEN),
    "exists": lambda calls: calls.exists(EXISTS),
    "put_chunk": lambda calls: calls.store("oss-x").put_chunk(grant(), Chunk()),
    "complete": lambda calls: calls.store("oss-x").complete(grant(), ()),
    "notify": lambda calls: calls.notify(NOTIFY),
}
GOOD: dict[str, Any] = {
    "token": [grant("a"), grant("b")],
    "exists": [Found(key="a", exists=False), Found(key="b", exists=True)],
    "put_chunk": Receipt(number=2, size=3, proof="p"),
    "complete": Stored(key="文件", size=3),
    "notify": [Notified(key="a", url="u"), Notified(key="b", url="v")],
}
BATCH = ("token", "exists", "notify")
SINGLE = ("put_chunk", "complete")


def broken(hook: str, answer: object) -> ContractBroken:
    with pytest.raises(ContractBroken) as caught:
        CALL[hook](calls_of(Plugin(**{**GOOD, hook: answer})))
    message = str(caught.value)
    assert "oss-x" in message, "who it was"
    assert hook in message, "and where"
    assert message.endswith(".")
    assert "\n" not in message
    return caught.value


@pytest.mark.parametrize("hook", CALL)
def test_an_answer_of_the_contract_passes_unchanged(hook: str) -> None:
    assert CALL[hook](calls_of(Plugin(**GOOD))) == GOOD[hook]


@pytest.mark.parametrize("hook", CALL)
@pytest.mark.parametrize(
    "answer", [None, True, 5, "text", b"bytes", {"a": 1}, object()], ids=lambda value: type(value).__name__
)
def test_an_answer_of_another_type_is_a_breach(hook: str, answer: object) -> None:
    broken(hook, answer)


@pytest.mark.parametrize("hook", BATCH)
@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_batch_has_one_answer_for_each_item(hook: str, count: int) -> None:
    error = broken(hook, (GOOD[hook] * 2)[:count])
    assert f"{count} items for 2" in str(error)


@pytest.mark.parametrize("hook", BATCH)
@pytest.mark.parametrize(
    "item",
    [None, True, "x", Stored(key="a", size=1), ValueError(SECRET), Denied],
    ids=lambda value: type(value).__name__,
)
def test_each_item_of_a_batch_has_the_right_type(hook: str, item: object) -> None:
    error = broken(hook, [GOOD[hook][0], item])
    assert SECRET not in str(error)


@pytest.mark.parametrize("hook", BATCH)
def test_an_item_may_be_an_error_of_its_own(hook: str) -> None:
    denied = Denied("no.")
    answer = CALL[hook](calls_of(Plugin(**{**GOOD, hook: (GOOD[hook][0], denied)})))
    assert answer == [GOOD[hook][0], denied]


@pytest.mark.parametrize("hook", CALL)
@pytest.mark.parametrize(
    "error",
    [ValueError(SECRET), KeyError(SECRET), OSError(5, SECRET), RuntimeError()],
    ids=lambda value: type(value).__name__,
)
def test_a_foreign_exception_is_a_breach_and_its_text_stays_inside(hook: str, error: Exception) -> None:
    raised = broken(hook, error)
    assert SECRET not in str(raised)
    assert type(error).__name__ in str(raised)
    assert raised.__cause__ is error, "for the log of who looks for it"
    assert raised.retryable is False


@pytest.mark.parametrize("hook", CALL)
@pytest.mark.parametrize("error", [Denied("no."), Unavailable("down.")])
def test_an_error_of_ours_comes_out_as_it_is(hook: str, error: VVOSError) -> None:
    with pytest.raises(VVOSError) as caught:
        CALL[hook](calls_of(Plugin(**{**GOOD, hook: error})))
    assert caught.value is error


@pytest.mark.parametrize("hook", CALL)
def test_an_interrupt_is_nobodys_breach(hook: str) -> None:
    with pytest.raises(KeyboardInterrupt):
        CALL[hook](calls_of(Plugin(**{**GOOD, hook: KeyboardInterrupt()})))


@pytest.mark.parametrize(("number", "size"), [(1, 3), (3, 3), (2, 2), (2, 4), (2, -1)], ids=lambda value: str(value))
def test_a_receipt_for_another_chunk_is_a_breach(number: int, size: int) -> None:
    error = broken("put_chunk", Receipt(number=number, size=size, proof="p"))
    assert f"chunk {number} of {size} bytes" in str(error)
    assert "chunk 2 of 3" in str(error)


def test_a_provider_without_an_optional_hook_is_asked_for_nothing() -> None:
    calls_of(Plugin(**GOOD)).abort(grant())


def test_a_foreign_exception_in_abort_is_a_breach() -> None:
    class Aborting(Plugin):
        @hookimpl
        def abort(self, grant: Grant) -> None:
            raise ValueError(SECRET)

    calls = calls_of(Aborting(**GOOD))
    with pytest.raises(ContractBroken, match="abort") as caught:
        calls.store("oss-x").abort(grant())
    assert SECRET not in str(caught.value)


# ── notify: who answers, and who is told ──────────────────────────────────────────────────────────────────────────────


class Listener:
    def __init__(self, name: str, told: list[str], error: BaseException | None = None) -> None:
        self._name = name
        self._told = told
        self._error = error

    @hookimpl
    def notify(self, request: NotifyRequest) -> list[Notified]:
        self._told.append(f"{self._name}:{','.join(done.grant.key for done in request.objects)}")
        if self._error:
            raise self._error
        return []


def test_to_verify_asks_only_who_answers() -> None:
    told: list[str] = []
    plugin = Plugin(**GOOD)
    assert calls_of(plugin, Listener("x", told), Plugin(notify=[])).verify(NOTIFY) == GOOD["notify"]
    assert told == []
    assert plugin.asked == ["notify"]


def test_to_verify_needs_somebody_who_answers() -> None:
    told: list[str] = []
    with pytest.raises(ContractBroken, match="notify"):
        calls_of(object(), Listener("x", told)).verify(NOTIFY)
    assert told == []


def test_to_tell_leaves_out_who_answered() -> None:
    told: list[str] = []
    plugin = Plugin(**GOOD)
    calls_of(plugin, Listener("x", told)).tell(NOTIFY)
    assert told == ["x:a,b"]
    assert plugin.asked == []


def test_listeners_are_told_in_the_order_in_which_they_were_given() -> None:
    told: list[str] = []
    calls_of(Plugin(**GOOD), *(Listener(name, told) for name in "甲乙丙")).tell(NOTIFY)
    assert told == ["甲:a,b", "乙:a,b", "丙:a,b"]


@pytest.mark.parametrize("error", [RuntimeError("x"), Denied("no."), ContractBroken("y.")])
def test_a_listener_that_fails_keeps_nobody_from_being_told(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    told: list[str] = []
    listeners = [Listener("a", told), Listener("bad", told, error), Listener("z", told)]
    verdicts = calls_of(Plugin(**GOOD), *listeners).notify(NOTIFY)
    assert verdicts == GOOD["notify"]
    assert told == ["a:a,b", "bad:a,b", "z:a,b"]
    [record] = caplog.records
    assert record.levelno == logging.ERROR
    assert "failed in notify" in record.getMessage()
    assert record.exc_info, "with the traceback, for who mends it"


def test_an_interrupt_ends_the_telling() -> None:
    told: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        calls_of(Plugin(**GOOD), Listener("a", told, KeyboardInterrupt()), Listener("z", told)).tell(NOTIFY)
    assert told == ["a:a,b"]


def test_only_what_passed_is_told() -> None:
    told: list[str] = []
    plugin = Plugin(**{**GOOD, "notify": [Denied("no."), Notified(key="b", url="v")]})
    calls_of(plugin, Listener("x", told)).notify(NOTIFY)
    assert told == ["x:b"]


def test_nobody_is_told_of_nothing() -> None:
    told: list[str] = []
    plugin = Plugin(**{**GOOD, "notify": [Denied("no."), Denied("no.")]})
    calls_of(plugin, Listener("x", told)).notify(NOTIFY)
    assert told == []


# ── wrappers ──────────────────────────────────────────────────────────────────────────────────────────────────────────


class Wrapper:
    """Sees each grant on its way, and may change it."""

    def __init__(self) -> None:
        self.seen: list[object] = []

    @hookimpl(wrapper=True)
    def token(self, request: TokenRequest) -> Generator[None, Any, Any]:
        self.seen.append(len(request.files))
        try:
            answer = yield
        except VVOSError as error:
            self.seen.append(error.code)
            raise
        self.seen.append(answer)
        return answer


def test_a_wrapper_sees_the_request_and_the_answer() -> None:
    wrapper = Wrapper()
    assert calls_of(Plugin(**GOOD), wrapper).token(TOKEN) == GOOD["token"]
    assert wrapper.seen == [2, GOOD["token"]]


def test_a_wrapper_sees_the_error() -> None:
    wrapper = Wrapper()
    with pytest.raises(Denied):
        calls_of(Plugin(token=Denied("no.")), wrapper).token(TOKEN)
    assert wrapper.seen == [2, "DENIED"]


def test_what_a_wrapper_makes_of_an_answer_is_checked_too() -> None:
    class Breaking:
        @hookimpl(wrapper=True)
        def token(self, request: TokenRequest) -> Generator[None, Any, Any]:
            yield
            return None

    with pytest.raises(ContractBroken, match="token"):
        calls_of(Plugin(**GOOD), Breaking()).token(TOKEN)


def test_the_breach_can_be_traced_to_its_line() -> None:
    with pytest.raises(ContractBroken) as caught:
        calls_of(Plugin(token=ValueError(SECRET))).token(TOKEN)
    assert "in _answer" in "".join(traceback.format_exception(caught.value))


def test_a_store_is_opened_once_for_each_provider() -> None:
    opened: list[str] = []
    plugin = Plugin(**GOOD)
    manager = pluggy.PluginManager(PROJECT)

    def open_store(name: str) -> Store:
        opened.append(name)
        return Store(name, manager, plugin)

    calls = Calls("a", manager, plugin, open_store)
    assert calls.store("a") is calls.store("a")
    assert calls.store("b") is calls.store("b")
    assert opened == ["a", "b"]
