"""The checks before money leaves: the risk around the trader, and the room that the payout leaves to each level."""

from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict

from domain.money import Money
from domain.payouts.amounts import available_minor, base_minor, cap_minor
from domain.payouts.facts import PayoutFacts
from domain.payouts.schema import PayoutTerms
from domain.payouts.tainted import TaintedTrade, line
from domain.payouts.trader_messages import UNDER_REVIEW
from domain.rules.floors import FloorSpec, RuleState, paid_out, room_minor, settled
from domain.rules.room import Room
from domain.wording import name

RiskOutcome = Literal["clear", "hold", "cancel", "reject"]


class SanctionsFacts(BaseModel):
    """What screening says of the trader. `lists`: which versions the name was compared with, "" while no list is
    loaded. `country_blocked`: the trader's country, if the firm does not pay there."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    open_hits: tuple[str, ...] = ()
    confirmed_hits: tuple[str, ...] = ()
    country_blocked: str = ""
    lists: str = ""
    without_list_holds: bool = False

    @property
    def holds(self) -> list[str]:
        """Returns why the payout is held, each as a clause for staff."""
        found = [f"sanctions hit {hit} is open" for hit in self.open_hits]
        found += [f"sanctions hit {hit} was confirmed" for hit in self.confirmed_hits]
        if self.country_blocked:
            found.append(f"the firm does not pay traders of the country {self.country_blocked}")
        if not self.lists and self.without_list_holds:
            found.append("no sanctions list is loaded")
        return found

    @property
    def check(self) -> dict[str, object]:
        if holds := self.holds:
            return _check(False, " ".join(f"{words[0].upper()}{words[1:]}." for words in holds))
        if not self.lists:
            return {**_check(True, "No sanctions list is loaded; the name was not screened."), "warns": True}
        return _check(True, f"No open hit on the sanctions lists: {self.lists}.")


class RiskFacts(BaseModel):
    """The facts around a payout. `open_cases`: case that holds payouts of its challenge -> why, and until when.
    `confirmed_cases` closed the account; `denied_by`: case that denied this payout -> the rule that was broken.

    `breaches` (ids, not overturned), `open_reviews` and `levels_beyond` (sentences) belong to the payout's account.
    `unread`: surveillance has not judged all trades up to the request.
    `open_payment_reviews`: review id -> what happened to a fee of the trader. `open_chargebacks`: id -> the challenge.
    `beneficiary_waits`: why nothing is paid to this beneficiary yet. `converted`: a sentence about the exchange of a
    payout in another currency. `rate_waits`: why nothing is sent at its rate. `halted`: why nothing is sent until a
    person says so. `transfer_begun`: a transfer was started and its outcome is unknown, so only a person may end the
    payout.
    `transfers_out`: ids of earlier transfers that left and are not back; nothing more is sent, and no person or date
    ends the payout.
    `tainted`: the trades of the account whose profit does not count; `tainted_part`: how much of this payout is such
    profit, by deductions since it was judged; None: none of it.
    `has_arrived`: the payout was paid once and came back. It left the account while that was in order, so what happened
    to the account since does not count, and only a person may end it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    challenge_state: str
    identity: str
    account_status: str = "active"
    frozen: bool = False
    breaches: tuple[str, ...] = ()
    open_reviews: tuple[str, ...] = ()
    levels_beyond: tuple[str, ...] = ()
    unread: bool = False
    open_cases: dict[str, str] = {}
    denied_by: dict[str, str] = {}
    confirmed_cases: tuple[str, ...] = ()
    open_disputes: tuple[str, ...] = ()
    open_payment_reviews: dict[str, str] = {}
    beneficiary_waits: str = ""
    converted: str = ""
    rate_waits: str = ""
    sanctions: SanctionsFacts = SanctionsFacts()
    open_chargebacks: dict[str, str] = {}
    terms_intact: bool = True
    halted: str = ""
    transfer_begun: bool = False
    transfers_out: tuple[str, ...] = ()
    has_arrived: bool = False
    tainted: tuple[TaintedTrade, ...] = ()
    tainted_part: Money | None = None

    @property
    def transfer_may_be_out(self) -> bool:
        return self.transfer_begun or bool(self.transfers_out)


