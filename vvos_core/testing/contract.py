"""`ProviderContract`: all the cases of the kit, as one test class to subclass."""

from __future__ import annotations

from .case_diagnose import DiagnoseCases
from .case_errors import ErrorCases
from .case_grants import GrantCases
from .case_hooks import HookCases
from .case_notify import NotifyCases
from .case_packaging import PackagingCases
from .case_resume import ResumeCases
from .case_roundtrip import RoundTripCases
from .case_rules import RuleCases


class ProviderContract(
    PackagingCases,
    RuleCases,
    RoundTripCases,
    HookCases,
    ResumeCases,
    NotifyCases,
    GrantCases,
    ErrorCases,
    DiagnoseCases,
):
    """What every provider has to pass. Subclass it as ``Test…``, and override what `author.Author` lists.

    A case that fails says in one sentence what was wrong, and in another what to do about it. ``docs/hooks.md`` says
    what each hook has to answer.
    """
