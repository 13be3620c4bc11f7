"""``python -m webdav_gate FOLDER PORT``: serves a folder on 127.0.0.1, behind the gate; its secret is WEBDAV_SECRET."""

from __future__ import annotations

import os
import sys

from .serve import server

if __name__ == "__main__":
    http, _ = server(sys.argv[1], os.environ["WEBDAV_SECRET"], int(sys.argv[2]))
    http.prepare()
    sys.stdout.write("http://{}:{}\n".format(*http.bind_addr))
    sys.stdout.flush()
    try:
        http.serve()
    finally:
        http.stop()
