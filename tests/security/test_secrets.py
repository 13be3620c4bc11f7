"""Canary secrets in every place that holds one, and a search for them wherever a person, a log or a file would show."""

from __future__ import annotations

import io
import logging
import os
import random
import tempfile
import traceback
from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import msgspec
import pytest

from vvos_core import VVOS, ApiSettings, Call, Grant, RetryPolicy, Secret, VVOSError
from vvos_core.broker import create_app
from vvos_core.broker.granting import Granting
from vvos_core.broker.seal import Seal
from vvos_core.broker.serve import BrokerServer
from vvos_core.cli import main
from vvos_core.loader import load, remote
from vvos_core.profile import BrokerSettings, Config, load as load_config
from vvos_core.testing.faults import FaultProxy, cut, swallow
from vvos_core.testing.secrecy import check_secrecy

from ..broker.fake import Bench
from .places import CLOUDS, SIZES

STATIC = {
    "access_key": "canary-ak-5b0c7e3f1d9a",
    "secret_key": "canary-sk-8f2e6a4c0b1d7e9f5a3c",
    "seal_key": "canary-seal-4d1f8b6e2c0a9d7f5e3b1c8a6f4d2e0b",
    "database_password": "canary-db-7c3e9a1f5d",
    "header": "Bearer canary-header-2a6e0c4f8b1d",
    "submitted_header": "canary-submit-6f1b3d5e7a9c",
    "webhook_secret": "canary-hook-9e7c5a3f1b0d2e4f",
}
"""What an operator or a user configures."""
FILES = {"小 1.txt": b"small", "空.bin": b"", "大.mp4": os.urandom(6 * 1024 * 1024)}


class Shown:
    """All that was shown, and the capabilities that were handed out meanwhile."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self.secrets: dict[str, Secret] = {name: Secret(value) for name, value in STATIC.items()}
        self.grants: list[Grant] = []

    def add(self, where: str, text: str) -> None:
        self.texts[where] = self.texts.get(where, "") + text

    def value(self, what: object) -> None:
        """A value as a debugger, a log line or a format string would show it."""
        name = type(what).__name__
        self.add(f"repr of {name}", f"{what!r} {what!s} {what} %r".replace("%r", repr([what])))
        if isinstance(what, BaseException):
            seen: BaseException | None = what
            while seen is not None:
                self.add(f"repr of {type(seen).__name__}", f"{seen!r} {seen.args!r}")
                seen = seen.__cause__ or seen.__context__
            lines = traceback.format_exception(what)
            self.add(f"traceback of {name}", "".join(lines))

    def search(self) -> None:
        assert self.texts, "nothing was shown: nothing was searched"
        for where, text in self.texts.items():
            check_secrecy(text, where, self.secrets, self.grants)


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Shown:
    """Keeps every grant and every accessToken that a broker of this process hands out."""
    kept = Shown()
    answer = Granting._answer

    def spied(self: Granting, token: str, expires_at: float, grants: Any, failed: Any) -> Any:
        kept.secrets[f"an accessToken ({len(kept.secrets)})"] = Secret(token)
        kept.grants += grants
        return answer(self, token, expires_at, grants, failed)

    monkeypatch.setattr(Granting, "_answer", spied)
    monkeypatch.setattr("tenacity.sleep_using_event", lambda event: lambda seconds: None)
    return kept


@pytest.fixture(params=CLOUDS)
def emulator(request: pytest.FixtureRequest) -> Iterator[Any]:
    """A cloud whose keys are canaries."""
    (point,) = entry_points(group="vvos.emulators", name=request.param)
    made = point.load()(access_key=STATIC["access_key"], secret_key=STATIC["secret_key"])
    with made as running:
        yield running


def toml(folder: Path, emulator: Any, url: str, patch: pytest.MonkeyPatch, cloud: str = "") -> Path:
    """A configuration file; the canaries are in the environment. ``cloud``: another address of the cloud's, if any."""
    variables = {
        "SEAL": STATIC["seal_key"],
        "HEADER": STATIC["header"],
        "HOOK": STATIC["webhook_secret"],
        "AK": STATIC["access_key"],
        "SK": STATIC["secret_key"],
    }
    for name, value in variables.items():
        patch.setenv(name, value)
    info = emulator.profile()
    path = folder / "vvos.toml"
    if cloud:
        info = {**info, **({"up_hosts": [cloud]} if info["provider"] == "qiniu" else {"endpoint": cloud})}
    own = {name: value for name, value in {**info, **SIZES[info["provider"]]}.items() if not isinstance(value, Secret)}
    lines = ["[profiles.p]", *(f"{name} = {msgspec.json.encode(value).decode()}" for name, value in own.items())]
    lines += ['access_key = { env = "AK" }', 'secret_key = { env = "SK" }']
    calls = [f'{name} = "{url}/{name}?app=7"' for name in ("gettoken", "exists", "notifier")]
    lines += ["[api]", *calls, 'header = { Authorization = { env = "HEADER" } }']
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def serving(emulator: Any, folder: Path, patch: pytest.MonkeyPatch) -> Config:
    """The broker's own configuration, with a webhook that nobody answers."""
    broker = folder / "broker.toml"
    text = toml(folder, emulator, "http://127.0.0.1:9", patch).read_text(encoding="utf-8").partition("[api]")[0]
    tail = f'[broker]\naccess = "open"\nseal_keys = [{{ env = "SEAL" }}]\ndatabase = "sqlite:///{folder}/broker.db"\n'
    tail += '[[broker.webhooks]]\nname = "app"\nurl = "http://127.0.0.1:9/hook"\nallow_private = true\n'
    tail += 'secret = { env = "HOOK" }\n'
    broker.write_text(text + tail, encoding="utf-8")
    return load_config(broker)


