"""What every provider's granting half does alike: a new grant, a renewed one, and the verdict on a finished object."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from msgspec.structs import replace

from .errors import BadAnswer, BadInput, Denied, Mismatch, NotFound, VVOSError
from .keys import are_usable, check_key
from .model import Ask, Finished, Found, Grant, Rules, TokenRequest
from .plan import plan_chunks

_TYPE = re.compile(r"[!-~]+( [!-~]+)*")


@lru_cache(maxsize=256)  # the files of a batch share a few
def _is_type(text: str) -> bool:
    return _TYPE.fullmatch(text) is not None


def new_grants(
    request: TokenRequest,
    each: Callable[[Ask], Grant | VVOSError],
    *,
    provider: str,
    rules: Rules,
    expires_at: float,
) -> list[Grant | VVOSError]:
    """``new_grant`` of all files that ask for nothing but to be put in one piece, together; ``each`` of the others."""
    files = request.files
    if not are_usable([ask.key for ask in files], rules.max_key):
        return [each(ask) for ask in files]
    cover, threshold = request.cover, rules.threshold
    types = {kind for kind in {ask.type for ask in files} if _is_type(kind)}
    answers: list[Grant | VVOSError] = []
    for ask in files:
        if ask.renew is not None or ask.checksum or ask.metadata or ask.type not in types:
            answers.append(each(ask))
        elif 0 <= ask.size <= threshold:
            answers.append(
                Grant(
                    provider=provider,
                    key=ask.key,
                    client_key=ask.client_key,
                    size=ask.size,
                    type=ask.type,
                    cover=cover,
                    expires_at=expires_at,
                )
            )
        else:
            answers.append(each(ask))
    return answers


def new_grant(ask: Ask, *, provider: str, rules: Rules, cover: bool, expires_at: float, checksum: str = "") -> Grant:
    """The grant of what ``ask`` asks for the first time, cut by ``rules``; the provider adds upload id and data.

    Raises ``BadKey``, ``BadInput`` for a size or media type that is none, ``TooLarge``.
    """
    check_key(ask.key, rules.max_key)
    if not _is_type(ask.type):
        raise BadInput(
            f"the media type of {ask.key!r} is not of the form type/subtype, in plain ASCII; correct it.", key=ask.key
        )
    cut = plan_chunks(ask.size, rules)
    return Grant(
        provider=provider,
        key=ask.key,
        client_key=ask.client_key,
        size=ask.size,
        type=ask.type,
        cover=cover,
        expires_at=expires_at,
        multipart=cut.multipart,
        part_size=cut.part_size,
        checksum=checksum,
        metadata=ask.metadata,
    )


def renewed_grant(
    ask: Ask, old: Grant, *, provider: str, cover: bool, expires_at: float, needs_upload_id: bool = True
) -> Grant:
    """``old`` with a new end, and with the checksum of ``ask`` where it had none: never wider.

    ``needs_upload_id``: a multipart upload without its id cannot be gone on with, and is refused.
    Raises ``Denied`` where the renewal would allow anything that the old grant did not.
    """
    wider = {
        "provider": old.provider != provider,
        "key": ask.key != old.key,
        "name": ask.client_key != old.client_key,
        "size": ask.size != old.size,
        "type": ask.type != old.type,
        "cover": cover and not old.cover,
        "metadata": bool(ask.metadata) and dict(ask.metadata) != dict(old.metadata),
        "checksum": bool(ask.checksum and old.checksum) and ask.checksum != old.checksum,
        "upload": needs_upload_id and old.multipart and not old.upload_id,
    }
    differs = [name for name, changed in wider.items() if changed]
    if differs:
        raise Denied(
            f"the renewal of {old.key!r} asks for another {' and '.join(differs)}; begin a new upload.", key=old.key
        )
    return replace(old, expires_at=expires_at, checksum=ask.checksum or old.checksum)


def check_object(done: Finished, found: Found) -> None:
    """Whether what is ``found`` is the object that was granted and read.

    Raises ``NotFound``, ``Mismatch``, and ``BadAnswer`` where the service keeps no checksum to compare.
    """
    grant = done.grant
    if not found.exists:
        raise NotFound(f"there is no object {grant.key!r}; put it again.", key=grant.key)
    if not found.size == done.size == grant.size:
        raise Mismatch(
            f"{grant.key!r} has {found.size} bytes at the provider, {done.size} were read and {grant.size} granted; "
            "put it again.",
            key=grant.key,
        )
    expected = [value for value in (done.checksum, grant.checksum) if value]
    if expected and not found.checksum:
        raise BadAnswer(
            f"the service keeps no {expected[0].partition(':')[0]} of {grant.key!r}, so it cannot be verified.",
            key=grant.key,
        )
    if any(value != found.checksum for value in expected):
        algorithm = found.checksum.partition(":")[0]
        raise Mismatch(
            f"{grant.key!r} has another {algorithm} at the provider than what was read; put it again.", key=grant.key
        )
