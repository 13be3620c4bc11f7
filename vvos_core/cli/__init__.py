"""The command line, ``vvos``.

    commands    the group and its commands, each imported when it is called (lazy)
    outcome     what an error becomes: a sentence and an exit status
    log         our own warnings as sentences
    text        what may reach a terminal
    put         uploads; it uses
                display and bars (what a person sees), document (``--json``), address (``--api``), amounts
    serve, providers, doctor, config, emulate    the other commands
    uploads, resume, abort    what earlier runs left
    broker      and broker_sweep, broker_outbox, broker_retry, broker_deliver: looking after a broker
    demo        and samples, its files
    skeleton    what `providers new` writes
    emulators   finds the emulators that distributions offer
    waiting     running until told to stop

Importing this imports click and nothing else, so that ``--version`` and ``--help`` cost little.
"""

from __future__ import annotations

from collections.abc import Sequence

from .commands import vvos
from .outcome import finish, prepare, report


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line with ``args`` (``sys.argv`` where None); answers the exit status. Never raises.

    Statuses: 0 all went well; 1 something failed; 2 wrong usage or configuration, nothing was done; 70 a fault of
    VVOS's own; 130 interrupted.
    """
    prepare()
    try:
        status = vvos.main(args, prog_name="vvos", standalone_mode=False)
    except BaseException as error:  # noqa: BLE001  # whatever it is, the user gets a sentence and not a traceback
        status = report(error)
    return finish(status if isinstance(status, int) else 0)
