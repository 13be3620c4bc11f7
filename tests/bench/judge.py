"""What the figures are held against: every target, what was reached, and whether that does."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from msgspec import Struct

from .content import GIB, MIB
from .figures import Spread, ratios, spread
from .runs import Entry
from .works import Point, Results


class Verdict(Struct, frozen=True, kw_only=True):
    """One target. ``figure`` is None where what it needs was not measured."""

    work: str
    target: str
    against: str
    figure: Spread | None
    met: bool | None


def judge(results: Results) -> list[Verdict]:
    """All targets whose work was run."""
    found = [*_speed(results), *_cost(results), *_growth(results), *_gettoken(results)]
    if results.startup:
        ours, theirs = results.startup["vvos --version"], results.startup["python -c pass"]
        found.append(_at_most("vvos --version", "python -c pass", ratios(ours, theirs), 5, "×"))
    if results.resume:
        found.append(_at_most("a finished upload once more", "", spread(results.resume), 1, " s"))
    elif "resume" in results.failed:
        text = results.failed["resume"]
        found.append(Verdict(work="a finished upload once more", target="≤ 1 s", against=text, figure=None, met=False))
    return found


_SPEED: list[tuple[str, float, tuple[str, ...]]] = [
    ("s3", 1.2, ("opendal", "obstore", "awscrt", "minio", "s5cmd", "boto3")),
    ("s3", 6, ("boto3",)),
    ("s3", 2.5, ("s5cmd",)),
    ("s3-tls", 1.1, ("obstore", "opendal", "boto3")),
    ("s3-tls", 0.9, ("curl -T",)),
    ("aliyun", 6, ("oss2, checksum default",)),
    ("qiniu", 3, ("qiniu, checksum hash",)),
    ("s3-small", 1, ("s5cmd",)),
    ("s3-small", 10, ("boto3",)),
    ("aliyun-small", 6, ("oss2, checksum default",)),
    ("qiniu-small", 6, ("qiniu, checksum hash",)),
]
"""Work, how many times as fast as each of these peers; of a peer's ways to run, the fastest counts."""


def _speed(results: Results) -> Iterator[Verdict]:
    for work, least, peers in _SPEED:
        entries = results.uploads.get(work)
        if entries is None:
            continue
        found = [
            (ratios(peer.seconds(), ours.seconds()), peer.label)
            for peer in entries
            if peer.label.startswith(peers) and not peer.error and (ours := _ours(entries, peer.cli)) is not None
        ]
        figure, label = min(found, key=lambda pair: pair[0].median, default=(None, ", ".join(peers)))
        met = None if figure is None else figure.median >= least
        yield Verdict(work=f"{work}: times as fast", target=f"≥ {least:g} ×", against=label, figure=figure, met=met)


def _cost(results: Results) -> Iterator[Verdict]:
    entries = results.uploads.get("s3")
    ours = None if entries is None else _ours(entries, False)
    if entries is None or ours is None:
        return
    gib = results.bytes_["s3"] / GIB
    cost = spread([run.cpu / gib for run in ours.runs])
    yield _at_most("s3: CPU seconds per GiB", "", cost, 0.6, "")
    peers = [e for e in entries if not e.label.startswith("vvos") and e is not ours and not e.error]
    pairs = []
    for peer in peers:
        same = _ours(entries, peer.cli)
        if same is not None:
            pairs.append((ratios([r.cpu for r in same.runs], [r.cpu for r in peer.runs]), peer.label))
    if pairs:
        figure, label = max(pairs, key=lambda pair: pair[0].median)
        met = figure.median < 1
        yield Verdict(work="s3: CPU seconds of a peer's", target="< 1 ×", against=label, figure=figure, met=met)


def _growth(results: Results) -> Iterator[Verdict]:
    if results.sizes:
        last = results.sizes[-1]
        memory = spread([run.memory / MIB for run in last.runs])
        yield _at_most(f"peak memory, one file of {last.units / GIB:g} GiB", "", memory, 96, " MiB")
        yield from _flat(results.sizes, GIB, 10 * GIB, 1.1, "seconds per GiB at 10 GiB", "at 1 GiB")
    if results.files:
        most = results.files[-1]
        memory = spread([run.memory / MIB for run in most.runs])
        yield _at_most(f"peak memory, {most.units:,} files", "", memory, 200, " MiB")
        yield from _flat(results.files, 1000, 100_000, 1.2, "seconds per file at 100,000", "at 1,000")


def _flat(points: list[Point], few: int, many: int, most: float, work: str, against: str) -> Iterator[Verdict]:
    each = {p.units: median(run.seconds for run in p.runs) / p.units for p in points}
    if few in each and many in each:
        ratio = each[many] / each[few]
        yield _at_most(work, against, Spread(ratio, ratio, ratio), most, "×")


def _gettoken(results: Results) -> Iterator[Verdict]:
    bare = results.asked.get("bare", [])
    scale = f"bare Starlette {median(a.rate for a in bare):,.0f}/s" if bare else ""
    for provider, least in (("s3", 1000), ("aliyun", 1000), ("qiniu", 2000)):
        asked = results.asked.get(provider)
        if not asked:
            continue
        rate = spread([a.rate for a in asked])
        work = f"{provider}: gettoken of 100 keys"
        yield Verdict(work=work, target=f"≥ {least}/s", against=scale, figure=rate, met=rate.median >= least)
        yield _at_most(f"{work}, p99", "its median", spread([a.p99 / a.median for a in asked]), 5, "×")


def _at_most(work: str, against: str, figure: Spread, most: float, unit: str) -> Verdict:
    target = f"≤ {most:g} {unit.strip()}".strip()
    return Verdict(work=work, target=target, against=against, figure=figure, met=figure.median <= most)


def _ours(entries: list[Entry], cli: bool) -> Entry | None:
    """VVOS as a command against commands, as a library against libraries."""
    label = "vvos put" if cli else "VVOS"
    return next((entry for entry in entries if entry.label == label and not entry.error), None)
