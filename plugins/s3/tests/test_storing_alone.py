"""The storing half needs neither keys nor an SDK; importing the plugin needs nothing at all."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
import vvos_s3
from msgspec.structs import replace

import vvos_core
from vvos_core.errors import PluginError
from vvos_core.model import MIB

PATHS = [str(Path(module.__file__).parent.parent) for module in (vvos_s3, vvos_core) if module.__file__]


def run(program: str, *arguments: str) -> str:
    """Run a program in a Python of its own, with the two packages to be found; what it printed."""
    code = f"import sys; sys.path[:0] = {PATHS!r}\n{program}"
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_the_plugin_imports_no_sdk() -> None:
    program = """
import vvos_s3
vvos_s3.S3(None).rules
heavy = {"boto3", "botocore", "moto", "awscrt", "requests", "urllib3"} & set(sys.modules)
print(sorted(heavy))
"""
    assert run(program).strip() == "[]"


def test_granting_single_puts_imports_no_sdk_either() -> None:
    program = """
from vvos_s3 import S3, Settings
from vvos_core.model import *
settings = Settings(bucket="b", access_key=Secret("a"), secret_key=Secret("s"))
ask = Ask(client_key="a", key="a", size=1)
S3(settings).token(TokenRequest(files=(ask,), request_token="x", issued_at=0, expires_at=60))
print(sorted({"boto3", "botocore", "moto", "requests"} & set(sys.modules)))
"""
    assert run(program).strip() == "[]"


BLOCKED = """
import importlib.abc, msgspec
class Blocked(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("boto3", "botocore", "s3transfer", "moto"):
            raise ImportError(f"{name} is not installed")
sys.meta_path.insert(0, Blocked())
from vvos_s3 import S3, Settings
from vvos_core.errors import PluginError
from vvos_core.model import *
"""


def test_storing_works_without_the_sdk_and_without_settings(bench: Any, s3_client: Any) -> None:
    content = bytes(range(256)) * (6 * MIB // 256)
    grant = bench.grant("文/大.bin", len(content))
    single = bench.grant("文/小.bin", 256)
    program = (
        BLOCKED
        + """
class Part:
    def __init__(self, number, offset, data): self.number, self.offset, self.data = number, offset, data
    def __len__(self): return len(self.data)
    def __iter__(self): yield memoryview(self.data)
s3 = S3(None)
large, small = (msgspec.json.decode(text, type=Grant) for text in sys.argv[1:])
content = bytes(range(256)) * (large.size // 256)
cut = Plan(size=large.size, multipart=True, part_size=large.part_size)
receipts = []
for number in range(1, cut.count + 1):
    offset, length = cut.span(number)
    receipts.append(s3.put_chunk(large, Part(number, offset, content[offset:offset + length])))
s3.complete(small, [s3.put_chunk(small, Part(1, 0, content[:256]))])
print(msgspec.json.encode(receipts).decode())
"""
    )
    printed = run(program, msgspec.json.encode(grant).decode(), msgspec.json.encode(single).decode())
    from vvos_core.model import Receipt

    receipts = msgspec.json.decode(printed, type=list[Receipt])
    sealed = bench.renewed(grant, checksum=bench.storing.checksum.combine(receipts))
    run(
        BLOCKED
        + """
receipts = msgspec.json.decode(sys.argv[2], type=list[Receipt])
S3(None).complete(msgspec.json.decode(sys.argv[1], type=Grant), receipts)
""",
        msgspec.json.encode(sealed).decode(),
        printed,
    )
    assert s3_client.get_object(Bucket="vvos", Key="文/大.bin")["Body"].read() == content
    assert s3_client.get_object(Bucket="vvos", Key="文/小.bin")["Body"].read() == content[:256]


def test_granting_without_the_sdk_says_what_to_install() -> None:
    program = (
        BLOCKED
        + """
settings = Settings(bucket="b", access_key=Secret("a"), secret_key=Secret("s"), endpoint="http://127.0.0.1:1")
ask = Ask(client_key="a", key="a", size=9 * MIB)
print(S3(settings).token(TokenRequest(files=(ask,), request_token="x", issued_at=0, expires_at=60)))
"""
    )
    assert "vvos-s3[broker]" in run(program)


def test_the_machines_own_aws_configuration_changes_nothing(tmp_path: Path, bench: Any) -> None:
    (tmp_path / "config").write_text("[default]\nregion = mars-1\nendpoint_url = http://127.0.0.1:1\n")
    info = bench.emulator.info
    program = """
import os
os.environ.update(AWS_PROFILE="nobody", AWS_CONFIG_FILE=sys.argv[1], AWS_ENDPOINT_URL="http://127.0.0.1:1")
from vvos_s3 import S3, Settings
from vvos_core.model import *
endpoint, key, secret = sys.argv[2:]
settings = Settings(bucket="vvos", endpoint=endpoint, access_key=Secret(key), secret_key=Secret(secret))
grant = Grant(provider="s3", key="a", client_key="a", size=1)
print(S3(settings).exists(ExistsRequest(grants=(grant,))))
"""
    printed = run(program, str(tmp_path / "config"), info["endpoint"], info["access_key"], info["secret_key"])
    assert printed.strip() == "[Found(key='a', exists=False, size=-1, checksum='', parts=None)]"


@pytest.mark.parametrize("call", ["token", "exists", "notify"])
def test_without_settings_only_storing_works(bench: Any, call: str) -> None:
    with pytest.raises(PluginError, match="without settings"):
        getattr(bench.storing, call)(bench.request())


def test_threads_share_a_provider(bench: Any, s3_client: Any) -> None:
    import threading

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
    stored = [s3_client.get_object(Bucket="vvos", Key=grant.key)["Body"].read() for grant in grants]
    assert stored == contents


def test_grants_travel_as_json(bench: Any) -> None:
    from vvos_core.model import Grant

    for size in (3, 6 * MIB):
        grant = bench.grant("文", size)
        assert msgspec.json.decode(msgspec.json.encode(grant), type=Grant) == grant
        assert replace(grant, data={}).data == {}
