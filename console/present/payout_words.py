"""What the trader reads on the page of a payout, in place of the effect of a decision."""

from console.formats import plain_money, words
from domain.money import Money
from store.read.payouts import PayoutView


def trader_effect(row: PayoutView) -> str:
    sent = plain_money(Money(minor=row.sent_minor, currency=row.currency))
    if row.conversion is not None:
        sent += f" ({plain_money(Money(minor=row.paid_minor, currency=row.paid_currency))})"
    account = row.beneficiary or "your bank account"
    if row.told:
        return row.told
    if row.state in ("requested", "reserved", "in_review"):
        return f"Your request is being checked. If it is approved, {sent} goes to {account}."
    if row.state == "awaiting_approval":
        return f"Your request waits for approval. Then {sent} goes to {account}."
    if row.state == "approved":
        return f"Your request is approved. {sent} has not been sent yet; it goes to {account}."
    if row.state == "sent":
        return f"{sent} was sent to {account}. It has not arrived yet."
    if row.state in ("settling", "paid"):
        return f"{sent} arrived at {account}."
    return f"This payout is {words(row.state)}."
