"""The configuration: found, read, overridden, typed, and its mistakes placed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, strategies as st

from vvos_core.configuration.document import Document
from vvos_core.errors import ConfigError
from vvos_core.model import Secret
from vvos_core.profile import ApiSettings, BrokerSettings, Config, Profile, find_mistakes, load

LEAK = "s3cr3t-value-of-more-than-32-letters"
DOCS = Path(__file__).parents[2] / "docs" / "configuration.md"


class Bucket(msgspec.Struct, frozen=True, kw_only=True):
    """Some provider's settings."""

    bucket: str
    secret_key: Secret
    part_size: int = 8


def write(folder: Path, text: str, name: str = "vvos.toml") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def read(tmp_path: Path, text: str, env: Mapping[str, str] | None = None) -> Config:
    return load(write(tmp_path, text), env=env or {})


def wrong(tmp_path: Path, text: str, env: Mapping[str, str] | None = None) -> list[str]:
    path = write(tmp_path, text)
    mistakes = find_mistakes(path, env=env or {})
    assert mistakes
    with pytest.raises(ConfigError) as caught:
        load(path, env=env or {})
    assert str(caught.value) == "\n".join(map(str, mistakes))
    assert LEAK not in str(caught.value)
    return [str(mistake).replace(f"{path}:", "") for mistake in mistakes]


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's configuration folder."""
    folder = tmp_path / "own"
    for name in ("XDG_CONFIG_HOME", "HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(folder))
    from platformdirs import user_config_path

    return user_config_path("vvos", appauthor=False)


# Where the file is looked for


def test_search_order(tmp_path: Path, own: Path) -> None:
    assert load(env={}, cwd=tmp_path) == Config()

    mine = write(own, "broker.port = 4")
    assert load(env={}, cwd=tmp_path).path == mine
    near = write(tmp_path, "broker.port = 3")
    assert load(env={}, cwd=tmp_path).path == near
    named = write(tmp_path, "broker.port = 2", "其他.toml")
    env = {"VVOS_CONFIG": "其他.toml"}
    assert load(env=env, cwd=tmp_path).path == named
    given_ = write(tmp_path, "broker.port = 1", "given.toml")
    config = load("given.toml", env=env, cwd=tmp_path)
    assert (config.path, config.broker.port) == (given_, 1)
    assert load(env={"VVOS_CONFIG": ""}, cwd=tmp_path).path == near


def test_the_working_folder_is_the_process_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "broker.port = 3")
    monkeypatch.chdir(tmp_path)
    assert load(env={}).broker.port == 3


def test_a_named_file_must_be_there(tmp_path: Path) -> None:
    write(tmp_path, "")
    with pytest.raises(ConfigError, match=r"none\.toml: there is no such file; name another, or make it"):
        load("none.toml", env={}, cwd=tmp_path)
    with pytest.raises(ConfigError, match=r"none\.toml: there is no such file \(VVOS_CONFIG names it\)"):
        load(env={"VVOS_CONFIG": "none.toml"}, cwd=tmp_path)
    with pytest.raises(ConfigError, match="the file cannot be read: Is a directory"):
        load(tmp_path, env={})


def test_syntax(tmp_path: Path) -> None:
    assert wrong(tmp_path, "a = 1\n[broker\n") == ["2: column 8: Expected ']' at the end of a table declaration"]


# Values


