"""The firm's books: the postings of each business event. Debits are positive, credits negative; the sum is always zero.

Ledger accounts: `provider:{name}` (money at the provider, an asset), `fees` (income), `suspense` (money received
that was not due), `trader-payable` (the firm's debt to traders once a payout is reserved), `payout-expense` (profit
shares), `chargebacks` (loss). `account-profit` and `forfeited-profit` are memorandum accounts: not money of the
firm, but profit that left trading accounts and was paid to nobody.
"""

import hashlib
import json
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from domain.money import Currency, Money

EntryKind = Literal[
    "fee_paid",
    "fee_refunded",
    "fee_charged_back",
    "fee_partly_refunded",
    "payment_suspended",
    "suspense_refunded",
    "suspense_partly_refunded",
    "suspense_charged_back",
    "payout_reserved",
    "payout_released",
    "payout_sent",
    "payout_returned",
    "payout_forfeited",
    "forfeit_returned",
]


class Line(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    account: Annotated[str, Field(min_length=1, max_length=80)]
    currency: Currency
    amount_minor: int = Field(strict=True)


class Entry(BaseModel):
    """One ledger transaction to post. `key`: its business key. `reference`: its challenge or payout."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    kind: EntryKind
    reference: str
    lines: tuple[Line, ...]

    @model_validator(mode="after")
    def _sums_to_zero(self) -> Self:
        totals: dict[str, int] = {}
        for line in self.lines:
            totals[line.currency] = totals.get(line.currency, 0) + line.amount_minor
        if not self.lines or any(totals.values()):
            raise ValueError(f"ledger entry {self.key} does not sum to zero: {totals}")
        return self

    @property
    def digest(self) -> str:
        body = json.dumps({"v": 1, **self.model_dump(mode="json")}, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(body.encode()).hexdigest()


def _entry(kind: EntryKind, reference: str, amount: Money, debit: str, credit: str, suffix: str = "") -> Entry:
    return Entry(
        key=f"{reference}/{kind}{suffix}",
        kind=kind,
        reference=reference,
        lines=(
            Line(account=debit, currency=amount.currency, amount_minor=amount.minor),
            Line(account=credit, currency=amount.currency, amount_minor=-amount.minor),
        ),
    )


def fee_paid(challenge_id: str, fee: Money, provider: str) -> Entry:
    return _entry("fee_paid", challenge_id, fee, f"provider:{provider}", "fees")


def fee_refunded(challenge_id: str, fee: Money, provider: str) -> Entry:
    return _entry("fee_refunded", challenge_id, fee, "fees", f"provider:{provider}")


def fee_charged_back(challenge_id: str, fee: Money, provider: str) -> Entry:
    return _entry("fee_charged_back", challenge_id, fee, "chargebacks", f"provider:{provider}")


def fee_partly_refunded(challenge_id: str, part: Money, provider: str, number: int) -> Entry:
    """A part of the fee was refunded at the provider. `number` distinguishes several parts."""
    return _entry("fee_partly_refunded", challenge_id, part, "fees", f"provider:{provider}", f"/{number}")


def payment_suspended(challenge_id: str, paid: Money, provider: str) -> Entry:
    """Money was received that is not the fee that was due. A person decides about it."""
    return _entry("payment_suspended", challenge_id, paid, f"provider:{provider}", "suspense")


def suspense_refunded(challenge_id: str, paid: Money, provider: str) -> Entry:
    return _entry("suspense_refunded", challenge_id, paid, "suspense", f"provider:{provider}")


def suspense_partly_refunded(challenge_id: str, part: Money, provider: str, number: int) -> Entry:
    return _entry("suspense_partly_refunded", challenge_id, part, "suspense", f"provider:{provider}", f"/{number}")


def suspense_charged_back(challenge_id: str, paid: Money, provider: str) -> Entry:
    """The payer took suspended money back. It was never income of the firm, so it is no loss."""
    return _entry("suspense_charged_back", challenge_id, paid, "suspense", f"provider:{provider}")


def payout_reserved(payout_id: str, share: Money, refund: Money | None = None) -> Entry:
    """The trader's share becomes a debt of the firm while the payout is reviewed, and so does the refunded part of the
    fee."""
    return _with_refund(_entry("payout_reserved", payout_id, share, "payout-expense", "trader-payable"), refund, 1)


def payout_released(payout_id: str, share: Money, refund: Money | None = None) -> Entry:
    """Releases the reserve of a payout that will not be made."""
    return _with_refund(_entry("payout_released", payout_id, share, "trader-payable", "payout-expense"), refund, -1)


def _with_refund(entry: Entry, refund: Money | None, sign: Literal[1, -1]) -> Entry:
    if refund is None or not refund.minor:
        return entry
    lines = tuple(
        Line(account=account, currency=refund.currency, amount_minor=amount)
        for account, amount in (("fees", sign * refund.minor), ("trader-payable", -sign * refund.minor))
    )
    return entry.model_copy(update={"lines": (*entry.lines, *lines)})


def payout_forfeited(payout_id: str, excess: Money) -> Entry:
    """Profit above the cap that left the account and is paid to nobody."""
    return _entry("payout_forfeited", payout_id, excess, "account-profit", "forfeited-profit")


def forfeit_returned(payout_id: str, excess: Money) -> Entry:
    """Forfeited profit went back to the account, because its payout was not made."""
    return _entry("forfeit_returned", payout_id, excess, "forfeited-profit", "account-profit")


def payout_sent(payout_id: str, share: Money, provider: str) -> Entry:
    return _entry("payout_sent", payout_id, share, "trader-payable", f"provider:{provider}")


def payout_returned(payout_id: str, share: Money, provider: str) -> Entry:
    """The provider returned the money: the debt exists again until it is released."""
    return _entry("payout_returned", payout_id, share, f"provider:{provider}", "trader-payable")


def reversal(entry: Entry) -> Entry:
    """Returns the opposite postings with a key of their own. Mistakes are corrected this way, never by an update."""
    return entry.model_copy(
        update={
            "key": f"{entry.key}/reversal",
            "lines": tuple(line.model_copy(update={"amount_minor": -line.amount_minor}) for line in entry.lines),
        }
    )
