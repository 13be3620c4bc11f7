"""What the cases judge a provider's answers and errors with."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from ..errors import ContractBroken, VVOSError
from ..model import Grant, Secret, Stored
from .author import Author
from .secrecy import check_secrecy
from .verdict import fail

T = TypeVar("T")


class Judge(Author):
    """Knows the profile's secrets and the grants that were given, so that none of them is shown to anybody."""

    _grants: list[Grant]
    _secrets: dict[str, Secret]

    def kept(self, hook: str, call: Callable[[], T]) -> T:
        """What a call answers; the case fails when it breaks the contract's form, or fails without a reason."""
        try:
            return call()
        except ContractBroken as error:
            fail(str(error), f"see {hook} in docs/hooks.md: what it answers, and which errors it may raise.")
        except VVOSError as error:
            self.shown(error)
            fail(f"{hook} failed where it should not: {error!r}.", "find out why; this use of it is an ordinary one.")

    def refused(self, what: str, call: Callable[[], object], *kinds: type[VVOSError], mend: str) -> VVOSError:
        """The error that ``call`` raises; the case fails when there is none, or of another kind (no kind: any)."""
        error: VVOSError | None = None
        try:
            answer = call()
        except VVOSError as raised:
            error = raised
        if error is None:
            fail(f"{what}: it was not refused, but answered {type(answer).__name__}.", mend)
        if kinds and not isinstance(error, kinds):
            names = " or ".join(kind.__name__ for kind in kinds)
            fail(f"{what}: it failed with {error!r}, and {names} was expected.", mend)
        return self.shown(error)

    def again(self, hook: str, call: Callable[[], object], *over: type[VVOSError]) -> None:
        """``call``, made a second time: it answers, or says with one of ``over`` that there is nothing left to do."""
        try:
            answer = call()
        except over as error:
            self.shown(error)
        except VVOSError as error:
            names = " or ".join(kind.__name__ for kind in over)
            fail(
                f"{hook}, called again because its answer was lost, failed with {self.shown(error)!r}.",
                f"answer as the first time, or raise {names}: then the engine looks at what is there.",
            )
        else:
            if hook == "complete" and not isinstance(answer, Stored):
                fail(f"complete answered {answer!r} the second time.", "answer Stored, as the first time.")

    def shown(self, error: VVOSError) -> VVOSError:
        """``error``, if it shows no secret and no grant."""
        check_secrecy(error, "an error", self._secrets, self._grants)
        return error

    def check_object(self, key: str, expected: bytes, what: str) -> None:
        """The case fails unless the object under ``key`` is ``expected``, read without the plugin."""
        try:
            got = self.read(key)
        except NotImplementedError:
            raise
        except Exception as error:  # noqa: BLE001  # whatever the author's SDK raises for an object that is not there
            fail(f"{what}: read({key!r}) failed with {type(error).__name__}: {error}.", "the object should be there.")
        if got == expected:
            return
        first = next(
            (i for i, (a, b) in enumerate(zip(got, expected, strict=False)) if a != b), min(len(got), len(expected))
        )
        fail(
            f"{what}: the object under {key!r} has {len(got)} bytes, expected were {len(expected)}; "
            f"they differ from byte {first} on.",
            "store exactly the bytes that the chunks give, each at its place.",
        )