def test_everything(tmp_path: Path) -> None:
    write(tmp_path, LEAK + "\n", "key")
    config = read(
        tmp_path,
        """
        default_profile = "媒体"
        [profiles."媒体"]
        provider = "s3"
        on_exists = "skip"
        bucket = "照片"
        secret_key = { env = "K" }
        [profiles.b]
        provider = "other"
        [api]
        gettoken = "http://127.0.0.1:1/gettoken"
        exists = "https://h/exists?a=b"
        notifier = "https://h/notifier"
        client = "c"
        provider = "other"
        header = { Authorization = { env = "K" }, X-Team = "video" }
        timeout = 5
        [broker]
        host = "0.0.0.0"
        port = 0
        database = { env = "D" }
        seal_keys = [{ file = "key" }, { env = "K" }]
        access = "business"
        business = "shop.uploads:Policy.make"
        naming = "date"
        prefix = "上传/"
        profile = "b"
        ttl = 60
        max_keys = 1
        max_body = 2
        max_size = 3
        max_key = 4
        cors_origins = ["https://a.example.com:8443", "*"]
        """,
        {"K": LEAK, "D": f"postgresql://u:{LEAK}@h/d"},
    )
    assert config.default_profile == "媒体"
    assert config.api == ApiSettings(
        gettoken="http://127.0.0.1:1/gettoken",
        exists="https://h/exists?a=b",
        notifier="https://h/notifier",
        client="c",
        provider="other",
        header={"Authorization": Secret(LEAK), "X-Team": Secret("video")},
        timeout=5.0,
    )
    assert config.broker == BrokerSettings(
        host="0.0.0.0",
        port=0,
        database=Secret(f"postgresql://u:{LEAK}@h/d"),
        seal_keys=(Secret(LEAK), Secret(LEAK)),
        access="business",
        business="shop.uploads:Policy.make",
        naming="date",
        prefix="上传/",
        profile="b",
        ttl=60,
        max_keys=1,
        max_body=2,
        max_size=3,
        max_key=4,
        cors_origins=("https://a.example.com:8443", "*"),
    )
    profile = config.profile()
    assert (profile.name, profile.provider, profile.on_exists) == ("媒体", "s3", "skip")
    assert set(profile.settings) == {"bucket", "secret_key"}
    assert profile.resolve(Bucket) == Bucket(bucket="照片", secret_key=Secret(LEAK))
    assert config.profile("b").on_exists == "fail"
    assert LEAK not in repr(config)


def test_all_from_the_environment(tmp_path: Path, own: Path) -> None:
    env = {
        "VVOS_DEFAULT_PROFILE": "my_media",
        "VVOS_PROFILES__MY_MEDIA__PROVIDER": "s3",
        "VVOS_PROFILES__MY_MEDIA__ON_EXISTS": "skip",
        "VVOS_PROFILES__MY_MEDIA__BUCKET": "7",
        "VVOS_PROFILES__MY_MEDIA__SECRET_KEY": LEAK,
        "VVOS_PROFILES__OTHER__PROVIDER": "s3",
        "VVOS_API__GETTOKEN": "http://h/g",
        "VVOS_API__EXISTS": "http://h/e",
        "VVOS_API__NOTIFIER": "http://h/n",
        "VVOS_API__HEADER__AUTHORIZATION": LEAK,
        "VVOS_API__HEADER__X_REQUEST_FROM": "b",
        "VVOS_BROKER__SEAL_KEYS": f"{LEAK}1,{LEAK}2",
        "VVOS_BROKER__DATABASE": f"postgresql://u:{LEAK}@h/d",
        "VVOS_BROKER__CORS_ORIGINS": "https://a,https://b",
        "VVOS_ELSE": "another program's",
    }
    config = load(env=env, cwd=tmp_path)
    assert config.path is None
    assert config.api.header == {"authorization": Secret(LEAK), "x-request-from": Secret("b")}
    assert config.broker.seal_keys == (Secret(LEAK + "1"), Secret(LEAK + "2"))
    assert config.broker.database == Secret(f"postgresql://u:{LEAK}@h/d")
    assert config.broker.cors_origins == ("https://a", "https://b")
    profile = config.profile()
    assert (profile.name, profile.provider, profile.on_exists) == ("my_media", "s3", "skip")
    assert profile.resolve(Bucket) == Bucket(bucket="7", secret_key=Secret(LEAK))
    assert LEAK not in repr(config) + repr(profile.origin) + repr(profile.settings)


