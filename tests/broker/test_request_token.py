"""The requestToken: made, read again, and refused with a sentence when it is anything else."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, strategies as st

from vvos_core import request_token
from vvos_core.errors import BadInput

from .fake import made


def test_has_the_published_form() -> None:
    token = request_token.make("b-1")
    header, payload, signature = token.split(".")
    assert header == "e30"
    assert payload == "eyJyZXF1ZXN0SWQiOiJiLTEifQ"  # base64url of {"requestId":"b-1"}
    assert signature
    assert "=" not in token


def test_one_id_gives_one_token_and_none_gives_a_fresh_one() -> None:
    assert request_token.make("a") == request_token.make("a") != request_token.make("b")
    assert request_token.request_id(request_token.make()) != request_token.request_id(request_token.make())


@given(st.text(st.characters(categories=["L", "N", "P"]), min_size=1, max_size=200))
def test_reads_what_it_made(request_id: str) -> None:
    token = request_token.make(request_id)
    if len(token) <= request_token.MAX_CHARS:
        assert request_token.request_id(token) == request_id


def test_takes_padding_and_other_fields_of_other_clients() -> None:
    assert request_token.request_id("e30.eyJyZXF1ZXN0SWQiOiJiLTEifQ==.sig=") == "b-1"
    assert request_token.request_id(made({"requestId": "x", "more": [1]})) == "x"
    assert request_token.request_id("e30.eyJyZXF1ZXN0SWQiOiJiLTEifQ.") == "b-1"


@pytest.mark.parametrize(
    "token",
    [
        "",
        "e30",
        "e30.eyJyZXF1ZXN0SWQiOiJiLTEifQ",
        "e31.eyJyZXF1ZXN0SWQiOiJiLTEifQ.sig",
        " e30.eyJyZXF1ZXN0SWQiOiJiLTEifQ.sig",
        "e30.eyJyZXF1ZXN0SWQiOiJiLTEifQ.sig\n",
        "e30.!!!!.sig",
        "e30.A.sig",
        "e30._w.sig",
        "e30.eyJyZXF1ZXN0SWQiOiJiLTEifQ.sig.more",
        made([]),
        made("b-1"),
        made(None),
        made({}),
        made({"requestId": 5}),
        made({"requestId": None}),
        made({"requestId": ""}),
        made({"requestId": "x" * 201}),
        made({"requestId": "a\u0000b"}),
        made({"requestId": "a\nb"}),
        made({"requestId": "\ud800"}),
        made({"requestId": "x"}, header={"alg": "none"}),
        "e30." + "W1tb" * 400 + ".sig",
        made({"requestId": "x", "more": "y" * 2000}),
        "e30." + "A" * 3000 + ".sig",
    ],
)
def test_refuses_anything_else(token: str) -> None:
    with pytest.raises(BadInput, match=r"^requestToken: "):
        request_token.request_id(token)


@given(st.text())
def test_never_fails_otherwise(token: str) -> None:
    for candidate in (token, f"e30.{token}.x"):
        with contextlib.suppress(BadInput):
            assert request_token.request_id(candidate)
