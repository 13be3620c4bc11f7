"""One host: whether it can be reached and trusted, how long its certificate lasts, and what its clock says."""

from __future__ import annotations

import socket
import ssl
import time
from email.utils import parsedate_to_datetime
from urllib.parse import SplitResult, urlsplit

from ..errors import BadAnswer, VVOSError
from ..http import Answer, Http
from ..model import Finding
from ..route import proxy_for, trusted

TIMEOUT = 10.0
"""Seconds until a connection stands, and that a host may be silent."""
SKEW = 30
"""Seconds by which two clocks may differ."""
REFUSED_SKEW = 900
"""Seconds from which storage services refuse what is signed (AWS and OSS, "RequestTimeTooSkewed")."""
EXPIRY_DAYS = 14
_DAY = 86400


def check_host(http: Http, url: str) -> list[Finding]:
    """Whether ``scheme://host[:port]`` answers at all, with which certificate, and at what time by its clock."""
    parts = urlsplit(url)
    began = time.time()
    try:
        answer = http.send("HEAD", f"{parts.scheme}://{parts.netloc}/", what="looking for it")
    except VVOSError as error:
        return [Finding(check="host", verdict="fail", message=error.message, mend=_mend(error))]
    found = [Finding(check="host", verdict="ok", message=f"{parts.netloc} answers.")]
    if parts.scheme == "https" and not proxy_for(url):
        found.append(_certificate(parts))
    return [*found, check_clock(answer, parts.netloc, began, time.time())]


def check_clock(answer: Answer, host: str, began: float, ended: float) -> Finding:
    """The host's clock, by its ``Date`` (RFC 9110, 6.6.1), against this one; both ends in seconds since 1970."""
    try:
        theirs = parsedate_to_datetime(answer.headers.get("Date", "")).timestamp()
    except ValueError:
        return Finding(check="clock", verdict="unknown", message=f"{host} does not say what time it is.")
    # Whatever moment of the request it was said at, and a date has no fractions.
    ahead = theirs - ended if theirs > ended else min(0.0, theirs + 1 - began)
    if abs(ahead) <= SKEW:
        return Finding(check="clock", verdict="ok", message=f"the clocks of {host} and of this machine agree.")
    way = "ahead of" if ahead > 0 else "behind"
    return Finding(
        check="clock",
        verdict="fail" if abs(ahead) >= REFUSED_SKEW else "warn",
        message=f"the clock of {host} is {abs(ahead):,.0f} s {way} this machine's: grants end too early, or too late.",
        mend="set this machine's clock by NTP; where it is right, the other one.",
    )


def _certificate(parts: SplitResult) -> Finding:
    host, port = parts.hostname or "", parts.port or 443
    try:
        context = trusted()
        with (
            socket.create_connection((host, port), TIMEOUT) as plain,
            context.wrap_socket(plain, server_hostname=host) as secured,
        ):
            ends = ssl.cert_time_to_seconds(str((secured.getpeercert() or {}).get("notAfter", "")))
    except (OSError, ValueError):
        return Finding(check="certificate", verdict="unknown", message=f"{parts.netloc} showed none that can be read.")
    days = int((ends - time.time()) // _DAY)
    if days < EXPIRY_DAYS:
        return Finding(
            check="certificate",
            verdict="warn",
            message=f"the certificate of {parts.netloc} ends in {days} days.",
            mend="renew it.",
        )
    return Finding(
        check="certificate", verdict="ok", message=f"the certificate of {parts.netloc} is good for {days} days."
    )


def _mend(error: VVOSError) -> str:
    if isinstance(error, BadAnswer):
        return ""  # its sentence says it
    return "check the name, the firewall, and the proxy of this machine."
