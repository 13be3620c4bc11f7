"""Cases: `diagnose`, where a provider has it, removes what was put, shows no secret, and never raises."""

from __future__ import annotations

import socket
import time

from ..model import DiagnoseRequest, Diagnosis
from .bench import Bench
from .doubles import content
from .secrecy import check_secrecy
from .verdict import fail


class DiagnoseCases(Bench):
    """A provider without the hook passes: it is optional."""

    def test_a_diagnosis_removes_what_was_put(self) -> None:
        grant, _ = self.upload(self.key("诊断.bin"), content(self.small))
        diagnosis = self.diagnosed(grant.key)
        if diagnosis is None:
            return
        wrong = [finding for finding in diagnosis.findings if finding.verdict == "fail"]
        if wrong:
            fail(f"diagnose finds {wrong[0]} where uploads work.", "say warn where it works all the same.")
        if self.found(grant).exists:
            fail("the object under request.key is still there after diagnose.", "remove it, or say that it is left.")

    def test_a_diagnosis_of_a_service_that_is_not_there(self) -> None:
        if self.address():
            with socket.socket() as taken:  # where nobody listens
                taken.bind(("127.0.0.1", 0))
                self.use(f"127.0.0.1:{taken.getsockname()[1]}")
                self.diagnosed(self.key("诊断.bin"))

    def diagnosed(self, key: str) -> Diagnosis | None:
        """What the provider finds; None where it does not look. Nothing of it may show a secret."""
        request = DiagnoseRequest(key=key, issued_at=time.time())
        diagnosis = self.kept("diagnose", lambda: self.calls.diagnose(request))
        if diagnosis is not None:
            check_secrecy(str(diagnosis), "a finding", self._secrets, self._grants)
        return diagnosis
