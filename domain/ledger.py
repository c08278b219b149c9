"""The firm's books: the postings of each business event. Debits are positive, credits negative; the sum is always zero.

domain/chart.py lists the accounts. A payout goes through the books like this:

- reserved: the profit share is a *pending* debt. Pending lines have balances of their own, apart from posted ones.
- released: the pending lines are taken back (void), or, after it was sent and returned, the debt is.
- sent: the pending lines are posted first (`payout_confirmed`), then the debt moves to `in-transit:{rail}`.
- settled: the rail's statement shows the money leave: it moves from `in-transit:{rail}` to `provider:{rail}`.
- returned: the debt exists again; `payout_return_settled` books the money when the statement shows it.

So the balance of `provider:{name}` is always that of the provider's own statement, as far as it was read.
Memorandum accounts are not money of the firm. No entry has lines of both.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from domain.chart import account_named
from domain.exchange import Conversion
from domain.money import Currency, Money
from domain.selling.price import Parts

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
    "payout_confirmed",
    "payout_converted",
    "payout_sent",
    "payout_settled",
    "payout_returned",
    "payout_return_settled",
    "payout_forfeited",
    "forfeit_returned",
    "provider_fee",
    "settlement_sent",
    "settlement_received",
    "break_closed",
    "fee_refund_failed",
    "suspense_refund_failed",
    "chargeback_taken",
    "chargeback_given_back",
    "chargeback_lost",
    "chargeback_loss_undone",
    "suspense_charge_lost",
    "chargeback_fee",
    "chargeback_fee_returned",
    "compensation_granted",
    "compensation_used",
    "compensation_returned",
]
Layer = Literal["posted", "pending"]

RESERVES: Final = frozenset({"payout_reserved"})  # its lines are pending
RELEASES: Final = frozenset({"payout_released"})  # its lines are pending while those of the reserve are
CONFIRMS: Final = frozenset({"payout_sent", "payout_converted"})  # the reserve must be posted before it


_PAYABLE: Final = "trader-payable"
_FX: Final = "fx-position"


def _known_account(name: str) -> str:
    account_named(name)
    return name


class Line(BaseModel):
    """`amount_minor`: a debit is positive, a credit negative; never 0."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    account: Annotated[str, Field(min_length=1, max_length=80), AfterValidator(_known_account)]
    currency: Currency
    amount_minor: int = Field(strict=True)
    layer: Layer = "posted"


