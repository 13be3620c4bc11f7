"""Lets the sockets that the SDK forgets be forgotten where it forgot them, not in a later test."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _sockets_of_the_sdk() -> Iterator[None]:
    """oss2 leaves the connections of refused requests to the garbage collector, which warns of each."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.freeze()  # only what the test makes is looked through: with all that was imported it takes a quarter second
        yield
        gc.collect()
        gc.unfreeze()