def test_the_environment_wins(tmp_path: Path) -> None:
    text = '[profiles.My-Media]\nprovider = "a"\nbucket = 3\nsecret_key = "inline"\n[api.header]\nX-Team = "a"\n'
    env = {
        "VVOS_PROFILES__MY_MEDIA__PROVIDER": "b",
        "VVOS_PROFILES__MY_MEDIA__BUCKET": "照片",
        "VVOS_PROFILES__MY_MEDIA__SECRET_KEY": LEAK,
        "VVOS_PROFILES__MY_MEDIA__PART_SIZE": "9",
        "VVOS_API__HEADER__X_TEAM": "b",
    }
    config = read(tmp_path, text, env)
    assert list(config.profiles) == ["My-Media"]
    profile = config.profile("My-Media")
    assert profile.provider == "b"
    assert profile.resolve(Bucket) == Bucket(bucket="照片", secret_key=Secret(LEAK), part_size=9)
    assert config.api.header == {"X-Team": Secret("b")}


# Mistakes


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('defualt_profile = "x"', '1: defualt_profile: no such setting; did you mean "default_profile"?'),
        ("profile = {}", '1: profile: no such setting; did you mean "profiles"?'),
        ("profiles = 1", "1: profiles: expected tables, each as [profiles.NAME]"),
        ("profiles.a = 1", "1: profiles.a: expected a table, as [profiles.a]"),
        ("[profiles.a]", "1: profiles.a.provider: is missing; it is text"),
        (
            '[profiles.a]\nprovider = ""',
            "2: profiles.a.provider: expected text of a length of at least 1, found the text",
        ),
        ('[profiles.""]\nprovider = "s3"', '1: profiles."": a profile needs a name'),
        (
            '[profiles.my-a]\nprovider = "s3"\n[profiles.MY_A]\nprovider = "s3"',
            '3: profiles.MY_A: environment variables spell "my-a" the same; give one another name',
        ),
        (
            '[profiles.a]\nprovider = "s3"\non_exists = "over"',
            '3: profiles.a.on_exists: expected one of "fail", "skip"',
        ),
        (
            'default_profile = "medai"\n[profiles.media]\nprovider = "s3"',
            '1: default_profile: there is no profile "medai"; did you mean "media"?',
        ),
        ('\n[broker]\nprofile = "x"', '3: broker.profile: there is no profile "x"; there is none'),
        ("api = 1", "1: api: expected a table, found a number"),
        ("[api]\nheader = 1", "2: api.header: expected a table, found a number"),
        (
            f'[api]\nheader = {{ AUTHORIZATION = "{LEAK}" }}',
            '2: api.header.AUTHORIZATION: secrets do not belong in this file: write { env = "…" } or { file = "…" }',
        ),
        (f'[api]\nheader = {{ X-Api-Key = "{LEAK}" }}', "2: api.header.X-Api-Key: secrets do not belong in this file"),
        (f'[api]\nheader = {{ Cookie = "{LEAK}" }}', "2: api.header.Cookie: secrets do not belong in this file"),
        ('[api]\nheader = { "a b" = "x" }', "2: api.header: 'a b' is not the name of an HTTP header"),
        ('[api]\nheader = { "X-名" = "x" }', "2: api.header: 'X-名' is not the name of an HTTP header"),
        ('[api]\nheader = { X-A = "a\\nb" }', "2: api.header: the value of X-A cannot travel in an HTTP header"),
        ('[api]\nheader = { X-A = "名" }', "2: api.header: the value of X-A cannot travel in an HTTP header"),
        ('[api]\nheader = { X-A = " a" }', "2: api.header: the value of X-A cannot travel in an HTTP header"),
        ('[api]\nheader = { X-A = "" }', "2: api.header.X-A: is empty"),
        ('[api]\nheader = { x-a = "a", X-A = "b" }', "2: api.header: has X-A twice"),
        ("[api]\ntimeout = 0", "2: api.timeout: expected a number above 0 and at most 3600, found the number 0"),
        ("[api]\ntimeout = nan", "2: api.timeout: expected a number"),
        ("[api]\ntimeout = inf", "2: api.timeout: expected a number"),
        ("[broker]\nport = 65536", "2: broker.port: expected a whole number from 0 to 65535, found the number 65536"),
        ("[broker]\nttl = 59", "2: broker.ttl: expected a whole number from 60 to 604800, found the number 59"),
        ("[broker]\nmax_size = 0", "2: broker.max_size: expected a whole number at least 1, found the number 0"),
        ('[broker]\nhost = ""', "2: broker.host: expected text of a length of at least 1"),
        ('[broker]\naccess = "none"', '2: broker.access: expected one of "business", "open", found the text "none"'),
        (
            '[broker]\naccess = "business"',
            '1: broker.business: is missing; write business = "module:object", or access = "open"',
        ),
        ('[broker]\nbusiness = "shop"', '2: broker.business: is not a Python object; write "module:object"'),
        ('[broker]\nnaming = "uuid"', '2: broker.naming: expected one of "keep", "date", "random"'),
        ('[broker]\nprefix = "/a"', "2: broker.prefix: cannot begin a key: key '/a' begins with '/'"),
        ('[broker]\nprefix = "a/../b/"', "2: broker.prefix: cannot begin a key: key 'a/../b' has the segment '..'"),
        ('[broker]\nprefix = "/"', "2: broker.prefix: cannot begin a key: key '' is empty"),
        ('[broker]\ncors_origins = ["https://a/b"]', "2: broker.cors_origins[0]: is not an origin"),
        ('[broker]\ndatabase = "mysql://h/d"', "2: broker.database: is not a database; write sqlite:///path or"),
        (
            '[broker]\nseal_keys = [{ env = "SHORT" }]',
            "2: broker.seal_keys[0]: expected a secret of a length of at least 32, as { env = ",
        ),
        (f'[broker]\nseal_keys = ["{LEAK}"]', "2: broker.seal_keys[0]: secrets do not belong in this file"),
    ],
)
def test_mistakes(tmp_path: Path, text: str, said: str) -> None:
    (message,) = wrong(tmp_path, text, {"SHORT": "x" * 31})
    assert message.startswith(said)


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://u:{LEAK}@h/d",
        f"postgresql+psycopg://u:a#{LEAK}@h/d",
        f"postgresql://h/d?user=u&PASSWORD={LEAK}",
        f"postgresql://:{LEAK}@h/d",
    ],
)
def test_a_database_password_in_the_file_is_refused(tmp_path: Path, url: str) -> None:
    (message,) = wrong(tmp_path, f'[broker]\ndatabase = "{url}"')
    assert "a password does not belong in this file: write the whole address as { env = " in message


