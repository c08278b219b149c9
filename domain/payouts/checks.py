"""The checks before money leaves: the risk around the trader, and the room that the payout leaves to each level."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from domain.money import Money
from domain.payouts.facts import PayoutFacts
from domain.payouts.trader_messages import UNDER_REVIEW
from domain.rules.floors import FloorSpec, RuleState, paid_out, room_minor, settled
from domain.rules.room import Room
from domain.wording import name

RiskOutcome = Literal["clear", "hold", "cancel", "reject"]


class RiskFacts(BaseModel):
    """The facts around a payout. Open cases name any account of the trader; confirmed cases found that an account of
    this payout's challenge copied trades.

    `breaches` (ids, not overturned), `open_reviews` and `levels_beyond` (sentences) belong to the payout's account.
    `open_payment_reviews`: review id -> what happened to a fee of the trader. `transfer_refused`: the reason of the
    provider; a refused transfer is never sent again. `transfer_begun`: a transfer was started and its outcome is
    unknown, so only a person may end the payout.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    challenge_state: str
    identity: str
    account_status: str = "active"
    breaches: tuple[str, ...] = ()
    open_reviews: tuple[str, ...] = ()
    levels_beyond: tuple[str, ...] = ()
    open_cases: tuple[str, ...] = ()
    confirmed_cases: tuple[str, ...] = ()
    open_disputes: tuple[str, ...] = ()
    open_payment_reviews: dict[str, str] = {}
    terms_intact: bool = True
    transfer_refused: str = ""
    transfer_begun: bool = False


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
        if not facts.transfer_begun:
            return found
        reason = f"{found.reason}; but a transfer was started, and it is not known yet whether it was made"
        return found.model_copy(update={"outcome": "hold", "reason": reason, "trader_message": UNDER_REVIEW})
    holds = _hold_reasons(facts)
    if holds:
        by_case = bool(facts.open_cases)
        return RiskDecision(outcome="hold", reason="; ".join(holds), trader_message=UNDER_REVIEW, held_by_case=by_case)
    return RiskDecision(outcome="clear")


def _ending(facts: RiskFacts) -> RiskDecision | None:
    """Returns the decision that ends the payout without a person, if there is one."""
    if facts.breaches:
        reason = f"breach {facts.breaches[0]} of the account is on the record"
        return RiskDecision(outcome="cancel", reason=reason, trader_message="A rule of this account was broken.")
    if facts.challenge_state != "funded":
        reason = f"the challenge is not funded any more; its state is {name(facts.challenge_state)}"
        return RiskDecision(outcome="cancel", reason=reason, trader_message="The account is no longer funded.")
    if facts.account_status == "closed":
        return RiskDecision(outcome="cancel", reason="the account is closed", trader_message="The account is closed.")
    if facts.confirmed_cases:
        reason = f"case {facts.confirmed_cases[0]} confirmed abuse"
        message = "The rules on trading conduct were broken."
        return RiskDecision(outcome="reject", reason=reason, trader_message=message, held_by_case=True)
    if facts.identity == "refused":
        reason = "the identity check was refused"
        return RiskDecision(outcome="reject", reason=reason, trader_message="Your identity could not be verified.")
    return None


def _hold_reasons(facts: RiskFacts) -> list[str]:
    """Returns the reasons to hold the payout until a person decides or a fact changes, each as a clause for staff."""
    holds = [f"case {case} is open" for case in facts.open_cases]
    holds += [f"dispute {dispute} is open" for dispute in facts.open_disputes]
    holds += [f"review {review} of the account is open" for review in facts.open_reviews]
    holds += [words.rstrip(".") for words in facts.levels_beyond]
    if facts.account_status != "active":
        holds.append(f"the account is {name(facts.account_status)}")
    holds += [f"review {review} is open: {what}" for review, what in facts.open_payment_reviews.items()]
    if facts.identity != "verified":
        holds.append("the identity is not verified")
    if not facts.terms_intact:
        holds.append("the amount, beneficiary or rules differ from what was requested")
    if facts.transfer_refused:
        holds.append(f"the provider refused the transfer: {facts.transfer_refused}")
    return holds


def risk_checks(facts: RiskFacts) -> dict[str, dict[str, object]]:
    """Returns the facts as people read them: name of the check -> {"ok", "words"}."""
    begun = "A transfer was started and its outcome is unknown. The provider is asked before this payout ends."
    refused = f"The provider refused the transfer: {facts.transfer_refused} Nothing can be sent any more."
    return {
        "funded": _check(facts.challenge_state == "funded", f"The challenge is {name(facts.challenge_state)}."),
        "identity": _check(facts.identity == "verified", f"The identity is {name(facts.identity)}."),
        "cases": _check(
            not facts.open_cases and not facts.confirmed_cases,
            " ".join(
                [f"Case {case} is open." for case in facts.open_cases]
                + [f"Case {case} confirmed abuse." for case in facts.confirmed_cases]
            )
            or "No surveillance case holds this payout.",
        ),
        "disputes": _check(
            not facts.open_disputes,
            " ".join(f"Dispute {dispute} is open." for dispute in facts.open_disputes) or "No dispute is open.",
        ),
        "breaches": _check(
            not facts.breaches,
            " ".join(f"Breach {breach} is on the record." for breach in facts.breaches)
            or "No breach of the account is on the record.",
        ),
        "account": _check(facts.account_status == "active", f"The account is {name(facts.account_status)}."),
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
            not facts.open_payment_reviews,
            " ".join(f"Review {review} is open: {what}." for review, what in facts.open_payment_reviews.items())
            or "No fee of this trader was charged back or is in doubt.",
        ),
        "terms": _check(
            facts.terms_intact,
            "Amount, beneficiary and rules are the same as in the request."
            if facts.terms_intact
            else "The amount, beneficiary or rules differ from what was requested.",
        ),
        **({"transfer": _check(False, refused)} if facts.transfer_refused else {}),
        **({"transfer": {**_check(True, begun), "warns": True}} if facts.transfer_begun else {}),
    }


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


def leaves_no_room(after: Room, currency: str) -> str:
    """Returns the sentence for a payout after which the next spread would be a breach."""
    left = Money(minor=max(after.room_minor, 0), currency=currency)
    return f"After this payout the room is {left} under {name(after.spec.rule_id)}: the next spread would breach it."


def _check(ok: bool, words: str) -> dict[str, object]:
    return {"ok": ok, "words": words}
