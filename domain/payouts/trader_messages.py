"""The messages that the trader reads about a payout that is on hold or has ended. Reasons of the firm are left out."""

from typing import Final, Literal

from domain import wording
from domain.money import Money

UNDER_REVIEW: Final = "The payout is under review."
NOT_ACCEPTED: Final = "The payment provider did not accept the transfer. The firm is looking into it."
NOT_HELD: Final = (
    "The trading platform could not set the money aside, so the payout was not made. Nothing left the account."
)
BACK_ALREADY: Final = "Payout cancelled. The money is back on the account."


def by_person(choice: str, reason: str, gross: Money) -> str:
    """Returns the message when a person ended the payout. Only "return_to_trader" has a reason for the trader."""
    if choice == "return_to_trader":
        return f"Payout returned to you: {wording.sentence(reason)} {_back(gross)}"
    return f"Payout {'rejected' if choice == 'reject' else 'cancelled'}. {_back(gross)}"


def by_risk(outcome: Literal["cancel", "reject"], why: str, gross: Money) -> str:
    """Returns the message when the risk checks ended the payout. `why`: a sentence for the trader."""
    return f"Payout {'rejected' if outcome == 'reject' else 'cancelled'}. {why} {_back(gross)}"


def sent_after_all(sent: Money) -> str:
    return f"{sent} was sent to your bank account."


def timed_out(gross: Money) -> str:
    return f"The payout was not decided in time. {_back(gross)} You can ask again."


def sent_back(sent: Money) -> str:
    return (
        f"The bank or the payment provider sent {sent} back. The firm decides how it is paid. "
        "Check your bank account details."
    )


def released(gross: Money) -> str:
    return f"The transfer did not arrive. {_back(gross)}"


def lost(gross: Money) -> str:
    return (
        "The payout was not made. A rule was broken, and your balance was brought back to the initial one, so"
        f" {gross} of profit does not go back to the account."
    )


def kept(sent: Money) -> str:
    return f"The firm owes you {sent} and pays it once it can be sent."


def not_possible(reasons: list[str]) -> str:
    return f"This payout cannot be made: {'; '.join(reasons)}."


def _back(gross: Money) -> str:
    return f"{gross} goes back to the account."