@pytest.mark.parametrize(
    "url", ["sqlite://", "sqlite:///a/b.db", "postgresql://u@h:5432/d", "postgresql+psycopg:///d?host=/run/postgresql"]
)
def test_a_database_without_password(tmp_path: Path, url: str) -> None:
    assert read(tmp_path, f'[broker]\ndatabase = "{url}"').broker.database == url


@pytest.mark.parametrize(
    "url",
    ["ftp://h/", "h/path", "http://", "http:///p", "http://h:99999/", "http://h:x/", "http://h/a b", "http://[h/"],
)
def test_what_is_no_address(tmp_path: Path, url: str) -> None:
    text = f'[api]\ngettoken = "{url}"\nexists = "http://h/"\nnotifier = "http://h/"\n'
    assert wrong(tmp_path, text) == [
        "2: api.gettoken: is not an address; write it as http://host/path or https://host/path"
    ]


def test_an_address_with_a_password_is_refused(tmp_path: Path) -> None:
    text = f'[api]\ngettoken = "http://u:{LEAK}@h/"\nexists = "http://h/"\nnotifier = "http://h/"\n'
    (message,) = wrong(tmp_path, text)
    assert message.startswith("2: api.gettoken: has a user's name in it")


def test_all_calls_or_none(tmp_path: Path) -> None:
    assert wrong(tmp_path, '\n[api]\nexists = "http://h/e"\n') == [
        "2: api.gettoken: is missing; set all of gettoken, exists, notifier, or none of them",
        "2: api.notifier: is missing; set all of gettoken, exists, notifier, or none of them",
    ]
    env = {"VVOS_API__GETTOKEN": "http://h/g", "VVOS_API__NOTIFIER": "http://h/n"}
    assert read(tmp_path, '[api]\nexists = "http://h/e"\n', env).api.gettoken == "http://h/g"
    assert read(tmp_path, '[api]\nexists = "http://h/e"\n', {"VVOS_API__EXISTS": ""}).api.exists == ""


