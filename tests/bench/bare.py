"""``python -m tests.bench.bare``: a Starlette endpoint that reads the same JSON and answers as much, for scale."""

from __future__ import annotations

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from vvos_core.broker.serve import BrokerServer

BYTES_PER_KEY = 500


async def gettoken(request: Request) -> Response:
    asked = msgspec.json.decode(await request.body())
    told = {"accessToken": "x" * 1000, "keys": {key: key + "x" * BYTES_PER_KEY for key in asked["keys"]}}
    return Response(msgspec.json.encode(told), media_type="application/json")


if __name__ == "__main__":
    BrokerServer(
        Starlette(routes=[Route("/gettoken", gettoken, methods=["POST"])]),
        on_ready=lambda url: print(f"listening at {url}", flush=True),  # noqa: T201  # what this program says
    ).run()
