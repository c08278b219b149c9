"""Decides what one booking of the bank means for the order that it names. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from adapters.bank.camt import Booking

# Statuses of orders. waiting: not in a file yet; sent: in a file; never: refused when it was made.
OrderStatus = Literal["waiting", "sent", "paid", "refused", "returned", "cancelled", "never"]
_LEFT: Final = ("sent", "paid", "returned")


@dataclass(frozen=True)
class Order:
    """`debits`, `credits`: how many bookings of it the statements have had: money out, and money back."""

    key: str
    amount_minor: int
    status: OrderStatus
    debits: int
    credits: int


@dataclass(frozen=True)
class Meaning:
    """`kind`: as in ports/statements.py. `status`: the order's new status, None for no change. `problem`: why a person
    must look at the booking. `charges_minor`: what banks kept of money that came back; it belongs to the fees."""

    kind: str
    status: OrderStatus | None = None
    failure: str | None = None
    problem: str | None = None
    charges_minor: int = 0


def meaning(
    booking: Booking,
    order: Order | None,
    in_statement: bool,
    settlements_from: Sequence[str],
    charges_up_to: int = 0,
) -> Meaning:
    """A notification tells of the same money as the statement after it, so it never counts as a second booking.
    `charges_up_to`: so many minor units can be missing of a return whose file states no charges."""
    if order is None:
        return Meaning(_kind_without_order(booking, settlements_from))
    kind = "transfer" if booking.amount_minor < 0 else "transfer_return"
    charges = _charges_of_return(booking, order, charges_up_to)
    if abs(booking.amount_minor) + charges != order.amount_minor:
        return Meaning(
            kind,
            problem=f"Transfer {order.key} is of {order.amount_minor} minor units; the bank booked"
            f" {booking.amount_minor}. Ask the bank why.",
        )
    if order.status not in _LEFT:
        return Meaning(
            kind, problem=f"The bank booked transfer {order.key}, which is {order.status}. Ask the bank why."
        )
    if booking.amount_minor < 0:
        return _money_out(order, in_statement)
    return replace(_money_back(booking, order, in_statement), charges_minor=charges)


def _charges_of_return(booking: Booking, order: Order, up_to: int) -> int:
    """Returns what banks kept of a return: exactly the charges that the file states, or, without any, a difference of
    at most `up_to`. Returns 0 for a difference that they do not explain."""
    missing = order.amount_minor - booking.amount_minor
    if booking.returned is None or booking.amount_minor <= 0 or missing <= 0:
        return 0
    explained = missing == booking.charges_minor if booking.charges_minor else missing <= up_to
    return missing if explained else 0


def _kind_without_order(booking: Booking, settlements_from: Sequence[str]) -> str:
    if booking.is_fee:
        return "fee"
    if booking.amount_minor < 0:
        return "debit"
    debtor = booking.debtor.casefold()
    return "settlement" if any(name.casefold() in debtor for name in settlements_from) else "credit"


def _money_out(order: Order, in_statement: bool) -> Meaning:
    if in_statement and order.debits > order.credits:
        return Meaning(
            "transfer", problem=f"The bank booked transfer {order.key} twice. Ask the bank for the money back."
        )
    return Meaning("transfer", "paid" if order.status == "sent" else None)


def _money_back(booking: Booking, order: Order, in_statement: bool) -> Meaning:
    if booking.reversal and order.debits > order.credits + 1:
        return Meaning("transfer_return", problem=f"The bank took back its second booking of transfer {order.key}.")
    if booking.returned is None and not booking.reversal:
        return Meaning(
            "transfer_return",
            problem=f"Money came in that names transfer {order.key} and is no return. Ask the bank what it is.",
        )
    if in_statement and order.credits >= order.debits:
        return Meaning(
            "transfer_return",
            problem=f"The bank booked more money back of transfer {order.key} than it took. Ask the bank why.",
        )
    failure = booking.returned or "reversed by the bank"
    return Meaning("transfer_return", None if order.status == "returned" else "returned", failure)
