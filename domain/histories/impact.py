"""What the recorded lives of a version's accounts would have been under other terms: the same replay under both, compared.

The record keeps equity as one-minute bars, so a replay knows each minute's open, extremes and close but not which
extreme came first (a rising minute is taken to have fallen first, a falling one to have risen first), and not what
happened between two fills of one minute. Where that decides otherwise than the live verdict, the comparison says so.
A history ends where the account's real life ended: who failed in truth shows no later trades.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from domain.errors import BadInput
from domain.histories.recorded import RecordedLife, events
from domain.histories.replay import Replay, replay
from domain.money import Money
from domain.payouts import amounts, eligibility
from domain.payouts.facts import GateFact, PayoutFacts
from domain.products.phase_terms import PhaseTerms, phase_terms
from domain.products.product import Product
from domain.rules.events import Event

Fate = Literal["failed", "expired", "in_evaluation", "funded", "paid"]
FATES: tuple[Fate, ...] = ("failed", "expired", "in_evaluation", "funded", "paid")


@dataclass(frozen=True, slots=True)
class LiveVerdict:
    """What the monitor decided on an account: its first standing breach, or its pass."""

    kind: Literal["breach", "pass", "none"]
    at: datetime | None = None
    rule_id: str | None = None


@dataclass(frozen=True, slots=True)
class PayoutRow:
    """A payout that was asked for and paid in truth."""

    payout_id: str
    requested_at: datetime
    gross_minor: int
    trader_minor: int


@dataclass(frozen=True, slots=True)
class AccountLife:
    """One phase of a challenge."""

    number: str
    phase_index: int
    life: RecordedLife
    live: LiveVerdict
    payouts: tuple[PayoutRow, ...] = ()


@dataclass(frozen=True, slots=True)
class ChallengeLife:
    """Its accounts in order of their phases."""

    challenge_id: str
    accounts: tuple[AccountLife, ...]


@dataclass(frozen=True, slots=True)
class Ending:
    """How a challenge ends under some terms: in which account, when (None: it goes on), by which rule, what was paid.

    `paid_minor`: the traders' shares; `verdicts`: account number -> outcome of its replay.
    """

    fate: Fate
    number: str
    phase_index: int
    at: datetime | None
    rule_id: str | None
    payouts: int
    paid_minor: int
    verdicts: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """One challenge under both versions. `differs_from_live`: where A's replay is not what the monitor decided."""

    challenge_id: str
    opened_at: datetime
    a: Ending
    b: Ending
    differs_from_live: tuple[str, ...]

    @property
    def changed(self) -> bool:
        return (self.a.fate, self.a.rule_id, self.a.payouts, self.a.paid_minor) != (
            self.b.fate,
            self.b.rule_id,
            self.b.payouts,
            self.b.paid_minor,
        )


@dataclass(frozen=True, slots=True)
class Totals:
    """All challenges under one version; money in minor units. `net_minor`: fees less what traders were paid."""

    fates: dict[Fate, int]
    fees_minor: int
    payouts: int
    paid_minor: int

    @property
    def net_minor(self) -> int:
        return self.fees_minor - self.paid_minor


def check_comparable(a: Product, b: Product) -> None:
    """Whether accounts of `a` can be replayed under `b`; raises BadInput with the field that differs."""
    for field, was, becomes in (
        ("currency", a.currency, b.currency),
        ("initial_balance", str(a.initial_balance), str(b.initial_balance)),
        ("phases", str(len(a.phases)), str(len(b.phases))),
    ):
        if was != becomes:
            raise BadInput(
                f"{a.ref} and {b.ref} cannot be compared on the same history: {field} is {was} and {becomes}.",
                field=field,
                remedy="Compare versions of the same size, currency and number of phases.",
            )


def compare(challenge: ChallengeLife, a: Product, b: Product) -> Comparison:
    """Replay one challenge under both versions."""
    ours = ending(challenge, a)
    return Comparison(
        challenge_id=challenge.challenge_id,
        opened_at=challenge.accounts[0].life.opened_at,
        a=ours,
        b=ending(challenge, b),
        differs_from_live=tuple(_differences(challenge, ours)),
    )


def ending(challenge: ChallengeLife, product: Product) -> Ending:
    """How the challenge ends under `product`: its phases one after the other, as far as they were passed."""
    verdicts: list[tuple[str, str]] = []
    for account in challenge.accounts:
        terms = phase_terms(product, account.phase_index)
        told = _judge(events(account.life, product), product, terms)
        verdicts.append((account.number, told.outcome))
        goes_on = told.outcome == "pass" and account is not challenge.accounts[-1]
        if not goes_on:
            return _ended(account, product, told, tuple(verdicts))
    raise ValueError("a challenge without accounts has no ending")


