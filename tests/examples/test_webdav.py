"""The example provider works as its tutorial says: it passes the kit, its gate lets nothing else in, files arrive."""

from __future__ import annotations

import ast
import http.client
import io
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from xml.etree import ElementTree as ET

import pytest
from vvos_webdav.signing import sign
from webdav_gate import Gate
from webdav_gate.serve import server

from ..docs.blocks import blocks
from ..kit import broken_bytes, broken_errors, broken_grants, broken_repeats, broken_resume, broken_web
from ..kit.mistakes import MISTAKES

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "docs" / "examples" / "webdav"
PAGE = ROOT / "docs" / "write-a-provider.md"
MODULES = sorted(EXAMPLE.rglob("*.py"))
BROKEN = (broken_bytes, broken_errors, broken_grants, broken_repeats, broken_resume, broken_web)
SECRET = "of-these-tests-only-0123456789-秘密"
GIVEN_UP = re.compile(
    r"cannot: (multipart|checksums|abort|list the parts|list unfinished uploads)|or the service keeps no type"
)
"""Why a case may be skipped: what WebDAV cannot do."""


def test_it_passes_the_kit(tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}"],
        cwd=EXAMPLE,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    cases = list(ET.parse(report).iter("testcase"))
    skipped = {str(item.get("message")) for case in cases for item in case if item.tag == "skipped"}
    assert not [reason for reason in skipped if not GIVEN_UP.search(reason)]
    assert len([case for case in cases if not len(case)]) > 60


def test_it_is_short_and_uses_the_face_of_the_core_alone() -> None:
    plugin = [path for path in MODULES if path.parent.name == "vvos_webdav"]
    assert sum(len(path.read_text(encoding="utf-8").splitlines()) for path in plugin) < 200
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("vvos_core"):
                assert node.module in ("vvos_core", "vvos_core.testing"), f"{path.name} imports {node.module}"


# ── the tutorial ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_tutorial_shows_the_files_whole_and_in_order() -> None:
    rest = {path: path.read_text(encoding="utf-8") for path in [*MODULES, EXAMPLE / "pyproject.toml"]}
    profile = blocks(PAGE, "toml")[-1]
    for block in [*blocks(PAGE, "toml")[:-1], *blocks(PAGE, "python")]:
        path = next((path for path, text in rest.items() if text.lstrip("\n").startswith(block)), None)
        assert path is not None, f"this is not what comes next in any of the files:\n{block}"
        rest[path] = rest[path].lstrip("\n")[len(block) :]
    assert not [path for path, text in rest.items() if text.strip()], "the tutorial leaves something out"
    assert profile in (EXAMPLE / "README.md").read_text(encoding="utf-8")


def test_what_the_tutorial_lets_the_kit_say_the_kit_says() -> None:
    """The words of each row are those by which a broken provider of the kit's own tests is told."""
    table = PAGE.read_text(encoding="utf-8").partition("\n## The commonest mistakes")[2]
    rows = re.findall(r"^\| .* \| `(.*)` \|$", table, re.MULTILINE)
    assert len(rows) > 20
    assert BROKEN, "importing these fills MISTAKES"
    assert not set(rows) - {mistake.words for mistake in MISTAKES.values()}


def test_files_arrive_as_the_tutorial_says(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "影片 1.mp4").write_bytes(b"film" * 100_000)
    (tmp_path / "vvos.toml").write_text(blocks(PAGE, "toml")[-1])
    env = {**os.environ, "WEBDAV_SECRET": SECRET, "XDG_CONFIG_HOME": str(tmp_path)}
    serving = subprocess.Popen(
        [sys.executable, "-m", "webdav_gate", "files", "0"], cwd=tmp_path, env=env, stdout=subprocess.PIPE, text=True
    )
    try:
        assert serving.stdout is not None
        address = serving.stdout.readline().strip()
        env["VVOS_PROFILES__FILES__URL"] = address
        vvos = [sys.executable, "-m", "vvos_core.cli"]
        for command in (["config", "check"], ["put", "影片 1.mp4", "--profile", "files"]):
            done = subprocess.run([*vvos, *command], cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
        assert f"{address}/%E5%BD%B1%E7%89%87%201.mp4" in done.stdout
    finally:
        serving.terminate()
        serving.communicate()
    assert (tmp_path / "files" / "影片 1.mp4").read_bytes() == b"film" * 100_000


# ── the gate ─────────────────────────────────────────────────────────────────────────────────────────────────────────


class Place(NamedTuple):
    folder: Path
    port: int

    def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            fields = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, {"Content-Length": str(len(body)), **fields})
            return connection.getresponse().status
        finally:
            connection.close()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("files")
    running, _ = server(str(folder), SECRET)
    running.prepare()
    thread = threading.Thread(target=running.serve)
    thread.start()
    yield Place(folder, running.bind_addr[1])
    running.stop()
    thread.join()


