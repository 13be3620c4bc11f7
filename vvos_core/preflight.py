"""Asks a service what a browser asks before it uploads (CORS): may this page send that, and read the answer?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .errors import VVOSError
from .http import Answer, Http
from .model import Finding, Verdict

ANY = "https://vvos-doctor.example"
"""Who asks where every origin is to be let in."""
_SIMPLE = frozenset({"GET", "HEAD", "POST"})


def check_cors(
    http: Http,
    url: str,
    origins: Sequence[str],
    calls: Mapping[str, Sequence[str]],
    *,
    expose: Sequence[str] = (),
    mend: str,
) -> list[Finding]:
    """One finding for each origin: whether its pages may make the calls, and read the headers that they need.

    ``calls``: each method and the headers that are sent with it, in lower case. ``expose``: the headers of the answer
    that the page has to read. ``mend``: where the rules are to be set. The requests carry no credential, as a
    browser's (WHATWG, "Fetch", CORS-preflight fetch).
    """
    return [_finding(http, url, origin, calls, expose, mend) for origin in origins]


def _finding(
    http: Http, url: str, origin: str, calls: Mapping[str, Sequence[str]], expose: Sequence[str], mend: str
) -> Finding:
    asking = ANY if origin == "*" else origin
    missing: list[str] = []
    exposed: set[str] = set()
    host = url.split("/")[2]
    for method, headers in calls.items():
        asked = {"Origin": asking, "Access-Control-Request-Method": method}
        if headers:
            asked["Access-Control-Request-Headers"] = ", ".join(sorted(headers))
        try:
            answer = http.send("OPTIONS", url, headers=asked, what=f"asking for {asking} whether it may {method}")
        except VVOSError as error:
            return _told("unknown", error.message)
        missing += _missing(answer, asking, method, headers)
        exposed |= _listed(answer, "Expose-Headers")
    missing += [f"read {name}" for name in expose if name.lower() not in exposed and "*" not in exposed]
    if missing:
        return _told("fail", f"{host} does not let pages of {origin} {', '.join(dict.fromkeys(missing))}.", mend)
    return _told("ok", f"{host} lets pages of {origin} {', '.join(calls)}.")


def _missing(answer: Answer, origin: str, method: str, headers: Sequence[str]) -> list[str]:
    """What the answer does not allow, as "let pages …" goes on."""
    allowed = answer.headers.get("Access-Control-Allow-Origin", "")
    if not 200 <= answer.status < 300 or allowed not in ("*", origin):
        return [method]
    methods = _listed(answer, "Allow-Methods")
    if method not in _SIMPLE and method.lower() not in methods and "*" not in methods:
        return [method]
    names = _listed(answer, "Allow-Headers")
    # The star stands for every header but this one (Fetch, "CORS non-wildcard request-header name").
    return [f"send {name}" for name in headers if name not in names and ("*" not in names or name == "authorization")]


def _listed(answer: Answer, name: str) -> set[str]:
    return {item.strip().lower() for item in answer.headers.get(f"Access-Control-{name}", "").split(",")}


def _told(verdict: Verdict, message: str, mend: str = "") -> Finding:
    return Finding(check="cors", verdict=verdict, message=message, mend=mend)
