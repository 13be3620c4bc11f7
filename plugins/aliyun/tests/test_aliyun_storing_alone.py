"""The storing half needs neither keys nor an SDK; importing the plugin needs nothing at all; threads share it."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest
import vvos_aliyun
from msgspec.structs import replace

import vvos_core
from vvos_core import Grant, PluginError

PATHS = [str(Path(module.__file__).parent.parent) for module in (vvos_aliyun, vvos_core) if module.__file__]


def run(program: str, *arguments: str) -> str:
    """Run a program in a Python of its own, with the two packages to be found; what it printed."""
    code = f"import sys; sys.path[:0] = {PATHS!r}\n{program}"
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_the_plugin_imports_no_sdk() -> None:
    program = """
import vvos_aliyun
vvos_aliyun.Aliyun(None).rules
print(sorted({"oss2", "crcmod", "Crypto", "fastcrc", "requests", "urllib3", "werkzeug"} & set(sys.modules)))
"""
    assert run(program).strip() == "[]"


def test_granting_single_puts_imports_no_sdk_either() -> None:
    program = """
from vvos_aliyun import Aliyun, Settings
from vvos_core import Ask, Secret, TokenRequest
settings = Settings(bucket="bilder", region="cn-hangzhou", access_key=Secret("a"), secret_key=Secret("s"))
ask = Ask(client_key="a", key="a", size=1)
Aliyun(settings).token(TokenRequest(files=(ask,), request_token="x", issued_at=0, expires_at=60))
print(sorted({"oss2", "crcmod", "requests"} & set(sys.modules)))
"""
    assert run(program).strip() == "[]"


BLOCKED = """
import importlib.abc, msgspec
class Blocked(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("oss2", "crcmod", "Crypto", "aliyunsdkcore", "werkzeug"):
            raise ImportError(f"{name} is not installed")
sys.meta_path.insert(0, Blocked())
from vvos_aliyun import Aliyun, Settings
from vvos_core import *
from vvos_core import Ask, ExistsRequest, Grant, Plan, Secret, TokenRequest
"""


@pytest.mark.parametrize("kind", ["bench", "sts_bench"])
def test_storing_works_without_the_sdk_and_without_settings(
    request: pytest.FixtureRequest, kind: str, aliyun_bucket: Any
) -> None:
    bench = request.getfixturevalue(kind)
    content = bytes(range(256)) * 1200
    large, small = bench.grant("文/大.bin", len(content)), bench.grant("文/小.bin", 256)
    program = (
        BLOCKED
        + """
class Part:
    def __init__(self, number, offset, data): self.number, self.offset, self.data = number, offset, data
    def __len__(self): return len(self.data)
    def __iter__(self): yield memoryview(self.data)
storing = Aliyun(None)
large, small = (msgspec.json.decode(text, type=Grant) for text in sys.argv[1:])
content = bytes(range(256)) * (large.size // 256)
cut = Plan(size=large.size, multipart=True, part_size=large.part_size)
receipts = []
for number in range(1, cut.count + 1):
    offset, length = cut.span(number)
    receipts.append(storing.put_chunk(large, Part(number, offset, content[offset:offset + length])))
storing.complete(large, receipts)
storing.complete(small, [storing.put_chunk(small, Part(1, 0, content[:256]))])
"""
    )
    run(program, msgspec.json.encode(large).decode(), msgspec.json.encode(small).decode())
    assert aliyun_bucket.get_object("文/大.bin").read() == content
    assert aliyun_bucket.get_object("文/小.bin").read() == content[:256]


def test_granting_parts_without_the_sdk_says_what_to_install() -> None:
    program = (
        BLOCKED
        + """
settings = Settings(bucket="bilder", region="cn-hangzhou", access_key=Secret("a"), secret_key=Secret("s"))
ask = Ask(client_key="a", key="a", size=9 << 20)
print(Aliyun(settings).token(TokenRequest(files=(ask,), request_token="x", issued_at=0, expires_at=60)))
"""
    )
    assert "vvos-aliyun[broker]" in run(program)


@pytest.mark.parametrize("call", ["token", "exists", "notify"])
def test_without_settings_only_storing_works(bench: Any, call: str) -> None:
    with pytest.raises(PluginError, match="without settings"):
        getattr(bench.storing, call)(bench.request())


def test_a_netrc_of_the_machine_changes_nothing(bench: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert bench.grant("a", 300_000).upload_id


def test_threads_share_a_provider(bench: Any) -> None:
    contents = [bytes([number]) * 1000 for number in range(16)]
    grants = [bench.grant(f"文/{number}", 1000) for number in range(16)]
    threads = [
        threading.Thread(target=bench.store, args=(grant, content))
        for grant, content in zip(grants, contents, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [b"".join(bench.emulator.read(grant.key)) for grant in grants] == contents


def test_grants_travel_as_json_and_show_nothing(bench: Any, sts_bench: Any) -> None:
    for made in (bench, sts_bench):
        for size in (3, 300_000):
            grant = made.grant("文", size)
            assert msgspec.json.decode(msgspec.json.encode(grant), type=Grant) == grant
            assert "x-oss" not in repr(grant)
            assert replace(grant, data={}).data == {}


def test_ten_thousand_parts_are_less_than_half_a_megabyte(bench: Any) -> None:
    grant = bench.grant("a", 10_000 * 102_400)
    assert len(msgspec.json.encode(grant)) < 440_000