@pytest.fixture
def place(served: Place) -> Place:
    """A server with nothing in it."""
    for path in served.folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return served


def leave(path: str, size: str, *, media_type: str = "text/plain", cover: bool = True, seconds: float = 60) -> str:
    expires = str(time.time() + seconds)
    return f"VVOS {expires} {sign(SECRET, expires, path, size, media_type, cover)}"


def test_the_gate_lets_in_what_is_signed(place: Place) -> None:
    assert place.ask("PUT", "/a/b.txt", b"12", Authorization=leave("/a/b.txt", "2"), Content_Type="text/plain") == 201
    assert (place.folder / "a" / "b.txt").read_bytes() == b"12"
    assert place.ask("GET", "/a/b.txt") == 200


@pytest.mark.parametrize("method", ["PUT", "DELETE", "MKCOL", "MOVE", "COPY", "PROPFIND", "PROPPATCH", "LOCK", "POST"])
def test_the_gate_refuses_what_is_not_signed_and_what_is_no_put(place: Place, method: str) -> None:
    (place.folder / "old.txt").write_text("old")
    assert place.ask(method, "/old.txt", b"12", Destination="/new.txt") == 403
    if method != "PUT":
        signed = leave("/old.txt", "2")
        assert place.ask(method, "/old.txt", b"12", Authorization=signed, Content_Type="text/plain") == 403
    assert [(path.name, path.read_text()) for path in place.folder.iterdir()] == [("old.txt", "old")]


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"path": "/other.txt"}, 403),
        ({"size": "3"}, 403),
        ({"media_type": "text/html"}, 403),
        ({"cover": False}, 403),
        ({"seconds": -1}, 401),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_the_gate_refuses_what_was_signed_otherwise(
    place: Place, change: dict[str, str | bool | float], status: int
) -> None:
    asked: dict[str, object] = {"path": "/a.txt", "size": "2", **change}
    signed = leave(**asked)  # type: ignore[arg-type]  # the values are those of its arguments
    assert place.ask("PUT", "/a.txt", b"12", Authorization=signed, Content_Type="text/plain") == status
    assert not list(place.folder.iterdir())


@pytest.mark.parametrize("header", ["", "VVOS", "VVOS 1", "VVOS 1 é", "Basic dTpw", "VVOS nan " + "0" * 64])
def test_the_gate_refuses_what_is_no_leave(place: Place, header: str) -> None:
    assert place.ask("PUT", "/a.txt", b"12", Authorization=header) == 403


@pytest.mark.parametrize("announced", [{}, {"Content-Length": "2"}], ids=["no length", "the granted length"])
def test_a_body_in_chunks_is_no_way_to_a_larger_object(place: Place, announced: dict[str, str]) -> None:
    fields = {"Authorization": leave("/a.txt", "2"), "Content-Type": "text/plain", "Transfer-Encoding": "chunked"}
    connection = http.client.HTTPConnection("127.0.0.1", place.port, timeout=10)
    connection.putrequest("PUT", "/a.txt")
    for name, value in {**fields, **announced}.items():
        connection.putheader(name, value)
    connection.endheaders(b"3\r\n123\r\n0\r\n\r\n")
    connection.getresponse()
    connection.close()
    assert [path.read_bytes() for path in place.folder.iterdir()] in ([], [b"12"])


def test_the_gate_lets_in_one_at_a_time() -> None:
    """Two puts that find nothing under a key would both put it there."""
    together = threading.Barrier(2)
    alone: list[bool] = []

    def behind(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        try:
            together.wait(0.5)  # for the other one, which must not come
            alone.append(False)
        except threading.BrokenBarrierError:
            alone.append(True)
        start_response("201 Created", [])
        return []

    def put() -> None:
        wanted = {"REQUEST_METHOD": "PUT", "PATH_INFO": "/a", "CONTENT_LENGTH": "0", "CONTENT_TYPE": "text/plain"}
        signed = {"HTTP_AUTHORIZATION": leave("/a", "0"), "wsgi.input": io.BytesIO()}
        list(gate({**wanted, **signed}, lambda *_: lambda _: None))

    gate = Gate(behind, SECRET)
    threads = [threading.Thread(target=put) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert alone == [True, True]
