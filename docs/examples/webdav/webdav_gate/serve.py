"""A real WebDAV server, WsgiDAV on Cheroot, behind the gate. Needs vvos-webdav[server]."""

from __future__ import annotations

from cheroot import wsgi
from wsgidav.wsgidav_app import WsgiDAVApp  # type: ignore[import-untyped]  # ships no types

from . import Gate


def server(folder: str, secret: str, port: int = 0) -> tuple[wsgi.Server, Gate]:
    """A server of ``folder``, not started yet, and its gate; port 0 takes a free one."""
    open_to_the_gate = {"provider_mapping": {"/": folder}, "simple_dc": {"user_mapping": {"*": True}}}
    quiet = {"dir_browser": {"enable": False}, "verbose": 1}
    gate = Gate(WsgiDAVApp({**open_to_the_gate, **quiet}), secret)
    return wsgi.Server(("127.0.0.1", port), gate), gate
