"""The bench's arithmetic, and what it believes of a run."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from .drain.request import Counts
from .figures import Spread, percentile, ratios, spread
from .judge import judge
from .runs import Entry, Measured, complain
from .works import Asked, Point, Results

GIB = 1 << 30
RUN = Measured(seconds=1, cpu=1, memory=1, drain_cpu=0, broker_cpu=0, requests=1, looked=1, proven=1)


def entry(label: str, *seconds: float, cli: bool = False) -> Entry:
    return Entry(label=label, cli=cli, settings={}, runs=[replace(RUN, seconds=s, cpu=s / 2) for s in seconds])


def test_the_median_is_not_the_mean() -> None:
    assert spread([1, 100, 2]) == Spread(2, 1, 100)
    assert spread([1, 2, 3, 10]) == Spread(2.5, 1, 10)


def test_ratios_are_made_run_by_run() -> None:
    assert ratios([2, 4, 30], [1, 4, 10]) == Spread(2, 1, 3)


def test_runs_that_have_no_pair_are_refused() -> None:
    with pytest.raises(ValueError, match="paired"):
        ratios([1, 2], [1])
    with pytest.raises(ValueError, match="no runs"):
        ratios([], [])


def test_a_percentile_is_one_of_the_values() -> None:
    values = [float(n) for n in range(1, 101)]
    assert (percentile(values, 50), percentile(values, 99), percentile(values, 100)) == (50, 99, 100)
    assert percentile([7.0], 99) == 7


@pytest.mark.parametrize(("seconds", "met"), [(1.0, True), (1.3, False)])
def test_the_fastest_peer_counts(seconds: float, met: bool) -> None:
    """1.2 times as fast as opendal, which is faster than obstore; and commands are held against commands."""
    entries = [
        entry("VVOS", seconds),
        entry("vvos put", 9, cli=True),
        entry("opendal, checksum none", 1.25),
        entry("obstore, checksum none", 10),
        entry("s5cmd", 90, cli=True),
    ]
    verdicts = judge(Results(uploads={"s3": entries}, bytes_={"s3": GIB}))
    fastest = verdicts[0]
    assert fastest.against == "opendal, checksum none"
    assert fastest.figure is not None
    assert fastest.figure.median == pytest.approx(1.25 / seconds)
    assert fastest.met is met
    assert next(v for v in verdicts if v.target == "≥ 2.5 ×").figure == Spread(10, 10, 10)


def test_processor_time_is_held_against_the_thriftiest_peer() -> None:
    entries = [entry("VVOS", 1), entry("obstore, checksum none", 2), entry("opendal, checksum none", 0.8)]
    ours, against = judge(Results(uploads={"s3": entries}, bytes_={"s3": 2 * GIB}))[-2:]
    assert (ours.figure, ours.met) == (Spread(0.25, 0.25, 0.25), True)
    assert (against.against, against.met) == ("opendal, checksum none", False)


def test_a_peer_that_failed_does_not_count_and_a_target_without_a_peer_is_not_met() -> None:
    broken = entry("boto3, checksum none", 1)
    broken.error = "it broke"
    verdicts = judge(Results(uploads={"s3": [entry("VVOS", 1), broken]}, bytes_={"s3": GIB}))
    assert [v.met for v in verdicts if "as fast" in v.work] == [None, None, None]


def test_targets_that_are_missed_are_told() -> None:
    results = Results(
        sizes=[
            Point(units=n * GIB, runs=[replace(RUN, seconds=s, memory=90 << 20)]) for n, s in ((1, 1.0), (10, 12.0))
        ],
        files=[Point(units=n, runs=[replace(RUN, seconds=n / 1000, memory=201 << 20)]) for n in (1000, 100_000)],
        asked={"s3": [Asked(rate=1001, median=1, p99=4)], "qiniu": [Asked(rate=1999, median=1, p99=6)]},
        startup={"vvos --version": [0.05, 0.06], "python -c pass": [0.01, 0.01]},
        failed={"resume": "the drain got 1 of 0 objects"},
    )
    met = [verdict.met for verdict in judge(results)]
    #              memory, per GiB, memory, per file, s3 rate, p99, qiniu rate, p99, start, resume
    assert met == [True, False, False, True, True, True, False, False, False, False]


def test_a_run_is_believed_only_with_the_right_counts() -> None:
    good = Counts(requests=9, received=10, stored=2, looked=2)
    assert complain(good, 2, 10, ours=True) == ""
    assert "1 of 2 objects" in complain(replace(good, stored=1), 2, 10, ours=False)
    assert "9 of 10 bytes" in complain(replace(good, received=9), 2, 10, ours=False)
    assert "wrong" in complain(replace(good, wrong=1), 2, 10, ours=False)
    assert "short" in complain(replace(good, short=1), 2, 10, ours=False)
    assert "looked at 1 of 2" in complain(replace(good, looked=1), 2, 10, ours=True)
    assert complain(replace(good, looked=1), 2, 10, ours=False) == ""
    assert complain(Counts(looked=2), 0, 0, ours=True) == ""
