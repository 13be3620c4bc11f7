"""Databases of their own for the broker's tests: SQLite in a file, and PostgreSQL where one listens."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .fake import Bench, database

POSTGRES = os.environ.get("VVOS_TEST_POSTGRES", "postgresql://root@127.0.0.1:5432/test")


@pytest.fixture
def make_bench(tmp_path: Path) -> Iterator[Callable[..., Bench]]:
    """Makes brokers that share one SQLite file."""
    made: list[Bench] = []

    def make(**settings: Any) -> Bench:
        settings.setdefault("database", database(tmp_path))
        made.append(Bench(**settings))
        return made[-1]

    yield make
    for bench in made:
        bench.broker.close()


@pytest.fixture
def bench(make_bench: Callable[..., Bench]) -> Bench:
    return make_bench()


@pytest.fixture
def postgresql() -> Iterator[str]:
    """The URL of an empty PostgreSQL database."""
    psycopg = pytest.importorskip("psycopg", reason="psycopg is not installed")
    try:
        server = psycopg.connect(POSTGRES, autocommit=True, connect_timeout=3)
    except psycopg.OperationalError as error:
        pytest.skip(f"no PostgreSQL at VVOS_TEST_POSTGRES: {str(error).splitlines()[0]}")
    name = f"vvos_test_{uuid.uuid4().hex[:12]}"
    with server:
        server.execute(f"CREATE DATABASE {name}")
    try:
        yield f"{POSTGRES.rpartition('/')[0]}/{name}"
    finally:
        with psycopg.connect(POSTGRES, autocommit=True) as server:
            server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=["sqlite", "postgresql"])
def any_database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database, of either kind."""
    return database(tmp_path) if request.param == "sqlite" else str(request.getfixturevalue("postgresql"))
