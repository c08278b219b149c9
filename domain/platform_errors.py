"""Refusals of a change of platform, and of what has to wait for one. domain/errors.py has the whole tree."""

from collections.abc import Sequence

from domain.errors import Conflict


class PlatformChangeRefused(Conflict):
    type = "platform-change-refused"

    def __init__(self, reasons: Sequence[str]) -> None:
        super().__init__(
            " ".join(reasons), field="account", remedy="Settle what is named here first, then propose the change again."
        )
        self.reasons = tuple(reasons)


class PlatformChanges(Conflict):
    type = "platform-changes"

    def __init__(self) -> None:
        super().__init__(
            "The account is on its way to another platform.",
            field="account",
            remedy="Wait until the account trades at its new platform, and ask again.",
        )
