"""vvos_core.loader: finding the one provider that is named, and a sentence for whatever is wrong with it."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from vvos_core import ApiSettings, ConfigError, PluginError, Profile, VVOSError, hookimpl
from vvos_core.loader import Installed, installed, load, provider_class, remote, storing
from vvos_core.model import NotifyRequest, TokenRequest
from vvos_core.profile import load as load_config

GOOD = """
from typing import Any
import msgspec
from vvos_core import Rules, Secret, hookimpl

class Adder:
    name = "sum"
    def new(self): return None
    def combine(self, receipts): return ""

class Settings(msgspec.Struct):
    bucket: str
    secret_key: Secret | None = None

class Good:
    Settings = Settings
    rules = Rules(threshold=1, part_size=2, min_part=1, max_part=9, max_parts=9, max_key=99)
    checksum = Adder()
    def __init__(self, settings): self.settings = settings
    @hookimpl
    def token(self, request): return []
    @hookimpl
    def exists(self, request): return []
    @hookimpl
    def put_chunk(self, grant, chunk): return None
    @hookimpl
    def complete(self, grant, receipts): return None
    @hookimpl
    def notify(self, request): return []
"""


class Site:
    """A folder of installed distributions, as pip makes it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.modules: list[str] = []

    def install(self, distribution: str, providers: str, version: str = "1.2.3", **modules: str) -> None:
        """``providers``: the lines of the entry points' group; ``modules``: name and source of each."""
        info = self.folder / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[vvos.providers]\n{providers}\n")
        for name, source in modules.items():
            (self.folder / f"{name}.py").write_text(source)
            self.modules.append(name)
        importlib.invalidate_caches()


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    made = Site(folder)
    yield made
    for name in made.modules:
        sys.modules.pop(name, None)


def refused(name: str) -> str:
    with pytest.raises(PluginError) as caught:
        provider_class(name)
    message = str(caught.value)
    assert message.endswith((".", f"vvos-{name}"))
    assert "\n" not in message
    return message


def profile(name: str, **settings: object) -> Profile:
    return Profile(name="p", provider=name, settings=settings)


# ── the right one ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_provider_is_found_by_its_name_and_made_with_its_settings(site: Site) -> None:
    site.install("vvos-good", "good = good_provider:Good", good_provider=GOOD)
    calls = load(profile("good", bucket="桶"))
    assert calls.provider == "good"
    assert calls.rules.max_key == 99
    store = calls.store("good")
    assert getattr(store.plugin, "settings").bucket == "桶"  # noqa: B009  # the protocol knows no such attribute


def test_the_storing_half_is_made_without_settings(site: Site) -> None:
    site.install("vvos-good", "good = good_provider:Good", good_provider=GOOD)
    assert vars(storing("good").plugin) == {"settings": None}


def test_what_is_installed_is_told_without_importing_it(site: Site) -> None:
    site.install("vvos-zz", "zz = zz_provider:ZZ", zz_provider="raise SystemError('imported')")
    site.install("vvos-aa", "aa = aa_provider:AA\nbb = aa_provider:BB", "0.9", aa_provider="import sys; sys.exit(3)")
    ours = [item for item in installed() if item.name in ("aa", "bb", "zz")]
    assert ours == [
        Installed("aa", "vvos-aa", "0.9", "aa_provider:AA"),
        Installed("bb", "vvos-aa", "0.9", "aa_provider:BB"),
        Installed("zz", "vvos-zz", "1.2.3", "zz_provider:ZZ"),
    ]
    assert not {"aa_provider", "zz_provider"} & sys.modules.keys()