def _judge(happened: Iterable[Event], product: Product, terms: PhaseTerms) -> Replay:
    return replay(happened, terms, product.context(terms.phase_index))


def _ended(account: AccountLife, product: Product, told: Replay, verdicts: tuple[tuple[str, str], ...]) -> Ending:
    at, rule_id = None, None
    broken = next((breach for breach in told.breaches if breach.fails), None)
    if told.outcome == "breach" and broken is not None:
        at, rule_id = broken.at, broken.rule_id
    elif told.outcome == "expired":
        at = told.expired_at
    payouts, paid = _paid(account, product, at)
    funded = account.phase_index == product.funded_index
    fate: Fate = "in_evaluation"
    if payouts:
        fate = "paid"
    elif at is not None:
        fate = "failed" if told.outcome == "breach" else "expired"
    elif funded or (told.outcome == "pass" and account.phase_index + 1 == product.funded_index):
        fate = "funded"
    return Ending(fate, account.number, account.phase_index, at, rule_id, payouts, paid, verdicts)


def _paid(account: AccountLife, product: Product, until: datetime | None) -> tuple[int, int]:
    """(payouts, traders' shares in minor units) that these terms would have let out before the account ended."""
    if account.phase_index != product.funded_index:
        return 0, 0
    count = gross = shares = 0
    last: datetime | None = None
    for payout in account.payouts:
        if until is not None and payout.requested_at >= until:
            break
        facts = _facts(account, product, payout, last, count, gross, shares)
        asked = Money(minor=payout.gross_minor, currency=product.currency)
        if eligibility.refusals(facts, product.payout, asked):
            continue
        count, gross, last = count + 1, gross + payout.gross_minor, payout.requested_at
        shares += amounts.split(asked, product.payout, facts)[0].minor
    return count, shares


def _facts(
    account: AccountLife,
    product: Product,
    payout: PayoutRow,
    last: datetime | None,
    count: int,
    gross: int,
    shares: int,
) -> PayoutFacts:
    """The account as the request met it. What was paid before is what these terms would have let out."""
    terms = phase_terms(product, account.phase_index)
    before = account.life.until(payout.requested_at)
    told = _judge(events(before, product), product, terms)
    return PayoutFacts(
        now=payout.requested_at,
        challenge_state="funded",
        funded_at=account.life.opened_at,
        last_payout_at=last,
        balance_minor=told.balance_minor,
        initial_minor=product.initial_minor,
        open_positions=before.open_positions,
        open_payout_id=None,
        beneficiary_known=True,
        first_trade_at=account.life.first_trade_at,
        payouts_paid=count,
        paid_gross_minor=gross,
        paid_trader_minor=shares,
        deducted_minor=told.deducted_minor,
        gates=tuple(
            GateFact(rule_id=gate.id, met=status.met, sentence=status.sentence)
            for gate, status in told.gates
            if "payout" in gate.blocks
        ),
        last_fee_minor=product.fee_minor,
    )


def _differences(challenge: ChallengeLife, ours: Ending) -> Iterator[str]:
    """Where the replay under the accounts' own terms is not what was decided live, in words."""
    replayed = dict(ours.verdicts)
    for account in challenge.accounts:
        outcome = replayed.get(account.number)
        live = account.live
        decided = {"breach": "breach", "pass": "pass", "none": "in_progress"}[live.kind]
        if outcome is None:
            yield f"{account.number} had begun in truth, and is not reached by the replay"
        elif outcome != decided:
            when = f" at {live.at:%Y-%m-%d %H:%M:%S} UTC" if live.at else ""
            rule = f" of {live.rule_id}" if live.rule_id else ""
            words = outcome.replace("_", " ")
            yield f"{account.number}: live {decided.replace('_', ' ')}{rule}{when}, the replay by the minute says {words}"


def totals(product: Product, endings: Sequence[Ending]) -> Totals:
    """Every challenge pays the version's fee once."""
    fates: dict[Fate, int] = dict.fromkeys(FATES, 0)
    for one in endings:
        fates[one.fate] += 1
    return Totals(
        fates=fates,
        fees_minor=product.fee_minor * len(endings),
        payouts=sum(one.payouts for one in endings),
        paid_minor=sum(one.paid_minor for one in endings),
    )
