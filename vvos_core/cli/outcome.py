"""What an error becomes: one sentence on standard error, and an exit status."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import threading
from typing import TextIO

import click

from ..errors import BadInput, ConfigError, PluginError, VVOSError
from .text import printable

OK = 0
FAILED = 1
"""Something was tried and failed."""
WRONG = 2
"""Wrong usage or configuration: nothing was done."""
FAULT = 70
"""A fault of VVOS's own (``EX_SOFTWARE`` of sysexits.h)."""
INTERRUPTED = 130
"""As shells count it: 128 and the number of SIGINT."""
TERMINATED = 143
"""The same of SIGTERM."""

DEBUG = "VVOS_DEBUG"
"""Set to 1, it shows tracebacks."""


def prepare() -> None:
    """Make the streams fit for people: nothing that cannot be encoded raises."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def say(sentence: str) -> None:
    """Tell the user something, beside the results."""
    with contextlib.suppress(BrokenPipeError):
        click.echo(f"vvos: {printable(sentence)}", err=True)


def status(error: VVOSError) -> int:
    """The exit status of an error that ended a command."""
    return WRONG if isinstance(error, BadInput | ConfigError | PluginError) else FAILED


def report(error: BaseException) -> int:
    """Say what ended the command; answers its exit status."""
    if debugging():
        import traceback  # here, for nothing fails when only a version is asked for

        traceback.print_exception(error)
    if isinstance(error, VVOSError):
        # A ConfigError has a mistake on each of its lines; nobody else's text may begin a line.
        lines = error.message.split("\n") if isinstance(error, ConfigError) else [error.message]
        for line in lines[:-1]:
            say(line)
        say(f"{lines[-1]} [{error.code}]")
        return status(error)
    if isinstance(error, click.UsageError):
        say(error.format_message())
        if error.ctx is not None:
            click.echo(f"Try '{error.ctx.command_path} --help'.", err=True)
        return WRONG
    if isinstance(error, click.Abort | KeyboardInterrupt):
        say("interrupted.")
        return INTERRUPTED
    if isinstance(error, BrokenPipeError):
        return FAILED
    say(unexpected(error))
    return FAULT


def unexpected(error: BaseException) -> str:
    """The sentence for what should not have happened."""
    return (
        f"this should not have happened ({type(error).__name__}: {error}); please report it, with what "
        f"{DEBUG}=1 prints."
    )


def finish(status: int) -> int:
    """End the output. Answers ``status``, or ends the process with it where Python would wait for threads in vain."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except BrokenPipeError:
            abandon(stream)
    if status in (INTERRUPTED, TERMINATED) and any(
        not thread.daemon for thread in threading.enumerate() if thread is not threading.main_thread()
    ):
        # A second Ctrl-C left workers waiting for a service that does not answer; Python would wait for them.
        os._exit(status)
    return status


def abandon(stream: TextIO) -> None:
    """The reader of ``stream`` went away: what is still written to it goes nowhere, and at exit nothing complains."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def debugging() -> bool:
    """Whether tracebacks are wanted."""
    return os.environ.get(DEBUG, "") not in ("", "0")
