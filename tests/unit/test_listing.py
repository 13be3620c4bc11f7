"""Looking many keys up in a list: what it decides is so, and what it cannot be sure of it leaves to a look at each."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, strategies as st

from vvos_core import BadAnswer, Denied, Finished, Grant, Listed, Page, absent, proven
from vvos_core.listing import LEAST, MOST, look_up

KEYS = [f"相册/{n:03}.jpg" for n in range(40)]
MD5 = "0123456789abcdef0123456789abcdef"
OTHER = "f" * 32


class Bucket:
    """A bucket that is listed ``at_once`` objects at a time, or what passes for one."""

    def __init__(self, objects: dict[str, tuple[int, str]], at_once: int = MOST) -> None:
        self.objects = objects
        self.at_once = at_once
        self.pages = 0
        self.looks: list[str] = []
        self.spoil: Callable[[list[Listed]], list[Listed]] = lambda page: page

    def page(self, prefix: str, after: str, most: int) -> Page:
        self.pages += 1
        names = sorted((n for n in self.objects if n.startswith(prefix) and n > after), key=str.encode)
        count = min(most, self.at_once)
        return Page(self.spoil([Listed(n, *self.objects[n]) for n in names[:count]]), len(names) > count)

    def look(self, key: str) -> Listed | None:
        self.looks.append(key)
        there = self.objects.get(key)
        return None if there is None else Listed(key, *there)


def full(keys: list[str]) -> Bucket:
    return Bucket(dict.fromkeys(keys, (3, MD5)))


def done(key: str, **changes: str) -> Finished:
    given = {"checksum": "crc64nvme:AAAAAAAAAAA=", "digest": f"md5:{MD5}", **changes}
    grant = Grant(provider="x", key=key, client_key=key, size=3, checksum=given.pop("granted", ""))
    return Finished(grant=grant, size=3, checksum=given["checksum"], digest=given["digest"])


NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=3)


@given(
    there=st.sets(NAMES, max_size=30),
    asked=st.sets(NAMES, max_size=30),
    folder=st.sampled_from(["", "照片/", " ", "!", "￿"]),
    at_once=st.integers(1, 40),
)
def test_what_it_tells_is_so(there: set[str], asked: set[str], folder: str, at_once: int) -> None:
    bucket = Bucket({folder + name: (3, MD5) for name in there}, at_once)
    for key, listed in look_up([folder + name for name in asked], bucket.page).items():
        assert listed == bucket.look(key)


def test_a_thousand_keys_are_one_page() -> None:
    keys = [f"批/{n}.bin" for n in range(700)]
    bucket = full(keys[::2])
    assert absent(keys, bucket.page) == set(keys[1::2])
    assert bucket.pages == 1


def test_a_page_that_is_shorter_than_asked_for_is_gone_on_with() -> None:
    bucket = full(KEYS)
    bucket.at_once = 15
    assert look_up(KEYS, bucket.page).keys() == set(KEYS[:30] + KEYS[30:])
    assert bucket.pages == 3


def test_few_keys_are_not_worth_a_list() -> None:
    bucket = full([])
    assert absent(KEYS[: LEAST - 1], bucket.page) == set()
    assert proven([done(key) for key in KEYS[: LEAST - 1]], bucket.page, bucket.look) == {}
    assert bucket.pages == 0


def test_keys_that_are_far_apart_are_left_to_looks() -> None:
    """Between each two of them is more than a page of others."""
    bucket = full([f"{n:02}/{m:03}" for n in range(40) for m in range(100)])
    told = look_up([f"{n:02}/{50:03}x" for n in range(40)], bucket.page)
    assert bucket.pages == 2
    assert 0 < len(told) < 4


def test_a_list_begins_right_before_the_first_key() -> None:
    """Else what is listed would be what comes before it."""
    bucket = full([f"a{n:05}" for n in range(5000)])
    keys = [f"a{n:05}" for n in range(4100, 4150)]
    assert look_up(keys, bucket.page) == {key: Listed(key, 3, MD5) for key in keys}
    assert bucket.pages == 1


def test_the_longest_keys_do_not_make_the_beginning_too_long() -> None:
    keys = ["长" * 340 + chr(ord("a") + n) for n in range(12)]
    begun: list[str] = []

    def page(prefix: str, after: str, most: int) -> Page:
        begun.append(after)
        return Page([], more=False)

    assert absent(keys, page) == set(keys)
    assert all(len(after.encode()) < 1024 for after in begun)


@pytest.mark.parametrize("wrong", ["unsorted", "twice", "from the beginning", "other folders", "more than asked"])
def test_a_list_that_is_not_what_it_should_be_decides_nothing(wrong: str) -> None:
    extra = [Listed(f"zz/{n}", 3, MD5) for n in range(2000)]
    spoilt: dict[str, Callable[[list[Listed]], list[Listed]]] = {
        "unsorted": lambda page: [*page[1:], page[0]],
        "twice": lambda page: [page[0], *page],
        "from the beginning": lambda page: [Listed("相册/", 0, MD5), *page],
        "other folders": lambda page: [*page, extra[0]],
        "more than asked": lambda page: [*page, *(Listed(f"{KEYS[-1]}{n:04}", 3, MD5) for n in range(2000))],
    }
    bucket = full(KEYS[:-1])
    bucket.spoil = spoilt[wrong]
    assert look_up(KEYS, bucket.page) == {}
    assert absent(KEYS, bucket.page) == set()
    assert proven([done(key) for key in KEYS], bucket.page, bucket.look) == {}
    bucket.spoil = lambda page: page
    assert absent(KEYS, bucket.page) == {KEYS[-1]}


@pytest.mark.parametrize("error", [Denied("no."), BadAnswer("what?")])
def test_a_list_that_is_refused_decides_nothing(error: Exception) -> None:
    def refuse(prefix: str, after: str, most: int) -> Page:
        raise error

    assert look_up(KEYS, refuse) == {}


def test_what_is_there_as_it_was_read_is_proven_and_one_of_it_looked_at() -> None:
    bucket = full(KEYS)
    assert proven([done(key) for key in KEYS], bucket.page, bucket.look) == dict.fromkeys(KEYS, f"md5:{MD5}")
    assert (bucket.pages, len(bucket.looks)) == (1, 1)


@pytest.mark.parametrize("there", [(4, MD5), (3, OTHER), (3, f"{MD5}-1"), (3, ""), None])
def test_another_object_of_that_key_is_not_proven(there: tuple[int, str] | None) -> None:
    bucket = full(KEYS)
    if there is None:
        del bucket.objects[KEYS[7]]
    else:
        bucket.objects[KEYS[7]] = there
    found = proven([done(key) for key in KEYS], bucket.page, bucket.look)
    assert found.keys() == set(KEYS) - {KEYS[7]}


@pytest.mark.parametrize(
    "said",
    [
        {"digest": ""},
        {"digest": f"md5:{OTHER}"},
        {"digest": f"md5:{MD5.upper()}"},
        {"digest": f"sha1:{MD5}"},
        {"granted": "crc64nvme:AAAAAAAAAAA="},
        {"granted": f"md5:{OTHER}"},
    ],
)
def test_without_the_md5_alone_a_look_has_to_tell(said: dict[str, str]) -> None:
    """A granted checksum is compared whatever the client says."""
    bucket = full(KEYS)
    found = proven([*(done(key) for key in KEYS[1:]), done(KEYS[0], **said)], bucket.page, bucket.look)
    assert found.keys() == set(KEYS[1:])


def test_the_digest_of_an_upload_in_parts_is_not_asked_for() -> None:
    grant = Grant(provider="x", key=KEYS[0], client_key="a", size=3, multipart=True, part_size=3)
    lie = Finished(grant=grant, size=3, digest=f"md5:{MD5}")
    bucket = full(KEYS)
    assert KEYS[0] not in proven([lie, *(done(key) for key in KEYS[1:])], bucket.page, bucket.look)


@pytest.mark.parametrize("checksum", [f"md5:{MD5}", f"md5:{MD5}-3"])
def test_where_the_md5_is_the_checksum_it_is_what_is_compared(checksum: str) -> None:
    bucket = Bucket({key: (3, checksum.removeprefix("md5:")) for key in KEYS})
    finished = [done(key, checksum=checksum, digest="", granted=checksum) for key in KEYS]
    assert proven(finished, bucket.page, bucket.look) == dict.fromkeys(KEYS, checksum)


@pytest.mark.parametrize("truth", [(3, OTHER), (4, MD5), (3, ""), None])
def test_a_list_of_yesterday_proves_nothing(truth: tuple[int, str] | None) -> None:
    """It lags behind what is stored; or its ETags are no MD5, which a look tells by an empty one."""
    stale = full(KEYS)
    now = Bucket({} if truth is None else dict.fromkeys(KEYS, truth))
    assert proven([done(key) for key in KEYS], stale.page, now.look) == {}
    assert len(now.looks) == 1


def test_when_the_look_fails_nothing_is_proven() -> None:
    def fail(key: str) -> Listed | None:
        raise Denied("no.")

    assert proven([done(key) for key in KEYS], full(KEYS).page, fail) == {}


def test_a_batch_that_names_a_key_twice_is_left_to_looks() -> None:
    bucket = full(KEYS)
    finished = [*(done(key) for key in KEYS), done(KEYS[0], digest=f"md5:{OTHER}")]
    assert proven(finished, bucket.page, bucket.look) == {}
