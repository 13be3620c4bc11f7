"""Cases: the package is found by its name, loads without its SDK, and reads its settings strictly."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from typing import Any

import msgspec
import pytest

from ..errors import PluginError, VVOSError
from ..loader import installed
from ..model import Ask, Receipt
from .bench import Bench
from .doubles import content
from .verdict import fail

_IMPORTED = """
import sys
from vvos_core.loader import provider_class
plugin = provider_class(sys.argv[1])(None)
plugin.rules, plugin.checksum
print(",".join(sorted({name.partition(".")[0] for name in sys.modules} & set(sys.argv[2].split(",")))))
"""
_STORED = """
import base64, json, sys
import msgspec

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in sys.argv[2].split(","):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
from vvos_core.loader import storing
from vvos_core.model import Grant
from vvos_core.source import BytesSource
given = json.load(sys.stdin)
data = base64.b64decode(given["data"])
grant = msgspec.convert(given["grant"], Grant)
receipt = storing(sys.argv[1]).put_chunk(grant, BytesSource(data, "kit").chunk(1, 0, len(data)))
sys.stdout.buffer.write(msgspec.json.encode(receipt))
"""


class PackagingCases(Bench):
    def test_one_entry_point_has_the_name(self) -> None:
        points = [item for item in installed() if item.name == self.name]
        if len(points) != 1:
            fail(
                f"{len(points)} packages offer the provider {self.name!r}.",
                'name it once, in [project.entry-points."vvos.providers"], and install the package.',
            )
        if not (self.name.isascii() and self.name.islower() and self.name.replace("-", "_").isidentifier()):
            fail(
                f"{self.name!r} is no good name.",
                "use one word of lower-case letters and digits: it is in every grant.",
            )

    def test_importing_the_plugin_does_not_import_its_sdk(self) -> None:
        self._skip_without_sdk()
        imported = self._python(_IMPORTED).decode().strip()
        if imported:
            fail(
                f"importing the plugin, and making it without settings, imports {imported}.",
                "import the SDK in the function that needs it first: every command of every user pays for it.",
            )

    def test_storing_needs_no_sdk(self) -> None:
        self._skip_without_sdk()
        data = content(self.small)
        grant = self.grant(self.key(), len(data))
        given = {"grant": msgspec.to_builtins(grant), "data": base64.b64encode(data).decode()}
        answer = self._python(_STORED, json.dumps(given).encode())
        receipt = msgspec.json.decode(answer, type=Receipt)
        self.complete(grant, [receipt])
        self.check_object(grant.key, data, "put by a process without the SDK")

    def test_an_unknown_setting_is_refused(self) -> None:
        self.use()
        profile = self.made_profile(changes={"no_such_setting": 1})
        mistakes = profile.mistakes(self.plugin_class().Settings)
        if not any("no_such_setting" in str(mistake) for mistake in mistakes):
            fail(
                "a profile with the unknown setting no_such_setting is taken for good.",
                "make Settings a msgspec.Struct or a dataclass with a field for each setting, and no others.",
            )

    def test_without_settings_it_says_that_it_can_only_store(self) -> None:
        plugin: Any = self.store.plugin
        request = self.request(Ask(client_key="a", key=self.key(), size=1))
        try:
            answer = plugin.token(request=request)
        except PluginError as error:
            self.shown(error)
        except (VVOSError, Exception) as error:  # noqa: BLE001  # whatever comes instead is the finding
            fail(
                f"token of a plugin that was made without settings failed with {error!r}.",
                "raise PluginError with a sentence: only put_chunk, complete and abort work from a grant alone.",
            )
        else:
            fail(f"token of a plugin that was made without settings answered {answer!r}.", "raise PluginError.")

    def _skip_without_sdk(self) -> None:
        if not self.sdk:
            pytest.skip("no SDK is declared (sdk = …)")

    def _python(self, code: str, given: bytes = b"") -> bytes:
        """What a fresh interpreter prints for ``code``, with this one's path."""
        done = subprocess.run(
            [sys.executable, "-c", code, self.name, ",".join(self.sdk)],
            input=given,
            capture_output=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            timeout=60,
            check=False,
        )
        if done.returncode:
            # Of a chain the first error comes first; what is not indented and has a colon is an error's text.
            lines = done.stderr.decode(errors="replace").splitlines()
            said = [line for line in lines if line[:1].strip() and ": " in line] or ["it said nothing"]
            fail(
                f"a process without the SDK ({', '.join(self.sdk)}) failed: {said[0]}",
                "keep the SDK to the granting side.",
            )
        return done.stdout