def test_an_empty_profile_name_is_none(tmp_path: Path) -> None:
    config = read(tmp_path, 'default_profile = ""\nbroker.profile = ""\n')
    assert (config.default_profile, config.broker.profile) == ("", "")


def test_business_may_come_from_the_environment_or_from_code(tmp_path: Path) -> None:
    env = {"VVOS_BROKER__BUSINESS": "a:b"}
    assert read(tmp_path, '[broker]\naccess = "business"\n', env).broker.business == "a:b"
    assert read(tmp_path, "[broker]\nport = 1\n").broker.access == "business"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("VVOS_BROKER", "is a table; set VVOS_BROKER__NAME instead"),
        ("VVOS_PROFILES", "is a table; set VVOS_PROFILES__NAME__KEY instead"),
        ("VVOS_PROFILES__A", "is a table; set VVOS_PROFILES__A__NAME instead"),
        ("VVOS_BROKER__PROT", "no such setting; did you mean VVOS_BROKER__PORT?"),
        ("VVOS_BORKER__PORT", "no such setting; did you mean VVOS_BROKER?"),
        ("VVOS_X__Y", "no such setting; there are VVOS_API, VVOS_BROKER, VVOS_DEFAULT_PROFILE, VVOS_PROFILES"),
        ("VVOS_DEFAULT_PROFILE", 'there is no profile "1"; there is "a"'),
        ("VVOS_BROKER__PROFILE", 'there is no profile "1"; there is "a"'),
        ("VVOS_PROFILES__A__ON_EXISTS", 'expected one of "fail", "skip", found the text "1"'),
        ("VVOS_API__TIMEOUT__X", "no such setting: api.timeout is not a table"),
    ],
)
def test_a_wrong_variable(tmp_path: Path, name: str, said: str) -> None:
    assert wrong(tmp_path, '[profiles.a]\nprovider = "s3"\n', {name: "1"}) == [f"{name}: {said}"]


def test_all_mistakes_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = f"""\
default_profile = "medai"

[profiles.media]
provder = "s3"

[api]
exists = "http://h/e"

[broker]
port = "{"x" * 3}"
seal_keys = ["{LEAK}"]
"""
    assert [message.split(": ")[:2] for message in wrong(tmp_path, text, {"VVOS_BROKER__TTLS": "1"})] == [
        ["1", "default_profile"],
        ["3", "profiles.media.provider"],
        ["4", "profiles.media.provder"],
        ["6", "api.gettoken"],
        ["6", "api.notifier"],
        ["10", "broker.port"],
        ["11", "broker.seal_keys[0]"],
        ["VVOS_BROKER__TTLS", "no such setting; did you mean VVOS_BROKER__TTL?"],
    ]


# Profiles