class Entry(BaseModel):
    """One ledger transaction to post. `key`: its business key. `reference`: its challenge or payout. `evidence`: what
    an amount rests on, such as an exchange rate."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    kind: EntryKind
    reference: str
    lines: tuple[Line, ...]
    evidence: dict[str, str] | None = None

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        totals: dict[tuple[str, str], int] = {}
        for line in self.lines:
            if not line.amount_minor:
                raise ValueError(f"ledger entry {self.key} has a line of zero on {line.account}")
            side = line.currency, line.layer
            totals[side] = totals.get(side, 0) + line.amount_minor
        if not self.lines or any(totals.values()):
            raise ValueError(f"ledger entry {self.key} does not sum to zero: {totals}")
        if len({account_named(line.account).type == "memorandum" for line in self.lines}) > 1:
            raise ValueError(f"ledger entry {self.key} mixes money with memorandum accounts")
        return self

    @property
    def digest(self) -> str:
        """Returns the hash of the inputs: the same key with another hash is refused."""
        return _digest(self._inputs())

    @property
    def earlier_digest(self) -> str:
        """Returns the hash of the same event as earlier versions booked it: from the cash account at once."""
        inputs = self._inputs()
        for line in inputs["lines"]:
            line["account"] = line["account"].replace("in-transit:", "provider:")
        return _digest(inputs)

    def _inputs(self) -> dict[str, Any]:
        return self.model_dump(mode="json", exclude_defaults=True)

    def pending(self) -> "Entry":
        """Returns the same entry with pending lines."""
        return self.model_copy(
            update={"lines": tuple(line.model_copy(update={"layer": "pending"}) for line in self.lines)}
        )


def _digest(inputs: dict[str, Any]) -> str:
    body = json.dumps({"v": 1, **inputs}, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(body.encode()).hexdigest()


def _lines(amount: Money, debit: str, credit: str) -> tuple[Line, ...]:
    """Returns the two lines of an amount; none of an amount of zero."""
    if not amount.minor:
        return ()
    return (
        Line(account=debit, currency=amount.currency, amount_minor=amount.minor),
        Line(account=credit, currency=amount.currency, amount_minor=-amount.minor),
    )


def _entry(kind: EntryKind, reference: str, amount: Money, debit: str, credit: str, suffix: str = "") -> Entry:
    key = f"{reference}/{kind}{suffix}"
    return Entry(key=key, kind=kind, reference=reference, lines=_lines(amount, debit, credit))


def _nth(attempt: str) -> str:
    return f"/{attempt}" if attempt else ""


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
    """The trader's share becomes a pending debt of the firm while the payout is reviewed, and so does the refunded part
    of the fee."""
    return _reserve("payout_reserved", payout_id, share, refund)


def payout_released(payout_id: str, share: Money, refund: Money | None = None) -> Entry:
    """Releases the reserve of a payout that will not be made."""
    return _reserve("payout_released", payout_id, share, refund)


def _reserve(
    kind: Literal["payout_reserved", "payout_released"], payout_id: str, share: Money, refund: Money | None
) -> Entry:
    reserves = kind == "payout_reserved"
    lines: tuple[Line, ...] = ()
    for amount, account in ((share, "payout-expense"), (refund, "fees")):
        if amount is not None:
            debit, credit = (account, _PAYABLE) if reserves else (_PAYABLE, account)
            lines += _lines(amount, debit, credit)
    return Entry(key=f"{payout_id}/{kind}", kind=kind, reference=payout_id, lines=lines)


def payout_confirmed(payout_id: str, pending: Iterable[Line]) -> Entry:
    """Posts the reserve of a payout: what is pending becomes a debt. `pending`: the lines that are open."""
    lines = tuple(
        line.model_copy(update={"amount_minor": sign * line.amount_minor, "layer": layer})
        for line in pending
        for sign, layer in ((-1, "pending"), (1, "posted"))
    )
    return Entry(key=f"{payout_id}/payout_confirmed", kind="payout_confirmed", reference=payout_id, lines=lines)


def payout_converted(payout_id: str, conversion: Conversion, attempt: str = "") -> Entry:
    """The debt to a trader changes its currency, because the payout is sent in another one than the account's. Each
    currency sums to zero; `fx-position` holds what was sold and bought."""
    kind: Final = "payout_converted"
    return Entry(
        key=f"{payout_id}/{kind}{_nth(attempt)}",
        kind=kind,
        reference=payout_id,
        lines=_lines(conversion.sold, _PAYABLE, _FX) + _lines(conversion.bought, _FX, _PAYABLE),
        evidence=conversion.evidence(),
    )


def payout_forfeited(payout_id: str, excess: Money) -> Entry:
    """Profit above the cap that left the account and is paid to nobody."""
    return _entry("payout_forfeited", payout_id, excess, "account-profit", "forfeited-profit")


def forfeit_returned(payout_id: str, excess: Money) -> Entry:
    """Forfeited profit went back to the account, because its payout was not made."""
    return _entry("forfeit_returned", payout_id, excess, "forfeited-profit", "account-profit")


def payout_sent(payout_id: str, share: Money, provider: str, attempt: str = "") -> Entry:
    """The rail accepted the order. `attempt`: tells several sendings of one payout apart."""
    return _entry("payout_sent", payout_id, share, _PAYABLE, f"in-transit:{provider}", _nth(attempt))


def payout_settled(payout_id: str, share: Money, provider: str, attempt: str = "") -> Entry:
    """The rail's statement shows that the money left."""
    cash = f"provider:{provider}"
    return _entry("payout_settled", payout_id, share, f"in-transit:{provider}", cash, _nth(attempt))


def payout_returned(payout_id: str, share: Money, provider: str, attempt: str = "") -> Entry:
    """The rail returned the money, or never made the transfer: the debt exists again until it is released."""
    return _entry("payout_returned", payout_id, share, f"in-transit:{provider}", _PAYABLE, _nth(attempt))


def payout_return_settled(payout_id: str, share: Money, provider: str, attempt: str = "") -> Entry:
    """The rail's statement shows the returned money."""
    transit = f"in-transit:{provider}"
    return _entry("payout_return_settled", payout_id, share, f"provider:{provider}", transit, _nth(attempt))


# refunds and chargebacks, each an object of the acquirer. `refund_id`: the acquirer's. `number`: of the chargeback's
# entries, from 1


@dataclass(frozen=True, slots=True)
class ChargebackBooked:
    """The chargeback that an entry is about. `number`: of this entry, from 1."""

    id: str
    challenge_id: str
    provider: str
    number: int

    @property
    def cash(self) -> str:
        return f"provider:{self.provider}"

    def entry(self, kind: EntryKind, amount: Money, debit: str, credit: str) -> Entry:
        entry = _entry(kind, self.challenge_id, amount, debit, credit)
        return entry.model_copy(update={"key": f"{self.id}/{kind}/{self.number}"})


