"""Refusals about signing in, factors and step-ups; a part of the tree in domain/errors.py."""

from collections.abc import Sequence

from domain.errors import Conflict, NotAllowed, NotSignedIn


class StepUpRequired(NotAllowed):
    """The action needs a fresh proof. `action`: its class. `digest`: of what is decided. `methods`: the ways to prove
    it; none: the person must add a factor first. `problem`: why the proof that came with it was refused."""

    type = "step-up-required"

    def __init__(self, action: str, digest: str, methods: Sequence[str], *, problem: str = "") -> None:
        super().__init__(
            problem or "Confirm that it is you: this needs a proof that is less than five minutes old.",
            remedy=_remedy(methods),
        )
        self.action, self.digest, self.methods, self.problem = action, digest, tuple(methods), problem


def _remedy(methods: Sequence[str]) -> str:
    if not methods:
        return "Your role needs a second factor. Add one on the page Security, then decide again."
    first = "Have a link mailed with POST /v1/factors/link. " if "mail" in methods else ""
    return f"{first}Send the proof to POST /v1/step-ups with this action and digest, then repeat the request."


class ProofRefused(NotAllowed):
    """A password, code or passkey that does not prove who the person is."""

    type = "proof-refused"


class LastFactor(Conflict):
    """The last factor of a person whose role needs one."""

    type = "last-factor"


class SignInRefused(NotSignedIn):
    """A passkey or an identity provider that signs nobody in; says why as far as a stranger may know."""

    type = "sign-in-refused"


class EmailUnconfirmed(NotAllowed):
    type = "email-unconfirmed"

    def __init__(self) -> None:
        super().__init__(
            "Your e-mail address is not confirmed yet.",
            remedy="Open the link in the mail that we sent you, or ask for another mail.",
        )
