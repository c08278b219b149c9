"""The impact of other terms on recorded accounts: the same replay under two versions, compared.

The record stores equity as one-minute bars. A replay therefore knows the open, high, low and close of each minute, but
not the order of high and low (in a rising minute the low is assumed first, in a falling minute the high), and not what
happened between two fills of one minute. Old minutes are kept as hours: then the same is true of an hour. A bar is seen
at its end, after the fills and resets within it. Where the replay differs from the live decision, the comparison says
so. A history ends where the real account ended: an account that failed has no later trades.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from domain.errors import BadInput
from domain.histories.recorded import RecordedLife, events
from domain.histories.replay import replay
from domain.histories.results import Replay
from domain.money import Money
from domain.payouts import amounts, eligibility
from domain.payouts.facts import GateFact, PayoutFacts
from domain.products.phase_terms import PhaseTerms, phase_terms
from domain.products.product import Product
from domain.rules.events import Event
from domain.wording import name

Fate = Literal["failed", "expired", "in_evaluation", "funded", "paid"]
FATES: tuple[Fate, ...] = ("failed", "expired", "in_evaluation", "funded", "paid")


@dataclass(frozen=True, slots=True)
class LiveDecision:
    """The decision of the monitor on an account: its first breach that was not overturned, or its pass."""

    kind: Literal["breach", "pass", "none"]
    at: datetime | None = None
    rule_id: str | None = None


@dataclass(frozen=True, slots=True)
class PayoutRow:
    """A payout that was really requested and paid."""

    payout_id: str
    requested_at: datetime
    gross_minor: int
    trader_minor: int


@dataclass(frozen=True, slots=True)
class AccountLife:
    """One account of a challenge. `initial_minor`: its size; None: that of its phase."""

    number: str
    phase_index: int
    life: RecordedLife
    live: LiveDecision
    payouts: tuple[PayoutRow, ...] = ()
    initial_minor: int | None = None

    def terms(self, product: Product) -> PhaseTerms:
        return phase_terms(product, self.phase_index, initial_minor=self.initial_minor)


@dataclass(frozen=True, slots=True)
class ChallengeLife:
    """A challenge: its accounts in the order of their phases."""

    challenge_id: str
    accounts: tuple[AccountLife, ...]


@dataclass(frozen=True, slots=True)
class Ending:
    """The end of a challenge under some terms: the account, the instant (None: it continues), the rule, the payouts.

    `paid_minor`: the traders' shares. `verdicts`: (account number, outcome of its replay).
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
    """One challenge under both versions. `differs_from_live`: where the replay under A differs from the live
    decision. `by_the_hour`: the equity of some of it is known by the hour only."""

    challenge_id: str
    opened_at: datetime
    a: Ending
    b: Ending
    differs_from_live: tuple[str, ...]
    by_the_hour: bool = False

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
    """All challenges under one version; money in minor units. `net_minor`: fees minus the traders' shares."""

    fates: dict[Fate, int]
    fees_minor: int
    payouts: int
    paid_minor: int

    @property
    def net_minor(self) -> int:
        return self.fees_minor - self.paid_minor


def check_comparable(a: Product, b: Product) -> None:
    """Checks that accounts of `a` can be replayed under `b`. Raises BadInput with the field that differs."""
    for field, was, becomes in (
        ("currency", a.currency, b.currency),
        ("phases", str(len(a.phases)), str(len(b.phases))),
        ("initial_balance", a.sizes, b.sizes),
    ):
        if was != becomes:
            raise BadInput(
                f"{a.ref} and {b.ref} cannot be compared on the same history: {field} is {was} and {becomes}.",
                field=field,
                remedy="Compare versions of the same size, currency and number of phases.",
            )


def compare(challenge: ChallengeLife, a: Product, b: Product) -> Comparison:
    """Replays one challenge under both versions."""
    ours = ending(challenge, a)
    return Comparison(
        challenge_id=challenge.challenge_id,
        opened_at=challenge.accounts[0].life.opened_at,
        a=ours,
        b=ending(challenge, b),
        differs_from_live=tuple(_differences(challenge, ours)),
        by_the_hour=any(account.life.by_the_hour for account in challenge.accounts),
    )


def ending(challenge: ChallengeLife, product: Product) -> Ending:
    """Returns the end of the challenge under `product`: its phases in order, until one is not passed."""
    verdicts: list[tuple[str, str]] = []
    for account in challenge.accounts:
        terms = account.terms(product)
        replayed = _judge(events(account.life, product, terms.initial_minor), terms)
        verdicts.append((account.number, replayed.outcome))
        continues = replayed.outcome == "pass" and account is not challenge.accounts[-1]
        if not continues:
            return _ended(account, product, replayed, tuple(verdicts))
    raise ValueError("a challenge without accounts has no ending")


def _judge(recorded: Iterable[Event], terms: PhaseTerms) -> Replay:
    return replay(recorded, terms, terms.context)


