"""What became of every test of a session: collected, passed, skipped; kept for the threat table's own test."""

from __future__ import annotations

from collections import defaultdict

import pytest

LAST = "test_every_row_of_the_table_ran"
"""The test that looks back, and so goes last."""


class Outcomes:
    """A plugin that hears of every test, whatever folder it is in."""

    def __init__(self) -> None:
        self.of: dict[str, set[str]] = defaultdict(set)
        """By the test's id without its parameters: ``passed``, ``failed``, ``skipped``, ``deselected``."""
        self.collected: set[str] = set()

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items.sort(key=lambda item: item.name == LAST)
        self.collected = {plain(item.nodeid) for item in items}

    def pytest_deselected(self, items: list[pytest.Item]) -> None:
        for item in items:
            self.of[plain(item.nodeid)].add("deselected")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or report.outcome != "passed":
            self.of[plain(report.nodeid)].add(report.outcome)


def plain(test: str) -> str:
    """A test's id without its parameters."""
    return test.partition("[")[0]


OUTCOMES = pytest.StashKey[Outcomes]()