def refund_made(challenge_id: str, amount: Money, provider: str, refund_id: str, *, suspended: bool) -> Entry:
    """A part, or all, of a payment goes back to the buyer. `suspended`: it was never the fee that was due."""
    kind: EntryKind = "suspense_refunded" if suspended else "fee_refunded"
    debit = "suspense" if suspended else "fees"
    return _entry(kind, challenge_id, amount, debit, f"provider:{provider}", f"/{refund_id}")


def refund_failed(challenge_id: str, amount: Money, provider: str, refund_id: str, *, suspended: bool) -> Entry:
    """The buyer's bank did not take a refund: the money is back with the acquirer."""
    kind: EntryKind = "suspense_refund_failed" if suspended else "fee_refund_failed"
    credit = "suspense" if suspended else "fees"
    return _entry(kind, challenge_id, amount, f"provider:{provider}", credit, f"/{refund_id}")


def chargeback_taken(chargeback: ChargebackBooked, amount: Money) -> Entry:
    """The acquirer takes the disputed money. A negative amount: it gives it back."""
    kind: EntryKind = "chargeback_taken" if amount.minor > 0 else "chargeback_given_back"
    return chargeback.entry(kind, amount, "disputed", chargeback.cash)


def chargeback_lost(chargeback: ChargebackBooked, amount: Money, *, suspended: bool) -> Entry:
    """The buyer keeps the money. A negative amount: the bank has decided otherwise. Suspended money was never income,
    so it is no loss."""
    kind: EntryKind = "chargeback_lost" if amount.minor > 0 else "chargeback_loss_undone"
    if suspended:
        kind = "suspense_charge_lost"
    return chargeback.entry(kind, amount, "suspense" if suspended else "chargebacks", "disputed")


def chargeback_fee(chargeback: ChargebackBooked, amount: Money) -> Entry:
    """The acquirer's fee. A negative amount: it is returned."""
    kind: EntryKind = "chargeback_fee" if amount.minor > 0 else "chargeback_fee_returned"
    return chargeback.entry(kind, amount, "provider-fees", chargeback.cash)


def compensation_granted(compensation_id: str, amount: Money) -> Entry:
    """A trader gets a voucher: it is a debt until it is used."""
    return _entry("compensation_granted", compensation_id, amount, "goodwill", "vouchers-payable")


def compensation_used(compensation_id: str, amount: Money, challenge_id: str) -> Entry:
    """The voucher was a cost before, so the sale gives no discount. A negative amount: the sale was paid back."""
    kind: EntryKind = "compensation_used" if amount.minor > 0 else "compensation_returned"
    return _entry(kind, compensation_id, amount, "vouchers-payable", "discounts", f"/{challenge_id}")


# what a statement shows and nothing else books. `moved`: as the source has it, positive for money that came in


def statement_entry(
    kind: Literal["provider_fee", "settlement_sent", "settlement_received"],
    key: str,
    subject: str,
    moved: Money,
    source: str,
) -> Entry:
    """A fee that a provider took, or a settlement from an acquirer to the firm's bank: it is on its way between the two
    statements that show it."""
    against = "provider-fees" if kind == "provider_fee" else "settlements"
    return Entry(key=key, kind=kind, reference=subject, lines=_lines(moved, f"provider:{source}", against))


def break_closed(
    break_id: str, number: int, difference: Money, account: str, against: str, evidence: dict[str, str]
) -> Entry:
    """A person explains a difference that reconciliation found: `account` gets what the source has more than the books.
    `number`: how often the break was opened."""
    return Entry(
        key=f"{break_id}/break_closed/{number}",
        kind="break_closed",
        reference=break_id,
        lines=_lines(difference, account, against),
        evidence=evidence,
    )


def in_parts(entry: Entry, parts: Parts) -> Entry:
    """Returns an entry about a sale with its line on `fees` divided: the price before discounts on `fees`, the
    discounts on `discounts`, the taxes on `taxes-payable`. `parts`: of the amount, positive when money came in and
    negative when it went back."""
    line = next(each for each in entry.lines if each.account == "fees")
    if line.amount_minor != -parts.total_minor:
        raise ValueError(f"ledger entry {entry.key}: the parts of {-line.amount_minor} are {parts}")
    amounts = (
        ("fees", -parts.gross_minor),
        ("discounts", parts.discount_minor),
        ("taxes-payable", -parts.tax_minor),
    )
    divided = tuple(
        line.model_copy(update={"account": account, "amount_minor": minor}) for account, minor in amounts if minor
    )
    return entry.model_copy(update={"lines": (*(each for each in entry.lines if each is not line), *divided)})


def reversal(entry: Entry) -> Entry:
    """Returns the opposite postings with a key of their own. Mistakes are corrected this way, never by an update."""
    return entry.model_copy(
        update={
            "key": f"{entry.key}/reversal",
            "lines": tuple(line.model_copy(update={"amount_minor": -line.amount_minor}) for line in entry.lines),
        }
    )