def _ended(account: AccountLife, product: Product, replayed: Replay, verdicts: tuple[tuple[str, str], ...]) -> Ending:
    at, rule_id = None, None
    broken = next((breach for breach in replayed.breaches if breach.fails), None)
    if replayed.outcome == "breach" and broken is not None:
        at, rule_id = broken.at, broken.rule_id
    elif replayed.outcome == "expired":
        at = replayed.expired_at
    payouts, paid = _paid(account, product, at)
    funded = account.phase_index == product.funded_index
    fate: Fate = "in_evaluation"
    if payouts:
        fate = "paid"
    elif at is not None:
        fate = "failed" if replayed.outcome == "breach" else "expired"
    elif funded or (replayed.outcome == "pass" and account.phase_index + 1 == product.funded_index):
        fate = "funded"
    return Ending(fate, account.number, account.phase_index, at, rule_id, payouts, paid, verdicts)


def _paid(account: AccountLife, product: Product, until: datetime | None) -> tuple[int, int]:
    """Returns (number of payouts, traders' shares in minor units) that these terms allow before the account ends."""
    if account.phase_index != product.funded_index:
        return 0, 0
    made = list[_Made]()
    for payout in account.payouts:
        if until is not None and payout.requested_at >= until:
            break
        facts = _facts(account, product, payout, made)
        asked = Money(minor=payout.gross_minor, currency=product.currency)
        if eligibility.refusals(facts, product.payout, asked):
            continue
        amount = amounts.payout_amount(facts, product.payout, product.currency, payout.gross_minor)
        made.append(_Made(payout.requested_at, payout.gross_minor, amount.trader, amount.balance))
    return len(made), sum(one.share_minor for one in made)


class _Made(NamedTuple):
    """A payout that these terms allow. `left_minor`: the balance that it leaves."""

    at: datetime
    gross_minor: int
    share_minor: int
    left_minor: int


def _facts(account: AccountLife, product: Product, payout: PayoutRow, made: Sequence[_Made]) -> PayoutFacts:
    """Returns the account at the request. Earlier payouts are those that these terms allow, of this account alone."""
    terms, now = account.terms(product), payout.requested_at
    before = account.life.until(now)
    replayed = _judge(events(before, product, terms.initial_minor), terms)
    last = made[-1] if made else None
    traded = [fill for fill in before.fills if fill.entry == "in"]
    opened = {fill.position_id: fill.at for fill in reversed(traded)}.values()
    since_payout = (fill.at for fill in traded if last is None or fill.at > last.at)
    caps = [cap for _, own in product.payout.variants() for cap in own.caps]
    return PayoutFacts(
        now=now,
        challenge_state="funded",
        funded_at=account.life.opened_at,
        last_payout_at=None if last is None else last.at,
        balance_minor=replayed.balance_minor,
        initial_minor=terms.initial_minor,
        open_positions=before.open_positions,
        open_payout_id=None,
        beneficiary_known=True,
        first_trade_at=account.life.first_trade_at,
        payouts_paid=len(made),
        paid_gross_minor=sum(one.gross_minor for one in made),
        paid_trader_minor=sum(one.share_minor for one in made),
        deducted_minor=replayed.deducted_minor,
        lowered_split_pct=replayed.lowered_split_pct,
        gates=tuple(
            GateFact(rule_id=gate.id, met=status.met, sentence=status.sentence)
            for gate, status in replayed.gates
            if "payout" in gate.blocks
        ),
        last_fee_minor=product.fee_minor,
        clock=product.clock,
        payout_balance_minor=None if last is None else last.left_minor,
        first_trade_since_payout_at=next(since_payout, None),
        trading_days=len({product.clock.trading_day(at) for at in opened}),
        paid_lately={
            cap.per_days: sum(one.gross_minor for one in made if now - one.at < timedelta(hours=24 * cap.per_days))
            for cap in caps
            if cap.per_days is not None
        },
    )


def _differences(challenge: ChallengeLife, ours: Ending) -> Iterator[str]:
    """Yields a sentence for each account with another result in the replay than live, under its own terms."""
    replayed = dict(ours.verdicts)
    for account in challenge.accounts:
        outcome = replayed.get(account.number)
        live = account.live
        decided = {"breach": "breach", "pass": "pass", "none": "in_progress"}[live.kind]
        if outcome is None:
            yield f"{account.number} was really started, but the replay does not reach it"
        elif outcome != decided:
            when = f" at {live.at:%Y-%m-%d %H:%M:%S} UTC" if live.at else ""
            rule = f" of {live.rule_id}" if live.rule_id else ""
            by = "by the hour" if account.life.by_the_hour else "by the minute"
            yield f"{account.number}: live {name(decided)}{rule}{when}; the replay {by} says {name(outcome)}"


def totals(product: Product, endings: Sequence[Ending]) -> Totals:
    """Adds up all endings. Every challenge pays the fee of the version once."""
    fates: dict[Fate, int] = dict.fromkeys(FATES, 0)
    for one in endings:
        fates[one.fate] += 1
    return Totals(
        fates=fates,
        fees_minor=product.fee_minor * len(endings),
        payouts=sum(one.payouts for one in endings),
        paid_minor=sum(one.paid_minor for one in endings),
    )
