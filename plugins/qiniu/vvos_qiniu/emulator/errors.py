"""Kodo's refusals: the HTTP status, and the text in its body ``{"error": …}``.

Sources: Qiniu, "API error responses"; texts as the official SDKs and their tests look for them. What neither names
is marked with [?].
"""

from __future__ import annotations


class KodoError(Exception):
    """A refusal, as the client will see it."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status} {text}")
        self.status = status
        self.text = text


def invalid(text: str) -> KodoError:
    """400: the request is malformed."""
    return KodoError(400, text)


def no_token() -> KodoError:
    return KodoError(401, "token not specified")


def bad_token() -> KodoError:
    return KodoError(401, "bad token")


def expired_token() -> KodoError:
    return KodoError(401, "expired token")


def out_of_scope() -> KodoError:
    return KodoError(403, "key doesn't match with scope")


def wrong_crc32() -> KodoError:
    return KodoError(406, "crc32 is not correct")


def wrong_md5() -> KodoError:
    return KodoError(406, "md5 is not correct")  # [?] the status


def too_large() -> KodoError:
    return KodoError(413, "exceed FsizeLimit")


def no_such_file() -> KodoError:
    return KodoError(612, "no such file or directory")


def no_such_upload() -> KodoError:
    return KodoError(612, "no such uploadId")


def file_exists() -> KodoError:
    return KodoError(614, "file exists")


def no_such_bucket() -> KodoError:
    return KodoError(631, "no such bucket")


def bad_ctx() -> KodoError:
    return KodoError(701, "invalid ctx")
