"""``python -m tests.bench.drain DIALECT TAPE [CERTIFICATE]``: serve, and say on the first line at which port."""

from __future__ import annotations

import socket
import ssl
import sys
from pathlib import Path

from ..content import Tape
from .loop import Loop
from .qiniu import Qiniu
from .request import Dialect
from .rest import S3, Aliyun

DIALECTS: dict[str, type[S3] | type[Aliyun] | type[Qiniu]] = {"s3": S3, "aliyun": Aliyun, "qiniu": Qiniu}


def main() -> None:
    name, path, *certificate = sys.argv[1:]
    tape = Tape(Path(path))
    dialect: Dialect = DIALECTS[name](tape)
    tls = None
    if certificate:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate[0])
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    print(listener.getsockname()[1], flush=True)  # noqa: T201  # what this program says to who started it
    Loop(listener, tls, dialect, tape).run()


if __name__ == "__main__":
    main()