class RiskDecision(BaseModel):
    """`reason` is for the firm. `trader_message` is for the trader and does not reveal surveillance. `held_by_case`: an
    open case holds the payout, not only something that the trader can settle."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    outcome: RiskOutcome
    reason: str = ""
    trader_message: str = ""
    held_by_case: bool = False


def risk_decision(facts: RiskFacts) -> RiskDecision:
    """Returns the decision on a reserved payout: the gravest finding decides."""
    found = _ending(facts)
    if found is not None:
        if not facts.transfer_may_be_out and not facts.has_arrived:
            return found
        but = "the payout was paid once" if facts.has_arrived else "a transfer was started, and may have been made"
        reason = f"{found.reason}; but {but}"
        return found.model_copy(update={"outcome": "hold", "reason": reason, "trader_message": UNDER_REVIEW})
    holds = _hold_reasons(facts)
    if holds:
        by_case = bool(facts.open_cases)
        return RiskDecision(outcome="hold", reason="; ".join(holds), trader_message=UNDER_REVIEW, held_by_case=by_case)
    return RiskDecision(outcome="clear")


def _ending(facts: RiskFacts) -> RiskDecision | None:
    """Returns the decision that ends the payout without a person, if there is one."""
    return (None if facts.has_arrived else _ended_with_account(facts)) or _ended_with_trader(facts)


def _ended_with_account(facts: RiskFacts) -> RiskDecision | None:
    if facts.breaches:
        reason = f"breach {facts.breaches[0]} of the account is on the record"
        return RiskDecision(outcome="cancel", reason=reason, trader_message="A rule of this account was broken.")
    if facts.challenge_state != "funded":
        reason = f"the challenge is not funded any more; its state is {name(facts.challenge_state)}"
        return RiskDecision(outcome="cancel", reason=reason, trader_message="The account is no longer funded.")
    if facts.account_status == "closed":
        return RiskDecision(outcome="cancel", reason="the account is closed", trader_message="The account is closed.")
    if facts.tainted_part is not None:
        reason = f"{facts.tainted_part} of it is tainted profit that was deducted after the request"
        lines = "; ".join(line(trade, facts.tainted_part.currency) for trade in facts.tainted)
        told = f"Part of this amount does not count for payouts: {lines}. You can ask for what is left."
        return RiskDecision(outcome="cancel", reason=reason, trader_message=told)
    return None


def _ended_with_trader(facts: RiskFacts) -> RiskDecision | None:
    if facts.confirmed_cases:
        reason = f"case {facts.confirmed_cases[0]} confirmed abuse"
        message = "The rules on trading conduct were broken."
        return RiskDecision(outcome="reject", reason=reason, trader_message=message, held_by_case=True)
    for case, rule in facts.denied_by.items():
        message = f"The rule: {rule.rstrip('.')}."
        return RiskDecision(
            outcome="reject", reason=f"case {case} denied it", trader_message=message, held_by_case=True
        )
    if facts.identity == "refused":
        reason = "the identity check was refused"
        return RiskDecision(outcome="reject", reason=reason, trader_message="Your identity could not be verified.")
    return None


def _hold_reasons(facts: RiskFacts) -> list[str]:
    """Returns the reasons to hold the payout until a person decides or a fact changes, each as a clause for staff."""
    holds = [f"case {case} is open: {why.rstrip('.')}" for case, why in facts.open_cases.items()]
    holds += [f"dispute {dispute} is open" for dispute in facts.open_disputes]
    if facts.unread and not facts.has_arrived:
        holds.append("surveillance has not judged all trades up to the request yet")
    if not facts.has_arrived:
        holds += [f"review {review} of the account is open" for review in facts.open_reviews]
        holds += [words.rstrip(".") for words in facts.levels_beyond]
        if facts.account_status != "active":
            holds.append(f"the account is {name(facts.account_status)}")
        elif facts.frozen:
            holds.append("a person has frozen the account")
    holds += [f"review {review} is open: {what}" for review, what in facts.open_payment_reviews.items()]
    holds += [f"chargeback {each} of {challenge} is not decided" for each, challenge in facts.open_chargebacks.items()]
    if facts.identity != "verified":
        holds.append("the identity is not verified")
    if facts.beneficiary_waits:
        holds.append(facts.beneficiary_waits)
    if facts.rate_waits:
        holds.append(facts.rate_waits)
    holds += facts.sanctions.holds
    if not facts.terms_intact:
        holds.append("the amount, beneficiary or rules differ from what was requested")
    holds += [f"transfer {each} of this payout has left and is not back" for each in facts.transfers_out]
    if facts.halted:
        holds.append(facts.halted.rstrip("."))
    return holds


def risk_checks(facts: RiskFacts) -> dict[str, dict[str, object]]:
    """Returns the facts as people read them: name of the check -> {"ok", "words"}."""
    begun = "A transfer was started and its outcome is unknown. The provider is asked before this payout ends."
    halted = f"{facts.halted} Nothing is sent until a person says so."
    return {
        "funded": _check(facts.challenge_state == "funded", f"The challenge is {name(facts.challenge_state)}."),
        "identity": _check(facts.identity == "verified", f"The identity is {name(facts.identity)}."),
        "sanctions": facts.sanctions.check,
        "cases": _check(
            not facts.open_cases and not facts.confirmed_cases and not facts.denied_by,
            " ".join(
                [f"Case {case} is open: {why}" for case, why in facts.open_cases.items()]
                + [f"Case {case} confirmed abuse." for case in facts.confirmed_cases]
                + [f"Case {case} denied this payout: {rule}" for case, rule in facts.denied_by.items()]
            )
            or "No surveillance case holds this payout.",
        ),
        "surveillance": _reading_check(facts),
        "disputes": _check(
            not facts.open_disputes,
            " ".join(f"Dispute {dispute} is open." for dispute in facts.open_disputes) or "No dispute is open.",
        ),
        "breaches": _check(
            not facts.breaches,
            " ".join(f"Breach {breach} is on the record." for breach in facts.breaches)
            or "No breach of the account is on the record.",
        ),
        "account": _account_check(facts),
        "reviews": _check(
            not facts.open_reviews,
            " ".join(f"Review {review} is open." for review in facts.open_reviews)
            or "No review of the account is open.",
        ),
        "equity": _check(
            not facts.levels_beyond,
            " ".join(facts.levels_beyond) or "With the equity on record, this payout breaks no level.",
        ),
        "payments": _check(
            not facts.open_payment_reviews and not facts.open_chargebacks,
            " ".join(
                [f"Chargeback {each} of {of} is not decided." for each, of in facts.open_chargebacks.items()]
                + [f"Review {review} is open: {what}." for review, what in facts.open_payment_reviews.items()]
            )
            or "No fee of this trader was charged back or is in doubt.",
        ),
        "beneficiary": _beneficiary_check(facts.beneficiary_waits),
        **({"rate": _rate_check(facts)} if facts.converted else {}),
        "terms": _check(
            facts.terms_intact,
            "Amount, beneficiary and rules are the same as in the request."
            if facts.terms_intact
            else "The amount, beneficiary or rules differ from what was requested.",
        ),
        **({"deductions": _deductions_check(facts)} if facts.tainted else {}),
        **({"transfer": {**_check(True, begun), "warns": True}} if facts.transfer_begun else {}),
        **({"transfer": _check(False, halted)} if facts.halted else {}),
        **({"transfer": _check(False, has_left(facts.transfers_out))} if facts.transfers_out else {}),
    }


def _account_check(facts: RiskFacts) -> dict[str, object]:
    active = facts.account_status == "active"
    if active and facts.frozen:
        return _check(False, "A person has frozen the account. Nothing is paid out until it is thawed.")
    return _check(active, f"The account is {name(facts.account_status)}.")


def _reading_check(facts: RiskFacts) -> dict[str, object]:
    judged = (
        "has not judged all trades up to the request yet" if facts.unread else "has judged all trades up to the request"
    )
    return _check(not facts.unread, f"Surveillance {judged}.")


def _beneficiary_check(waits: str) -> dict[str, object]:
    return _check(
        not waits, f"{waits[:1].upper()}{waits[1:]}." if waits else "Payouts to this bank account may be sent."
    )


def _deductions_check(facts: RiskFacts) -> dict[str, object]:
    named = ", ".join(trade.position_id for trade in facts.tainted)
    if facts.tainted_part is not None:
        return _check(False, f"{facts.tainted_part} of this payout is tainted profit. Deducted trades: {named}.")
    return _check(True, f"The tainted profit of these trades is not part of this payout: {named}.")


def _rate_check(facts: RiskFacts) -> dict[str, object]:
    waits = f" {facts.rate_waits[:1].upper()}{facts.rate_waits[1:]}." if facts.rate_waits else ""
    return _check(not facts.rate_waits, f"{facts.converted}{waits}")


def has_left(transfers: Sequence[str]) -> str:
    return " ".join(f"Transfer {each} of this payout has left and is not back." for each in transfers)


def eligibility_checks(facts: PayoutFacts, terms: PayoutTerms, gross: Money) -> dict[str, dict[str, object]]:
    """Returns the arithmetic of the amount, and every gate of the payout, at the time of the request."""
    wanted = terms.chosen(facts.cycle, facts.payout_number).gates
    gates = (gate for gate in facts.gates if wanted is None or gate.rule_id in wanted)
    return {
        "eligibility": _check(True, f"Eligible at the time of the request. {_arithmetic(facts, terms, gross)}"),
        **{f"gate:{gate.rule_id}": _check(gate.met, gate.sentence) for gate in gates},
    }


def _arithmetic(facts: PayoutFacts, terms: PayoutTerms, gross: Money) -> str:
    """Returns how the available amount follows from the account, step by step."""

    def money(minor: int) -> Money:
        return Money(minor=minor, currency=gross.currency)

    base, cap = base_minor(facts, terms, gross.currency), cap_minor(facts, terms, gross.currency)
    steps = [f"Balance {money(facts.balance_minor)}, initial balance {money(facts.initial_minor)}"]
    if facts.open_loss_minor:
        steps.append(f"open losses {money(facts.open_loss_minor)}")
    if facts.deducted_minor:
        steps.append(f"profit that does not count {money(facts.deducted_minor)}")
    steps += [line(trade, gross.currency) for trade in facts.tainted]
    steps.append(f"payouts come from {money(base)}")
    if cap is not None:
        steps.append(f"at most {money(cap)} by the caps")
    available = available_minor(facts, terms, gross.currency)
    return f"{'; '.join(steps)}; available {money(available)}; requested {gross}."


def counted_minor(spec: FloorSpec, facts: PayoutFacts) -> int:
    """Returns the worth of the account as this rule counts it, in minor units: with open losses unless it excludes
    them. What single symbols or positions make is not known here: 0."""
    if spec.per != "account":
        return 0
    return facts.worth_minor if spec.holds.floating else facts.balance_minor


def spare_minor(spec: FloorSpec, state: RuleState, equity_minor: int) -> int:
    """Returns the largest payout that does not break the rule by itself, in minor units; negative when the account is
    already beyond the level. `equity_minor`: as the rule counts it."""
    least = 1 if spec.inclusive else 0

    def room(amount: int) -> int:
        after = settled(spec, paid_out(spec, state, amount))
        left = equity_minor - amount if spec.per == "account" else equity_minor
        return room_minor(spec, after.floor_minor, left) - least

    if room(0) < 0:
        return room(0)
    # binary search: the room never grows with the amount, because no floor falls faster than the money that leaves
    low, high = 0, max(equity_minor, 0)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if room(middle) >= 0 else (low, middle - 1)
    return low


def room_check(after: Room, spare: int, gross: Money) -> dict[str, object]:
    """Returns the check of one rule. `after`: the room after the payout. `spare`: the largest amount that can leave."""
    rule = name(after.spec.rule_id)
    if gross.minor > spare:
        most = Money(minor=max(spare, 0), currency=gross.currency)
        return _check(False, f"{gross} would break {rule} by itself; at most {most} can leave the account now.")
    if after.is_none:
        return {**_check(True, leaves_no_room(after, gross.currency)), "warns": True}
    left = Money(minor=after.room_minor, currency=gross.currency)
    return _check(True, f"{left} of room would be left under {rule}.")


def beyond_level(after: Room, currency: str) -> str:
    """Returns the sentence for a level that the payout would break, by the equity on record; empty when it would
    not."""
    if after.room_minor >= (1 if after.spec.inclusive else 0):
        return ""
    room = Money(minor=after.room_minor, currency=currency)
    return f"With the equity on record, {room} of room would be left under {name(after.spec.rule_id)}."


def amounts_changed(share: Money, requested: Money) -> str:
    """Returns the sentence for a share that is not the one of the request any more; empty when it is."""
    if share == requested:
        return ""
    return (
        f"The trader's share is {share}; it was {requested} when the payout was requested, before the money was held."
    )


def leaves_no_room(after: Room, currency: str) -> str:
    """Returns the sentence for a payout after which the next spread would be a breach."""
    left = Money(minor=max(after.room_minor, 0), currency=currency)
    return f"After this payout the room is {left} under {name(after.spec.rule_id)}: the next spread would breach it."


def _check(ok: bool, words: str) -> dict[str, object]:
    return {"ok": ok, "words": words}