def test_a_profile_resolves_with_all_its_mistakes(tmp_path: Path) -> None:
    text = f"""\
[profiles.media]
provider = "s3"
on_exists = "skip"
on_exist = "fail"
part_size = "8"
secret_key = "{LEAK}"
"""
    env = {"VVOS_PROFILES__MEDIA__BUKCET": "b"}
    profile = read(tmp_path, text, env).profile()
    with pytest.raises(ConfigError) as caught:
        profile.resolve(Bucket)
    file = tmp_path / "vvos.toml"
    assert str(caught.value).splitlines() == [
        f'{file}:4: profiles.media.on_exist: no such setting; did you mean "on_exists"?',
        "VVOS_PROFILES__MEDIA__BUKCET: no such setting; did you mean VVOS_PROFILES__MEDIA__BUCKET?",
        f"{file}:1: profiles.media.bucket: is missing; it is text",
        f"{file}:6: profiles.media.secret_key: secrets do not belong in this file: "
        'write { env = "…" } or { file = "…" }',
        f'{file}:5: profiles.media.part_size: expected a whole number, found the text "8"',
    ]
    assert [str(mistake) for mistake in profile.mistakes(Bucket)] == str(caught.value).splitlines()
    assert LEAK not in repr(profile) + repr(profile.settings)


def test_a_profile_made_by_hand() -> None:
    profile = Profile(name="p", provider="s3", settings={"bucket": "b", "secret_key": Secret(LEAK)})
    assert profile.resolve(Bucket) == Bucket(bucket="b", secret_key=Secret(LEAK))
    unsafe = Profile(name="p", provider="s3", settings={"bucket": "b", "secret_key": LEAK})
    assert LEAK not in repr(unsafe) + repr(list(unsafe.__rich_repr__()))


def test_which_profile() -> None:
    a, b = Profile(name="a", provider="s3"), Profile(name="中", provider="s3")
    assert Config(profiles={"a": a}).profile() is a
    both = Config(profiles={"a": a, "中": b})
    assert both.profile("中") is b
    assert Config(default_profile="中", profiles=both.profiles).profile() is b
    assert Config(default_profile="中", profiles=both.profiles).profile("a") is a
    with pytest.raises(ConfigError, match='there are several profiles, "a", "中"; name one, or set default_profile'):
        both.profile()
    with pytest.raises(ConfigError, match='there is no profile "A"; did you mean "a"'):
        both.profile("A")
    with pytest.raises(ConfigError, match='there is no profile "xyz"; there is "a", "中"'):
        both.profile("xyz")
    with pytest.raises(ConfigError, match=r"no profile is configured; write \[profiles\.NAME\]"):
        Config().profile()


# For all files and environments


segments = st.sampled_from(
    ["PROFILES", "BROKER", "API", "HEADER", "PORT", "SEAL_KEYS", "A", "", "x", "DEFAULT_PROFILE"]
)


@given(
    st.recursive(
        st.booleans() | st.integers() | st.text(max_size=3),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["a", "provider", "header", "port", "seal_keys", "env", "file"]), inner)
        ),
        max_leaves=6,
    ),
    st.sampled_from(["default_profile", "profiles", "api", "broker"]),
    st.dictionaries(
        st.lists(segments, min_size=1, max_size=4).map(lambda names: "VVOS_" + "__".join(names)), st.text()
    ),
)
def test_any_file_is_read_or_refused(raw: Any, top: str, env: dict[str, str]) -> None:
    from vvos_core.profile import _assemble

    document = Document()
    document.values = {top: raw}
    config, mistakes = _assemble(document, env, ())
    assert bool(mistakes) or isinstance(config, Config)


def test_importing_costs_little() -> None:
    code = "import vvos_core.profile, sys; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "vvos_core.profile" in modules
    assert not {"tomllib", "tomli", "platformdirs", "difflib", "requests", "json", "pluggy"} & set(modules)


def test_a_client_does_not_need_the_secrets_of_the_broker_whose_file_it_shares(tmp_path: Path) -> None:
    (tmp_path / "vvos.toml").write_text(
        '[api]\ngettoken = "http://b/gettoken"\nexists = "http://b/exists"\nnotifier = "http://b/notifier"\n'
        '[broker]\nseal_keys = [{ env = "NOT_SET" }]\n'
    )
    with pytest.raises(ConfigError, match="NOT_SET"):
        load(env={}, cwd=tmp_path)
    assert load(env={}, cwd=tmp_path, broker=False).api.gettoken == "http://b/gettoken"
