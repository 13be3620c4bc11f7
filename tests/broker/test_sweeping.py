"""The sweep: what expired unfinished is aborted, what was begun for nobody too, and nothing that anybody may want."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import insert, inspect, select, text

from vvos_core.broker import schema
from vvos_core.broker.ledger import Ledger
from vvos_core.broker.leftovers import BEGIN_SECONDS, CLAIM_SECONDS, Leftovers
from vvos_core.broker.seal import RENEWABLE
from vvos_core.broker.sweeping import CLOCKS_SECONDS, Swept
from vvos_core.errors import Denied, ServiceFailed, Unavailable
from vvos_core.model import MIB, Unfinished

from .fake import NOW, Answer, Bench, FakeCalls

MakeBench = Callable[..., Bench]
BIG = 3 * MIB
NOTHING = Swept(aborted=0, left=0, pruned=0)


@pytest.fixture
def bench(make_bench: MakeBench, any_database: str) -> Bench:
    return make_bench(database=any_database)


def sweep(bench: Bench, after: float = 0.0) -> Swept:
    """A sweep so many seconds later."""
    bench.clock.now += after
    return bench.broker.sweeping.sweep()


def left(bench: Bench, table: Any = schema.UPLOADS) -> list[str]:
    assert bench.ledger is not None
    with bench.ledger.connect(writes=False) as connection:
        return sorted(connection.scalars(select(table.c.key)))


def renew(bench: Bench, answer: Answer, *keys: str) -> Answer:
    return bench.gettoken(*keys, accessToken=answer["accessToken"], files={})


# ── what expired ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_expired_long_ago_is_aborted_and_nothing_else(bench: Bench) -> None:
    bench.gettoken("旧.bin", "small", files={"旧.bin": {"size": BIG}, "small": {"size": 5}})
    bench.clock.now += 1
    bench.gettoken("new.bin", size=BIG, request="later")
    assert sweep(bench, 3600 + RENEWABLE - 1) == NOTHING
    assert sweep(bench, 0.5) == Swept(aborted=1, left=0, pruned=1)
    assert (bench.fake.aborted, left(bench)) == (["upload-1"], ["new.bin"])
    assert sweep(bench) == NOTHING


def test_how_long_ago_is_a_setting(make_bench: MakeBench) -> None:
    bench = make_bench(sweep_after=60)
    token = bench.gettoken("a", size=BIG)
    sweep(bench, 3660)
    assert bench.fake.aborted == []
    sweep(bench, 1)
    assert bench.fake.aborted == ["upload-1"]
    answer = renew(bench, token, "a")
    assert (answer.status, answer.code) == (404, "NOT_FOUND")
    assert answer["message"] == "'a': its unfinished upload had expired and was given up; begin a new upload."


def test_what_was_renewed_is_kept_by_its_new_expiry(bench: Bench) -> None:
    token = bench.gettoken("a", "b", size=BIG)
    bench.clock.now += 3600 + RENEWABLE - 1
    assert renew(bench, token, "a").status == 200
    assert sweep(bench, 2).aborted == 1
    assert left(bench) == ["a"]
    assert bench.fake.aborted == ["upload-2"]


def test_a_renewal_that_comes_while_it_is_aborted_is_refused(make_bench: MakeBench) -> None:
    bench = make_bench(sweep_after=60)
    token = bench.gettoken("a", "b", size=BIG)
    answers: list[Answer] = []

    def abort(grant: Any) -> None:
        if not answers:
            answers.append(renew(bench, token, "a", "b"))

    bench.fake.abort = abort  # type: ignore[method-assign]  # for this test
    assert sweep(bench, 3661).aborted == 2
    assert answers[0].codes == {"a": "NOT_FOUND", "b": "NOT_FOUND"}


def test_of_a_batch_only_the_swept_ones_are_refused(make_bench: MakeBench) -> None:
    bench = make_bench(sweep_after=60)
    token = bench.gettoken("a", "small", files={"a": {"size": BIG}, "small": {"size": 5}})
    sweep(bench, 3661)
    answer = renew(bench, token, "a", "small")
    assert (answer.status, answer["keys"], answer.codes) == (200, {"small": "small"}, {"a": "NOT_FOUND"})


def test_what_cannot_be_aborted_stays_and_is_tried_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    bench.gettoken("a", size=BIG)
    honest = bench.fake.abort

    def fails(grant: Any) -> None:
        raise RuntimeError("plugin bug")

    monkeypatch.setattr(bench.fake, "abort", fails)
    assert sweep(bench, 3600 + RENEWABLE + 1).left == 1
    assert "plugin bug" in caplog.text
    assert left(bench) == ["a"]
    monkeypatch.setattr(bench.fake, "abort", honest)
    assert sweep(bench).aborted == 1
    assert left(bench) == []


def test_a_profile_that_is_down_is_asked_once_and_the_others_are_swept(
    make_bench: MakeBench, caplog: pytest.LogCaptureFixture
) -> None:
    down, up = FakeCalls(), FakeCalls()
    bench = make_bench(profiles={"down": down, "up": up}, profile="down")
    bench.gettoken("a", "b", size=BIG)
    bench.clock.now += 1
    make_bench(profiles={"up": up, "down": down}, profile="up", clock=bench.clock).gettoken(
        "c", size=BIG, request="other"
    )
    asked = []

    def fails(grant: Any) -> None:
        asked.append(grant.key)
        raise Unavailable("the service did not answer.")

    down.abort = fails  # type: ignore[method-assign]  # for this test
    swept = sweep(bench, 3600 + RENEWABLE + 1)
    assert (swept.aborted, swept.left, len(asked)) == (1, 2, 1)
    assert up.aborted == ["upload-1"]
    assert "the service did not answer" in caplog.text


def test_a_profile_that_is_gone_keeps_its_rows(make_bench: MakeBench) -> None:
    bench = make_bench(profiles={"old": FakeCalls()})
    bench.gettoken("a", size=BIG)
    later = make_bench(profiles={"new": FakeCalls()}, clock=bench.clock)
    assert sweep(later, 3600 + RENEWABLE + 1).left == 1
    assert sweep(bench).aborted == 1


def test_what_a_dead_sweeper_had_taken_is_taken_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.gettoken("a", size=BIG)

    def dies(grant: Any) -> None:
        raise SystemExit

    honest = bench.fake.abort
    monkeypatch.setattr(bench.fake, "abort", dies)
    with pytest.raises(SystemExit):
        sweep(bench, 3600 + RENEWABLE + 1)
    monkeypatch.setattr(bench.fake, "abort", honest)
    assert sweep(bench, CLAIM_SECONDS - 1).aborted == 0
    assert sweep(bench, 1).aborted == 1
    assert left(bench) == []


def test_two_sweepers_abort_each_once(make_bench: MakeBench, any_database: str) -> None:
    bench = make_bench(database=any_database)
    other = make_bench(database=any_database, clock=bench.clock, profiles=bench.profiles)
    keys = [f"第{n}" for n in range(250)]  # more than one batch
    bench.gettoken(*keys, size=BIG)
    bench.clock.now += 3600 + RENEWABLE + 1
    start = threading.Barrier(2)
    swept: list[Swept] = []

    def run(mine: Bench) -> None:
        start.wait()
        swept.append(mine.broker.sweeping.sweep())

    threads = [threading.Thread(target=run, args=(each,)) for each in (bench, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(each.aborted for each in swept) == 250
    assert sorted(bench.fake.aborted) == sorted(set(bench.fake.aborted))
    assert len(bench.fake.aborted) == 250
    assert left(bench) == []


def test_what_is_finished_is_swept_at_once_for_its_object_may_have_come_another_way(bench: Bench) -> None:
    token = bench.gettoken("a", size=BIG)
    bench.fake.objects["a"] = (BIG, "")
    done = {"accessToken": token["accessToken"], "keys": ["a"]}
    first = bench.call("notifier", **done)
    assert sweep(bench).aborted == 1
    assert left(bench) == []
    assert bench.call("notifier", **done).body == first.body


# ── what was begun for nobody ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def leftovers(bench: Bench) -> Leftovers:
    assert bench.ledger is not None
    return Leftovers(bench.ledger)


def test_what_a_killed_gettoken_began_is_found_and_aborted(bench: Bench, leftovers: Leftovers) -> None:
    bench.gettoken("片.mp4", size=BIG)  # somebody's, and wanted
    leftovers.begin("killed", [("main", "片.mp4")], NOW)
    bench.fake.begun["片.mp4"] = [
        Unfinished(upload_id="upload-1", begun_at=NOW),
        Unfinished(upload_id="orphan", begun_at=NOW + 1),
        Unfinished(upload_id="earlier", begun_at=NOW - CLOCKS_SECONDS - 1),
        Unfinished(upload_id="later", begun_at=NOW + BEGIN_SECONDS + CLOCKS_SECONDS + 1),
    ]
    assert sweep(bench, BEGIN_SECONDS) == NOTHING
    assert sweep(bench, 1) == Swept(aborted=1, left=0, pruned=0)
    assert (bench.fake.aborted, left(bench), left(bench, schema.BEGUN)) == (["orphan"], ["片.mp4"], [])


def test_while_another_is_beginning_the_same_key_it_waits(bench: Bench, leftovers: Leftovers) -> None:
    leftovers.begin("killed", [("main", "a")], NOW)
    leftovers.begin("living", [("main", "a")], NOW + BEGIN_SECONDS)
    bench.fake.begun["a"] = [Unfinished(upload_id="whose", begun_at=NOW)]
    assert sweep(bench, BEGIN_SECONDS + 1).left == 1
    assert bench.fake.aborted == []
    assert sweep(bench, BEGIN_SECONDS).aborted >= 1
    assert left(bench, schema.BEGUN) == []


@pytest.mark.parametrize("swept", [True, False], ids=["swept", "being swept"])
def test_a_gettoken_that_was_given_up_cannot_be_answered(bench: Bench, leftovers: Leftovers, swept: bool) -> None:
    def before(name: str) -> None:
        if name == "token":
            bench.clock.now += BEGIN_SECONDS + 1
            if swept:
                assert sweep(bench).aborted == 0
            else:
                assert len(leftovers.half_begun(bench.clock.now, None)) == 1

    bench.fake.before = before
    answer = bench.gettoken("a", size=BIG)
    assert (answer.status, answer.code) == (503, "UNAVAILABLE")
    assert bench.fake.aborted == ["upload-1"]
    assert left(bench) == []
    bench.fake.before = lambda name: None
    assert bench.gettoken("a", size=BIG).status == 200


def test_nothing_is_noted_for_what_is_put_in_one_piece_or_answered(bench: Bench) -> None:
    bench.gettoken("a", "b", files={"a": {"size": 5}, "b": {"size": BIG}})
    assert left(bench, schema.BEGUN) == []


@pytest.mark.parametrize(("error", "stays"), [(Denied("no."), False), (ServiceFailed("its answer was lost."), True)])
def test_an_answer_that_was_lost_may_have_begun_something(bench: Bench, error: Any, stays: bool) -> None:
    bench.fake.refuses["a"] = error
    bench.gettoken("a", "b", size=BIG)
    assert left(bench, schema.BEGUN) == (["a"] if stays else [])
    bench.gettoken("a", size=BIG, request="alone")
    bench.fake.down = True
    bench.gettoken("c", size=BIG, request="down")
    bench.fake.down = False
    assert left(bench, schema.BEGUN) == (["a", "a", "c"] if stays else ["c"])
    sweep(bench, BEGIN_SECONDS + 1)
    assert left(bench, schema.BEGUN) == []


def test_what_could_not_be_aborted_after_a_failure_is_left_to_the_sweep(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = bench.fake.abort

    def fails(grant: Any) -> None:
        raise Unavailable("down.")

    monkeypatch.setattr(bench.fake, "abort", fails)
    assert bench.ledger is not None
    with monkeypatch.context() as patched:
        patched.setattr(bench.ledger, "grant", lambda *args, **more: fails(None))
        assert bench.gettoken("a", size=BIG).status == 503
    assert left(bench, schema.BEGUN) == ["a"]
    bench.fake.begun["a"] = [Unfinished(upload_id="upload-1", begun_at=NOW)]
    assert sweep(bench, BEGIN_SECONDS + 1).left == 1
    monkeypatch.setattr(bench.fake, "abort", honest)
    assert sweep(bench).aborted == 1
    assert bench.fake.aborted == ["upload-1"]


# ── the database ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_tokens_that_cannot_be_renewed_are_emptied_and_their_requests_stay_used(bench: Bench) -> None:
    for n in range(120):  # more than one batch
        bench.gettoken("a", request=f"r{n}")
    assert sweep(bench, 3600 + RENEWABLE).pruned == 0
    assert sweep(bench, 1).pruned == 120
    assert sweep(bench).pruned == 0
    again = bench.gettoken("a", request="r7")
    assert (again.status, again.code) == (401, "TOKEN_EXPIRED")
    assert bench.gettoken("b", request="r7").code == "REQUEST_REUSED"


def test_a_database_of_version_1_is_brought_to_version_2(any_database: str) -> None:
    made = Ledger(any_database)
    row = {"upload": b"x", "profile": "main", "key": "旧", "upload_id": "u", "expires_at": 1.0}
    with made.connect(writes=True) as connection:
        connection.execute(insert(schema.UPLOADS), [row])
        for statement in (
            "DROP TABLE vvos_begun",
            "DROP INDEX vvos_grants_full",
            "ALTER TABLE vvos_uploads DROP COLUMN claimed_at",
            "UPDATE vvos_meta SET value = '1' WHERE name = 'schema'",
        ):
            connection.execute(text(statement))
    made.close()
    for _ in range(2):
        again = Ledger(any_database)
        leftovers = Leftovers(again)
        leftovers.begin("c", [("main", "k")], NOW)
        leftovers.forget(list(leftovers.begin("d", [("main", "k")], NOW).values()))
        again.close()
        again = Ledger(any_database)
        with again.connect(writes=True) as connection:
            assert connection.scalar(text("SELECT value FROM vvos_meta WHERE name = 'schema'")) == "2"
            assert {index["name"] for index in inspect(connection).get_indexes("vvos_grants")} == {"vvos_grants_full"}
            connection.execute(text("DELETE FROM vvos_begun"))
        again.close()
    again = Ledger(any_database)
    assert [upload.key for upload in Leftovers(again).take(NOW, NOW, None)] == ["旧"]
    again.close()


# ── the timer ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def sweeps(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> threading.Semaphore:
    """Released by each sweep, of which every other fails."""
    done = threading.Semaphore(0)
    count = 0

    def swept() -> Swept:
        nonlocal count
        count += 1
        done.release()
        if count % 2:
            raise Unavailable("the database is down.")
        return NOTHING

    monkeypatch.setattr(bench.broker.sweeping, "sweep", swept)
    return done


def test_it_sweeps_from_time_to_time_whatever_fails(bench: Bench, sweeps: threading.Semaphore) -> None:
    before = threading.active_count()
    with bench.broker.sweeping.every(0.001):
        for _ in range(4):
            assert sweeps.acquire(timeout=10)
    assert threading.active_count() == before


def test_never_is_never(bench: Bench) -> None:
    before = threading.active_count()
    with bench.broker.sweeping.every(0):
        assert threading.active_count() == before