@pytest.fixture
def logs(caplog: pytest.LogCaptureFixture) -> Iterator[Callable[[], str]]:
    """Everything that is logged, at the finest level, but for what the clouds' SDKs tell their own debuggers: VVOS
    never switches that on."""
    caplog.set_level(logging.CRITICAL)
    ours = ("vvos", "urllib3", "requests", "sqlalchemy", "uvicorn", "starlette")
    stream = io.StringIO()
    formatter = logging.Formatter("%(name)s %(levelname)s %(message)s")

    class Collect(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.name.startswith(ours):
                stream.write(formatter.format(record) + "\n")

    handler = Collect()
    logging.getLogger().addHandler(handler)
    for name in ours:
        logging.getLogger(name).setLevel(logging.DEBUG)
    yield stream.getvalue
    logging.getLogger().removeHandler(handler)
    for name in ours:
        logging.getLogger(name).setLevel(logging.NOTSET)


ROUNDS = (("", 0.5, 0.5), ("1", 0.0, 1.0), ("1", 1.0, 0.0), ("", 0.0, 0.0))
"""VVOS_DEBUG, and how much of what goes to the broker and of what is put into the cloud gets lost."""


def lose(proxy: FaultProxy, share: float, chance: random.Random, *requests: tuple[str, str]) -> None:
    """From now on a share of these requests (method, target) is cut, or loses its answer."""
    proxy.pass_all()
    for method, target in requests:
        for nth in range(1, 300):
            if chance.random() < share:
                fault = chance.choice((swallow(), cut(chance.randrange(300))))
                proxy.stage(fault, method, target, nth=nth)


def test_no_canary_is_shown_by_a_run_of_uploads_that_fail_and_succeed(
    emulator: Any,
    tmp_path: Path,
    shown: Shown,
    logs: Callable[[], str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The command line against a broker and a cloud that cut, swallow and refuse, with tracebacks and without."""
    temporary, work, state = tmp_path / "tmp", tmp_path / "work", tmp_path / "state"
    for folder in (temporary, work):
        folder.mkdir()
    for name, data in FILES.items():
        (work / name).write_bytes(data)
    for variable in ("TMPDIR", "XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(variable, str(temporary))
    monkeypatch.setenv("VVOS_STATE", str(state))
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    monkeypatch.chdir(work)
    chance = random.Random(7)
    handlers = logging.getLogger().handlers[:]
    statuses = set()
    journals = b""
    with (
        BrokerServer(create_app(serving(emulator, tmp_path, monkeypatch))) as broker,
        FaultProxy(broker.url) as to_broker,
        FaultProxy(emulator.info["endpoint"]) as to_cloud,
    ):
        config = toml(tmp_path, emulator, to_broker.url, monkeypatch, to_cloud.url)
        for debug, of_calls, of_puts in ROUNDS:
            prefix = f"{of_calls}/{of_puts}/"
            monkeypatch.setenv("VVOS_DEBUG", debug)
            lose(to_broker, of_calls, chance, ("POST", ""))
            # What the SDKs ask is left alone: they would wait before they ask again.
            lose(to_cloud, of_puts, chance, ("PUT", ""), ("POST", "^/$"))
            for arguments in (
                ["put", *FILES, "--config", str(config), "--prefix", prefix, "--json"],
                ["put", *FILES, "--config", str(config), "--prefix", prefix, "--cover"],
                ["put", *FILES, "--config", str(config), "--prefix", f"p/{prefix}", "--profile", "p"],
                ["config", "check", "--config", str(config)],
                ["uploads"],
                ["uploads", "--json"],
            ):
                statuses.add(main(arguments))
            journals += b"".join(path.read_bytes() for path in state.iterdir() if path.is_file())
        monkeypatch.setenv("VVOS_DEBUG", "1")
        for arguments in (
            ["doctor", "--config", str(config)],
            ["doctor", "--config", str(config), "--json"],
            ["put", "小 1.txt", "--config", str(config), "--profile", "nosuch"],
            ["put", "小 1.txt", "--api", f"http://me:{STATIC['database_password']}@127.0.0.1:9/?k=7"],
            ["serve", "--config", str(config)],
            ["providers", "--json"],
        ):
            statuses.add(main(arguments))
    for arguments in (["outbox"], ["outbox", "--json"], ["deliver"], ["sweep"]):
        statuses.add(main(["broker", *arguments, "--config", str(tmp_path / "broker.toml")]))
    logging.getLogger().handlers = handlers
    out, err = capsys.readouterr()
    assert {0, 1, 2} <= statuses, "some succeeded, some failed, some were wrong"
    assert "Traceback" in err or "Traceback" in logs(), "tracebacks were among what was searched"
    assert b"\\u5927.mp4" in journals, "uploads were in the journal"
    for told in ('"clientKey":"0.0/1.0/大.mp4"', '"check":"cors"', '"listener":"app"'):
        assert told in out, "each command had something to show"
    shown.add("standard output", out)
    shown.add("standard error", err)
    shown.add("the log", logs())
    assert len(shown.grants) > 5
    for path in temporary.rglob("*"):
        if path.is_file():
            shown.add(f"the file {path.relative_to(tmp_path)}", path.read_bytes().decode("latin-1"))
    shown.search()
    # Both keep accessTokens, which the broker sealed and which expire, and say so in their documentation.
    without_tokens = {name: secret for name, secret in shown.secrets.items() if not name.startswith("an accessToken")}
    for where, kept in (("the broker's database", (tmp_path / "broker.db").read_bytes()), ("the journal", journals)):
        check_secrecy(kept.decode("latin-1"), where, without_tokens, shown.grants)


def test_no_canary_is_in_any_value_or_exception(
    emulator: Any, tmp_path: Path, shown: Shown, logs: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every object that a program has in its hands, printed every way; and every exception with all behind it."""
    config = serving(emulator, tmp_path, monkeypatch)
    profile = config.profile("p")
    calls = load(profile)
    settings = ApiSettings(header={"Authorization": Secret(STATIC["header"])})
    hidden = Secret(STATIC["webhook_secret"])
    postgres = f"postgresql://u:{STATIC['database_password']}@127.0.0.1:1/x"
    values = [
        config,
        config.broker,
        config.profiles,
        profile,
        calls,
        calls.store(calls.name),
        calls.store(calls.name).plugin,
    ]
    values += [settings, remote(settings), hidden, [hidden], {"a": hidden}, Seal(config.broker.seal_keys, 60)]
    values += [BrokerSettings(database=Secret(postgres), seal_keys=(Secret(STATIC["seal_key"]),))]
    for plugin in (calls._answering, remote(settings)._answering):
        values += [plugin, *vars(plugin).values()]
    with BrokerServer(create_app(config)) as broker:
        url = broker.url
        api = ApiSettings(
            gettoken=f"{url}/gettoken?k=7",
            exists=f"{url}/exists?k=7",
            notifier=f"{url}/notifier?k=7",
            header={"Authorization": Secret(STATIC["header"])},
        )
        for cover in (True, False):
            upload = VVOS(api=api, cover=cover, retry=RetryPolicy(attempts=1, base=0))
            upload.add_files([(data + (b"" if cover else b"!"), name) for name, data in FILES.items()])
            results = upload.submit(header={"X-Token": STATIC["submitted_header"]})
            values += [upload, api, *results, Call(header={"a": "b"})]
            values += [result.error for result in results if result.error is not None]
        assert any(result.error for result in results), "there were failures to look at"
    with pytest.raises(VVOSError) as caught:
        create_app(
            Config(
                profiles=config.profiles,
                broker=BrokerSettings(
                    database=Secret(postgres), seal_keys=(Secret(STATIC["seal_key"]),), access="open"
                ),
            )
        )
    values.append(caught.value)
    for grant in list(shown.grants):
        values.append(grant)
        spoiled = msgspec.structs.replace(grant, data={"token": {"x": str(grant.data)}, "put": 5, "presigned": []})
        with pytest.raises(VVOSError) as refused:
            calls.store(grant.provider).put_chunk(spoiled, _nothing())
        values.append(refused.value)
    for value in values:
        shown.value(value)
    shown.add("the log", logs())
    assert len(shown.grants) >= 5
    shown.search()


def _nothing() -> Any:
    from vvos_core.testing.doubles import Piece

    return Piece(b"", 1)


def test_a_secret_never_shows_itself_however_it_is_asked() -> None:
    secret = Secret(STATIC["secret_key"])
    for text in (
        repr(secret),
        str(secret),
        f"{secret} {secret!r}",
        "%s %r" % (secret, secret),  # noqa: UP031  # a way of showing, too
        repr({"a": (secret, [secret])}),
        repr(msgspec.structs.replace(BrokerSettings(), seal_keys=(secret,))),
    ):
        assert STATIC["secret_key"] not in text
    with pytest.raises(TypeError):
        msgspec.json.encode(secret)


def test_the_search_finds_what_is_shown(shown: Shown) -> None:
    """A canary that does get out is found: in a text, in an exception behind another, in a grant's data."""
    leaks: tuple[Callable[[], None], ...] = (
        lambda: shown.add("the log", f"using {STATIC['secret_key']}"),
        lambda: shown.value(_caused_by(ValueError(STATIC["header"]))),
        lambda: shown.value({"data": "https://s3.test/a?X-Amz-Signature=" + "f" * 64}),
    )
    for leak in leaks:
        shown.texts.clear()
        shown.grants[:] = [
            Grant(
                provider="s3",
                key="a",
                client_key="a",
                size=1,
                data={"put": "https://s3.test/a?X-Amz-Signature=" + "f" * 64},
            )
        ]
        leak()
        with pytest.raises(pytest.fail.Exception):
            shown.search()


def _caused_by(cause: Exception) -> Exception:
    try:
        try:
            raise cause
        except ValueError:
            raise VVOSError("it failed.") from None
    except VVOSError as error:
        return error


def test_the_brokers_answers_hold_no_secret_of_its_own(tmp_path: Path) -> None:
    """Also when everything goes wrong: a fault's text stays in the log, and the answer names only the request."""
    bench = Bench(f"sqlite:///{tmp_path / 'broker.db'}", seal_keys=(Secret(STATIC["seal_key"]),))

    def broken(name: str) -> None:
        raise RuntimeError(f"connecting with {STATIC['secret_key']} failed")

    bench.fake.before = broken
    try:
        answer = bench.gettoken("a")
        assert answer.status == 500
        assert "canary" not in str(answer.body)
    finally:
        bench.broker.close()
