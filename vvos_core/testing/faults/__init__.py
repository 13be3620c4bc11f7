"""Faults of a network, staged on the loopback interface: a proxy that does to each HTTP request what a schedule says.

    from vvos_core.testing.faults import FaultProxy, answer, swallow

    with FaultProxy("127.0.0.1:9000") as proxy:            # the service; clients go to proxy.address
        proxy.stage(answer(503, retry_after=2), "PUT")     # the next PUT is answered 503, and not forwarded
        proxy.stage(swallow(), "POST", r"\\?uploadId=")     # the next of these is carried out, and its answer lost
        ...
        assert proxy.played == ["swallow"]

`fault` lists the faults, `schedule` says which request gets one, `proxy` listens, `link` does it. Needs h11
(``pip install 'vvos[testing]'``).
"""

from .fault import (
    Fault,
    Gate,
    add_headers,
    answer,
    answer_after,
    cut,
    duplicate,
    garbage,
    hold,
    refuse,
    reset,
    stall,
    swallow,
    throttle,
    truncate,
)
from .proxy import FaultProxy
from .schedule import Seen

__all__ = [
    "Fault",
    "FaultProxy",
    "Gate",
    "Seen",
    "add_headers",
    "answer",
    "answer_after",
    "cut",
    "duplicate",
    "garbage",
    "hold",
    "refuse",
    "reset",
    "stall",
    "swallow",
    "throttle",
    "truncate",
]