def test_what_is_installed_is_told_in_a_process_that_imports_nothing_heavy(site: Site) -> None:
    site.install("vvos-good", "good = good_provider:Good", good_provider=GOOD)
    code = (
        "import sys\n"
        f"sys.path.insert(0, {str(site.folder)!r})\n"
        "from vvos_core.loader import installed\n"
        "print([item.name for item in installed() if item.name == 'good'])\n"
        "print(sorted({'good_provider', 'requests', 'boto3', 'tenacity'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines() == ["['good']", "[]"]


# ── nobody, or too many ───────────────────────────────────────────────────────────────────────────────────────────────


def test_a_provider_that_nobody_offers_is_told_with_the_nearest_name_and_how_to_install_it(site: Site) -> None:
    site.install("vvos-kodo", "kodoxyz = kodo_provider:Kodo", kodo_provider=GOOD)
    message = refused("kodoxyy")
    assert "'kodoxyy'" in message
    assert "kodoxyz" in message
    assert "Did you mean kodoxyz?" in message
    assert "pip install vvos-kodoxyy" in message


def test_a_name_like_no_other_gets_no_suggestion(site: Site) -> None:
    site.install("vvos-kodo", "kodoxyz = kodo_provider:Kodo", kodo_provider=GOOD)
    message = refused("云存储")
    assert "Did you mean" not in message
    assert "kodoxyz" in message


def test_where_none_is_installed_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vvos_core.loader.distributions", lambda: ())
    assert "None is installed" in refused("s3")


def test_two_packages_that_claim_one_name_are_both_named(site: Site) -> None:
    site.install("vvos-good", "good = good_provider:Good", good_provider=GOOD)
    site.install("other-good", "good = good_provider:Good", "4.5")
    message = refused("good")
    assert "other-good 4.5, vvos-good 1.2.3" in message
    assert "Uninstall" in message


# ── one that is broken ────────────────────────────────────────────────────────────────────────────────────────────────

BROKEN = {
    "imports what is not there": ("import no_such_sdk", "ModuleNotFoundError: No module named 'no_such_sdk'"),
    "imports a name that is not there": ("from os import nothing_of_this_name", "ImportError"),
    "is not Python": ("class Good(:", "SyntaxError"),
    "raises at import": ("raise RuntimeError('at\\nimport')", "RuntimeError: at import"),
    "raises nothing but a name": ("raise RuntimeError", "RuntimeError"),
    "lacks the class": ("x = 1", "AttributeError"),
    "names no class": ("Good = 5", "int 5 instead of a class"),
    "names an instance": (GOOD + "\nGood = Good(None)", "instead of a class"),
    "lacks a hook": (GOOD.replace("def complete", "def completed"), "does not implement complete"),
    "lacks a marker": (GOOD.replace("@hookimpl\n    def token", "def token"), "does not implement token"),
    "lacks all": ("class Good: pass", "token, exists, put_chunk, complete, notify"),
    "lacks Settings": (GOOD.replace("    Settings = Settings\n", ""), "lacks the attribute Settings"),
    "lacks rules": (GOOD.replace("    rules = Rules", "    regeln = Rules"), "lacks the attribute rules"),
    "lacks a checksum": (GOOD.replace("    checksum = ", "    summe = "), "lacks the attribute checksum"),
    "has rules of another kind": (re.sub(r"rules = .*", "rules = {'max_key': 1}", GOOD), "rules of type dict"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_provider_is_told_with_its_package_and_version(what: str, site: Site) -> None:
    source, words = BROKEN[what]
    site.install("vvos-broken", "broken = broken_provider:Good", "7.8", broken_provider=source)
    message = refused("broken")
    assert words in message
    assert "the provider broken (vvos-broken 7.8, broken_provider:Good)" in message
    assert re.search(r"[Uu]pgrade (or reinstall )?vvos-broken|upgrade vvos-broken", message)


def test_a_broken_provider_disturbs_no_other(site: Site) -> None:
    site.install("vvos-broken", "broken = broken_provider:Good", broken_provider="raise RuntimeError")
    site.install("vvos-good", "good = good_provider:Good", good_provider=GOOD)
    assert provider_class("good").__name__ == "Good"
    refused("broken")
    assert load(profile("good", bucket="b")).provider == "good"


def test_a_package_without_metadata_disturbs_no_other(site: Site) -> None:
    site.install("vvos-good", "good = good_provider:Good", good_provider=GOOD)
    site.install("vvos-lost", "lost = lost_provider:Good", lost_provider="raise RuntimeError")
    (site.folder / "vvos_lost-1.2.3.dist-info" / "METADATA").unlink()
    ours = [item for item in installed() if item.name in ("good", "lost")]
    assert [(item.name, item.distribution, item.version) for item in ours] == [
        ("good", "vvos-good", "1.2.3"),
        ("lost", "a package without metadata", "?"),
    ]
    assert "a package without metadata" in refused("lost")
    assert provider_class("good").__name__ == "Good"


def test_an_entry_point_that_cannot_be_read_disturbs_no_other(site: Site) -> None:
    site.install("vvos-odd", "odd = not an object reference", good_provider=GOOD)
    site.install("vvos-good", "good = good_provider:Good")
    assert "odd" in [item.name for item in installed()]
    assert "vvos-odd 1.2.3" in refused("odd")
    assert provider_class("good").__name__ == "Good"


# ── one that cannot be made or registered ─────────────────────────────────────────────────────────────────────────────


def unloadable(site: Site, source: str) -> str:
    site.install("vvos-broken", "broken = broken_provider:Good", "7.8", broken_provider=source)
    with pytest.raises(PluginError) as caught:
        load(profile("broken", bucket="b"))
    message = str(caught.value)
    assert "the provider broken (vvos-broken 7.8, broken_provider:Good)" in message
    assert message.endswith(".")
    assert "\n" not in message
    return message


def test_a_hook_with_another_argument_is_told_by_its_name(site: Site) -> None:
    message = unloadable(site, GOOD.replace("def token(self, request)", "def token(self, anfrage)"))
    assert "'token'" in message
    assert "anfrage" in message


def test_a_hook_that_the_contract_does_not_know_is_told_by_its_name(site: Site) -> None:
    source = GOOD + "\n    @hookimpl\n    def teleport(self, grant): return None\n"
    assert "teleport" in unloadable(site, source)


def test_a_hook_with_fewer_arguments_is_good(site: Site) -> None:
    source = GOOD.replace("def complete(self, grant, receipts)", "def complete(self, grant)")
    site.install("vvos-good", "good = good_provider:Good", good_provider=source)
    assert load(profile("good", bucket="b")).provider == "good"


def test_a_provider_that_cannot_be_made_is_told(site: Site) -> None:
    source = GOOD.replace("self.settings = settings", "raise ValueError('no\\nluck')")
    assert "ValueError: no luck" in unloadable(site, source)
    with pytest.raises(PluginError, match=r"vvos-broken 7\.8.*no luck"):
        storing("broken")


def test_settings_that_are_no_class_of_settings_are_told(site: Site) -> None:
    assert "Settings that cannot be read" in unloadable(
        site, GOOD.replace("    Settings = Settings", "    Settings = 5")
    )


def test_an_error_of_ours_from_a_provider_comes_out_as_it_is(site: Site) -> None:
    source = GOOD.replace(
        "self.settings = settings",
        "\n        from vvos_core import ConfigError\n        raise ConfigError('endpoint: no such region.')",
    )
    site.install("vvos-good", "good = good_provider:Good", good_provider=source)
    with pytest.raises(ConfigError, match=r"^endpoint: no such region\.$"):
        load(profile("good", bucket="b"))


def test_mistakes_in_the_settings_come_with_their_place(site: Site, tmp_path: Path) -> None:
    site.install("vvos-good", "good = good_provider:Good", good_provider=GOOD)
    path = tmp_path / "vvos.toml"
    path.write_text(
        '[profiles."照片"]\nprovider = "good"\nbuckt = "b"\nsecret_key = "s3cr3t-s3cr3t"\n', encoding="utf-8"
    )
    with pytest.raises(ConfigError) as caught:
        load(load_config(path, env={}).profile())
    message = str(caught.value)
    assert f'{path}:3: profiles."照片".buckt: no such setting; did you mean' in message
    assert 'profiles."照片".bucket: is missing' in message
    assert f'{path}:4: profiles."照片".secret_key: secrets do not belong in this file' in message
    assert "s3cr3t" not in message


# ── plugins besides the provider ──────────────────────────────────────────────────────────────────────────────────────


class Listener:
    @hookimpl
    def notify(self, request: NotifyRequest) -> list[object]:
        return []


class Misnamed:
    @hookimpl
    def notify(self, objects: object) -> list[object]:
        return []


class Unknown:
    @hookimpl
    def notified(self, request: NotifyRequest) -> list[object]:
        return []


class Second:
    @hookimpl
    def token(self, request: TokenRequest) -> list[object]:
        return []


class Watch:
    @hookimpl(wrapper=True)
    def token(self, request: TokenRequest) -> Iterator[None]:
        return (yield)


API = ApiSettings(gettoken="http://127.0.0.1:1/t", notifier="http://127.0.0.1:1/n")


def load_beside(site: Site, where: str, *plugins: object) -> None:
    if where == "broker":
        remote(API, plugins)
        return
    site.install("vvos-good", "good = good_provider:Good", good_provider=GOOD)
    load(profile("good", bucket="b"), plugins)


@pytest.mark.parametrize("where", ["provider", "broker"])
def test_listeners_and_wrappers_stand_beside_the_one_that_answers(where: str, site: Site) -> None:
    load_beside(site, where, Listener(), Listener(), Watch())


@pytest.mark.parametrize("where", ["provider", "broker"])
@pytest.mark.parametrize(
    ("plugin", "words"),
    [(Misnamed(), "objects"), (Unknown(), "notified"), (Second(), "answers token, which only")],
)
def test_a_plugin_that_breaks_the_contract_is_refused_by_its_name(
    plugin: object, words: str, where: str, site: Site
) -> None:
    with pytest.raises(PluginError, match=words) as caught:
        load_beside(site, where, plugin)
    assert f"test_loader.{type(plugin).__name__}" in str(caught.value)
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("where", ["provider", "broker"])
def test_a_plugin_that_is_given_twice_is_refused(where: str, site: Site) -> None:
    one = Listener()
    with pytest.raises(PluginError, match=r"test_loader\.Listener .*registered"):
        load_beside(site, where, one, one)


def test_a_broker_that_names_a_provider_that_is_not_here_costs_those_files_only(site: Site) -> None:
    calls = remote(API)
    with pytest.raises(VVOSError, match="pip install vvos-nowhere"):
        calls.store("nowhere")
    site.install("vvos-good", "good = good_provider:Good", good_provider=GOOD)
    assert calls.store("good").rules.max_key == 99
