"""``vvos doctor``: looks at the broker, the bucket and the hosts of a deployment, and says what to mend."""

from __future__ import annotations

from collections import Counter

import click
import msgspec
from msgspec import Struct, structs

from ..doctor import examine
from ..doctor.broker import addresses
from ..errors import ConfigError
from ..model import Finding
from ..profile import Config, Profile, load
from .outcome import FAILED, OK, say
from .text import count, printable, well_formed

_WORDS: dict[str, str] = {"ok": "ok", "warn": "warn", "fail": "FAIL", "unknown": "unknown"}


class Report(Struct, frozen=True, kw_only=True):
    """The whole of a ``doctor``, as ``--json`` tells it."""

    ok: bool
    """No finding is a failure."""
    profile: str | None
    """The profile whose bucket was looked at; None where there was none."""
    findings: list[Finding]


@click.command(short_help="Check a deployment, and say what to mend.")
@click.option(
    "--config",
    metavar="FILE",
    type=click.Path(readable=False),
    help="The vvos.toml to use, instead of searching one.",
)
@click.option("--profile", "name", metavar="NAME", help="Look at this profile's bucket, instead of the broker's.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def doctor(config: str | None, name: str | None, as_json: bool) -> int:
    """Look at the broker, the bucket and every host, and say what to mend.

    What has to be tried is tried in the bucket, under a random key that begins with '.vvos-doctor-', and removed again.

    Exit status: 0 nothing is wrong, or there are warnings only; 1 something is wrong; 2 wrong usage or configuration.
    """
    loaded = load(config)
    profile = _profile(loaded, name)
    if profile is None and addresses(loaded) is None:
        raise ConfigError("nothing is configured to look at; name a vvos.toml with --config, or write one.")
    findings = examine(loaded, profile)
    failed = any(finding.verdict == "fail" for finding in findings)
    if as_json:
        findings = [
            structs.replace(finding, message=well_formed(finding.message), mend=well_formed(finding.mend))
            for finding in findings
        ]
        click.echo(
            msgspec.json.encode(Report(ok=not failed, profile=profile.name if profile else None, findings=findings))
        )
    else:
        for finding in findings:
            click.echo(line(finding))
        say(summary(findings))
    return FAILED if failed else OK


def line(finding: Finding) -> str:
    """A finding for a person, and below it what to do."""
    told = f"{_WORDS[finding.verdict]:<8} {finding.check:<12} {printable(finding.message)}"
    return f"{told}\n{'':<21} → {printable(finding.mend)}" if finding.mend else told


def summary(findings: list[Finding]) -> str:
    """The last line: how many there are of each verdict."""
    seen = Counter(str(finding.verdict) for finding in findings)
    said = [f"{seen[verdict]} {word}" for verdict, word in _WORDS.items() if seen[verdict]]
    return f"{count(len(findings), 'finding')}: {', '.join(said)}."


def _profile(config: Config, name: str | None) -> Profile | None:
    """The profile to look at: the named one, else the broker's, else the default; None where there is none."""
    if name is None and not config.profiles:
        return None
    return config.profile(name or config.broker.profile or None)
