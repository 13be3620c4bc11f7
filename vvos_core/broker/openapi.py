"""The OpenAPI 3.1 description of the web API, made from the messages themselves, hence true to them."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec

from .messages import (
    Exists,
    ExistsAnswer,
    GetToken,
    Granted,
    Health,
    Notifier,
    NotifierAnswer,
    Refusal,
)

_CALLS: tuple[tuple[str, str, Any, Any, tuple[int, ...]], ...] = (
    ("gettoken", "Grant a batch of uploads, or renew it", GetToken, Granted, (400, 401, 403, 408, 409, 413, 415, 422)),
    ("exists", "Say what is there already", Exists, ExistsAnswer, (400, 401, 403, 408, 413, 415)),
    ("notifier", "Verify and record finished uploads", Notifier, NotifierAnswer, (400, 401, 403, 408, 413, 415)),
)
_WHY = {
    400: "The request cannot be used; `message` names the field.",
    401: "The accessToken was not issued here, was altered, or has expired; or the caller did not show who it is.",
    403: "The caller may not; or a key is not in the accessToken.",
    404: "No file could be granted: something is not there.",
    408: "The body did not arrive in time.",
    409: "The requestToken was used for other files; or something is there already.",
    413: "Too many bytes or keys, or too large a file.",
    415: "The body is not plain JSON.",
    422: "No file could be granted: something is not what it was said to be.",
    500: "The broker failed; its log says why, under the X-Request-ID.",
    502: "The storage service failed; try again.",
    503: "The broker or the storage service did not answer; try again.",
}


@lru_cache(maxsize=16)
def document(root: str = "") -> bytes:
    """The description, as JSON; ``root`` is the path that the application is mounted under."""
    types = [item for _, _, request, answer, _ in _CALLS for item in (request, answer)]
    schemas, components = msgspec.json.schema_components(
        [*types, Refusal, Health], ref_template="#/components/schemas/{name}"
    )
    by_type = dict(zip([*types, Refusal, Health], schemas, strict=True))
    paths: dict[str, Any] = {}
    for name, summary, request, answer, errors in _CALLS:
        paths[f"/{name}"] = {
            "post": {
                "operationId": name,
                "summary": summary,
                "requestBody": {"required": True, "content": _json(by_type[request])},
                "responses": {
                    "200": {
                        "description": "Done; `failed` names the keys that were not.",
                        "content": _json(by_type[answer]),
                    },
                    **{
                        str(status): {"description": _WHY[status], "content": _json(by_type[Refusal])}
                        for status in (*errors, 404, 500, 502, 503)
                    },
                },
            }
        }
    health = {"content": _json(by_type[Health])}
    paths["/healthz"] = {
        "get": {
            "operationId": "healthz",
            "summary": "Whether the broker can work",
            "responses": {
                "200": {"description": "The database answers.", **health},
                "503": {"description": "The database does not answer.", **health},
            },
        }
    }
    described: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": "VVOS web API",
            "version": "1",
            "description": "Fields of a request body that are not named here are the business parameters. "
            "Times are seconds since 1970, UTC; sizes are bytes.",
        },
        "servers": [{"url": root or "/"}],
        "paths": paths,
        "components": {"schemas": components},
    }
    return msgspec.json.encode(described)


def _json(schema: Any) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}
