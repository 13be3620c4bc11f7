"""The broker's log: one JSON object a line, through the standard library's logger ``vvos.broker``."""

from __future__ import annotations

import logging
from typing import Any

import msgspec
import structlog

from ..errors import VVOSError


def _serialize(event: Any, **_: Any) -> str:
    return msgspec.json.encode(event, enc_hook=repr).decode()


log: Any = structlog.wrap_logger(
    logging.getLogger("vvos.broker"),
    processors=[
        structlog.stdlib.filter_by_level,
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(serializer=_serialize),
    ],
    wrapper_class=structlog.stdlib.BoundLogger,
    cache_logger_on_first_use=True,
)


def shown(error: VVOSError) -> VVOSError:
    """``error`` as a client may see it: one that is the broker's own fault is logged, and told without its details."""
    if error.http_status != 500:
        return error
    log.error("fault", code=error.code, key=error.key, exc_info=error)
    public = VVOSError("the broker is not able to do this; its log says why.", key=error.key)
    public.code = error.code
    return public
