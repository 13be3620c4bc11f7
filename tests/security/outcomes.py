"""What became of the tests that must run: a session of all tests fails when one of them did not pass."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable

import pytest


class Outcomes:
    """A plugin that hears of every test, whatever folder it is in, and whichever of xdist's processes runs it.

    ``needed`` answers the ids, without parameters, of those that must run.
    """

    def __init__(self, needed: Callable[[], Iterable[str]]) -> None:
        self._needed = needed
        self._of: dict[str, set[str]] = defaultdict(set)
        self._missed: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or report.outcome != "passed":
            self._of[report.nodeid.partition("[")[0]].add(report.outcome)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        if not _is_whole(session):
            return
        for test in self._needed():
            if self._of[test] != {"passed"}:
                self._missed.append(f"{test}: {', '.join(sorted(self._of[test])) or 'it did not run'}")
        if self._missed and exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._missed:
            terminalreporter.section("tests that must run and pass", red=True)
            for line in self._missed:
                terminalreporter.line(line)


def _is_whole(session: pytest.Session) -> bool:
    """Whether all tests were to be run, and were: no few that were named, no stop at the first that failed."""
    config = session.config
    option = config.option
    everything = config.args == config.getini("testpaths")
    chosen = option.keyword or option.collectonly or option.deselect or getattr(option, "lf", False)
    return everything and not chosen and not session.shouldstop and not session.shouldfail
