"""Providers whose `diagnose` does harm or tells nothing; each has one mistake."""

from __future__ import annotations

from vvos_core import DiagnoseRequest, Diagnosis, Finding, hookimpl

from .mistakes import Named, caught_by


@caught_by("test_a_diagnosis_removes_what_was_put", "is still there after diagnose")
class LeavesWhatItTried(Named):
    @hookimpl
    def diagnose(self, request: DiagnoseRequest) -> Diagnosis:
        return Diagnosis()


@caught_by("test_a_diagnosis_removes_what_was_put", "where uploads work")
class CriesWolf(Named):
    @hookimpl
    def diagnose(self, request: DiagnoseRequest) -> Diagnosis:
        super().diagnose(request)
        return Diagnosis(findings=(Finding(check="bucket", verdict="fail", message="the folder is too blue."),))
