"""The OpenAPI description is valid, and every answer that the broker really gives is as it says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # it ships no types
from openapi_spec_validator import OpenAPIV31SpecValidator

from vvos_core import request_token
from vvos_core.broker import openapi
from vvos_core.errors import BY_CODE, Exists, NotFound
from vvos_core.model import MIB

from .fake import Answer, Bench

DESCRIPTION: dict[str, Any] = json.loads(openapi.document())


def test_is_valid_openapi() -> None:
    OpenAPIV31SpecValidator(DESCRIPTION).validate()


def test_names_the_mount() -> None:
    assert json.loads(openapi.document("/up"))["servers"] == [{"url": "/up"}]


def schema(call: str, status: int) -> dict[str, Any]:
    responses = DESCRIPTION["paths"][f"/{call}"]["post"]["responses"]
    assert str(status) in responses, f"{call} answers {status}, and the description does not know it"
    found: dict[str, Any] = responses[str(status)]["content"]["application/json"]["schema"]
    shut: dict[str, Any] = closed({**found, "components": DESCRIPTION["components"]})
    return shut


def closed(described: Any) -> Any:
    """The schema with no fields allowed but those it names, so that an undescribed one shows."""
    if isinstance(described, list):
        return [closed(item) for item in described]
    if not isinstance(described, dict):
        return described
    shut = {name: closed(value) for name, value in described.items()}
    if described.get("type") == "object" and isinstance(described.get("properties"), dict):
        shut["additionalProperties"] = False
    return shut


def check(call: str, answer: Answer) -> Answer:
    Draft202012Validator(schema(call, answer.status)).validate(answer.body)
    return answer


def test_live_answers_are_as_described(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(max_size=5 * MIB)
    info = {"size": 3 * MIB, "type": "video/mp4", "metadata": {"title": "春节"}, "checksum": "md5:AAAA"}
    granted = check("gettoken", bench.gettoken("a", "b", files={"a": info, "b": {"size": 6 * MIB}}, cover=True))
    assert granted.codes == {"b": "TOO_LARGE"}
    token = granted["accessToken"]
    check("gettoken", bench.gettoken("c", "d", request="2"))
    check("gettoken", bench.gettoken("a", accessToken=token, files={}))
    check("exists", bench.call("exists", accessToken=token, keys=["a"], parts=True))
    bench.fake.refuses["a"] = NotFound("gone.")
    check("exists", bench.call("exists", accessToken=token, keys=["a"]))
    bench.fake.refuses.clear()
    check("notifier", bench.call("notifier", accessToken=token, keys=["a"]))
    bench.fake.objects["a"] = (3 * MIB, "md5:AAAA")
    check("exists", bench.call("exists", accessToken=token, keys=["a"]))
    assert check("notifier", bench.call("notifier", accessToken=token, keys=["a"])).code == "SUCCESS"


def test_live_refusals_are_as_described(make_bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch) -> None:
    bench = make_bench()
    token = bench.gettoken("a", size=5)["accessToken"]
    seen = {check(call, bench.call(call)).status for call in ("gettoken", "exists", "notifier")}
    for call in ("exists", "notifier"):
        seen.add(check(call, bench.call(call, accessToken="x", keys=["a"])).status)
        seen.add(check(call, bench.call(call, accessToken=token, keys=["b"])).status)
        seen.add(check(call, bench.call(call, accessToken=token, keys=[str(n) for n in range(1001)])).status)
    seen.add(check("gettoken", bench.gettoken("a", size=6)).status)
    bench.fake.refuses["a"] = Exists("a is there.")
    seen.add(check("gettoken", bench.gettoken("a", request="2")).status)
    bench.fake.down = True
    seen.add(check("gettoken", bench.gettoken("c", request="3")).status)
    monkeypatch.setattr(bench.fake, "token", None)
    seen.add(check("gettoken", bench.gettoken("c", request="4")).status)
    assert seen == {400, 401, 403, 409, 413, 500, 503}


def test_every_status_that_an_error_can_have_is_described() -> None:
    described = {int(status) for status in DESCRIPTION["paths"]["/gettoken"]["post"]["responses"]}
    possible = {cls.http_status for cls in BY_CODE.values()} - {499}  # Cancelled is a client's
    assert possible <= described


def test_requests_are_as_described() -> None:
    body = DESCRIPTION["paths"]["/gettoken"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    validator = Draft202012Validator({**body, "components": DESCRIPTION["components"]})
    good = {"requestToken": request_token.make(), "keys": ["a"], "files": {"a": {"size": 1}}, "album": {"id": 7}}
    validator.validate(good)
    mistakes: list[dict[str, Any]] = [
        {"keys": [1]},
        {"keys": []},
        {"cover": None},
        {"files": {"a": {"size": -1}}},
        {"requestToken": None},
    ]
    for wrong in mistakes:
        assert not validator.is_valid({**good, **wrong})


def test_the_documentation_names_every_field() -> None:
    text = (Path(__file__).parents[2] / "docs" / "web-api.md").read_text(encoding="utf-8")
    for name, described in DESCRIPTION["components"]["schemas"].items():
        for field in described["properties"]:
            assert f"`{field}`" in text, f"docs/web-api.md does not explain {name}.{field}"


def test_the_documentations_examples_are_json_as_described() -> None:
    text = (Path(__file__).parents[2] / "docs" / "web-api.md").read_text(encoding="utf-8")
    blocks = [block.partition("```")[0] for block in text.split("```json\n")[1:]]
    assert len(blocks) >= 8
    requests = ("GetToken", "Exists", "Notifier")  # these may have business parameters
    validators = [
        Draft202012Validator(
            {**described, "components": DESCRIPTION["components"]}
            if name in requests
            else closed({**described, "components": DESCRIPTION["components"]})
        )
        for name, described in DESCRIPTION["components"]["schemas"].items()
    ]
    for block in blocks:
        example = json.loads(block)
        fits = any(validator.is_valid(example) for validator in validators)
        assert fits, f"no message is like the example {block}"
