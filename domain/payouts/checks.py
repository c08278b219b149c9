"""What is looked at again before money leaves: risk around the trader, and the room the payout leaves above each floor."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from domain.money import Money
from domain.payouts.facts import PayoutFacts
from domain.payouts.told import UNDER_REVIEW
from domain.rules.floors import FloorSpec, RuleState, paid_out, room_minor, settled
from domain.rules.room import Room

Outcome = Literal["clear", "hold", "cancel", "reject"]


class RiskFacts(BaseModel):
    """Open cases name any account of the trader; confirmed ones found that an account of this payout's challenge copied.

    `breaches` (ids, not overturned), `open_reviews` and `levels_beyond` (sentences) are those of the payout's account.
    `open_payment_reviews`: review id -> what happened to a fee of the trader. `transfer_refused` is the provider's
    reason; a refused transfer is never sent again. `transfer_begun`: a send was started and nobody knows yet how it
    ended, so nothing ends the payout by itself.
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


class Verdict(BaseModel):
    """`reason` is for the firm, `told` for the trader: who is watched is not told. `held_by_case`: surveillance, and
    not only a missing paper, stands in the way."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    outcome: Outcome
    reason: str = ""
    told: str = ""
    held_by_case: bool = False


def risk_verdict(facts: RiskFacts) -> Verdict:
    """What the risk around a reserved payout means for it: the gravest finding decides."""
    found = _ending(facts)
    if found is not None:
        if not facts.transfer_begun:
            return found
        reason = f"{found.reason}; but a transfer was begun, and nobody knows yet whether it was made"
        return found.model_copy(update={"outcome": "hold", "reason": reason, "told": UNDER_REVIEW})
    holds = _holds(facts)
    if holds:
        by_case = bool(facts.open_cases)
        return Verdict(outcome="hold", reason="; ".join(holds), told=UNDER_REVIEW, held_by_case=by_case)
    return Verdict(outcome="clear")


def _ending(facts: RiskFacts) -> Verdict | None:
    """What ends the payout, without a person."""
    if facts.breaches:
        reason = f"breach {facts.breaches[0]} of the account is on the record"
        return Verdict(outcome="cancel", reason=reason, told="A rule of this account was broken.")
    if facts.challenge_state != "funded":
        reason = f"the account is no longer funded but {_said(facts.challenge_state)}"
        return Verdict(outcome="cancel", reason=reason, told="The account is no longer funded.")
    if facts.account_status == "closed":
        return Verdict(outcome="cancel", reason="the account is closed", told="The account is closed.")
    if facts.confirmed_cases:
        reason = f"case {facts.confirmed_cases[0]} confirmed abuse"
        told = "The rules on trading conduct were broken."
        return Verdict(outcome="reject", reason=reason, told=told, held_by_case=True)
    if facts.identity == "refused":
        reason = "the identity check was refused"
        return Verdict(outcome="reject", reason=reason, told="Your identity could not be verified.")
    return None


def _holds(facts: RiskFacts) -> list[str]:
    """What holds the payout until somebody decides or something changes, each a clause for staff."""
    holds = [f"case {case} is open" for case in facts.open_cases]
    holds += [f"dispute {dispute} is open" for dispute in facts.open_disputes]
    holds += [f"review {review} of the account is open" for review in facts.open_reviews]
    holds += [words.rstrip(".") for words in facts.levels_beyond]
    if facts.account_status != "active":
        holds.append(f"the account is {_said(facts.account_status)}")
    holds += [f"review {review} is open: {what}" for review, what in facts.open_payment_reviews.items()]
    if facts.identity != "verified":
        holds.append("the identity is not verified")
    if not facts.terms_intact:
        holds.append("the amount, beneficiary or rules differ from what was requested")
    if facts.transfer_refused:
        holds.append(f"the provider refused the transfer: {facts.transfer_refused}")
    return holds


def shown(facts: RiskFacts) -> dict[str, dict[str, object]]:
    """The same facts as people see them: name -> {"ok", "words"}."""
    begun = "A transfer was begun and its outcome is unknown. Ask the provider for it before this payout is ended."
    refused = f"The provider refused the transfer: {facts.transfer_refused} Nothing can be sent any more."
    return {
        "funded": _check(facts.challenge_state == "funded", f"The challenge is {_said(facts.challenge_state)}."),
        "identity": _check(facts.identity == "verified", f"The identity is {_said(facts.identity)}."),
        "cases": _check(
            not facts.open_cases and not facts.confirmed_cases,
            " ".join(
                [f"Case {case} is open." for case in facts.open_cases]
                + [f"Case {case} confirmed abuse." for case in facts.confirmed_cases]
            )
            or "No surveillance case stands in the way.",
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
        "account": _check(facts.account_status == "active", f"The account is {_said(facts.account_status)}."),
        "reviews": _check(
            not facts.open_reviews,
            " ".join(f"Review {review} is open." for review in facts.open_reviews)
            or "No review of the account is open.",
        ),
        "equity": _check(
            not facts.levels_beyond,
            " ".join(facts.levels_beyond) or "The equity on record leaves every level intact once this is paid.",
        ),
        "payments": _check(
            not facts.open_payment_reviews,
            " ".join(f"Review {review} is open: {what}." for review, what in facts.open_payment_reviews.items())
            or "No fee of this trader was charged back or is in doubt.",
        ),
        "terms": _check(
            facts.terms_intact,
            "Amount, beneficiary and rules are those of the request."
            if facts.terms_intact
            else "The amount, beneficiary or rules differ from what was requested.",
        ),
        **({"transfer": _check(False, refused)} if facts.transfer_refused else {}),
        **({"transfer": {**_check(True, begun), "warns": True}} if facts.transfer_begun else {}),
    }


def counted_minor(spec: FloorSpec, facts: PayoutFacts) -> int:
    """What the account is worth to this rule, in minor units: open losses count unless the rule leaves them out."""
    return facts.worth_minor if spec.holds.floating else facts.balance_minor


def spare_minor(spec: FloorSpec, state: RuleState, equity_minor: int) -> int:
    """The most that can leave the account as one payout, held and paid, without the payout itself breaking the rule, in
    minor units; negative when the account is beyond the level already. `equity_minor`: as the rule counts it."""
    least = 1 if spec.inclusive else 0

    def room(amount: int) -> int:
        after = settled(spec, paid_out(spec, state, amount))
        return room_minor(spec, after.floor_minor, equity_minor - amount) - least

    if room(0) < 0:
        return room(0)
    # room never grows with the amount: no floor falls faster than the money that leaves
    low, high = 0, max(equity_minor, 0)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if room(middle) >= 0 else (low, middle - 1)
    return low


def room_check(after: Room, spare: int, gross: Money) -> dict[str, object]:
    """One rule's line among the checks. `after`: the room once the payout is paid; `spare`: the most that can leave."""
    rule = _said(after.spec.rule_id)
    if gross.minor > spare:
        most = Money(minor=max(spare, 0), currency=gross.currency)
        return _check(False, f"{gross} would break {rule} by itself; at most {most} can leave the account now.")
    if after.is_none:
        return {**_check(True, leaves_no_room(after, gross.currency)), "warns": True}
    left = Money(minor=after.room_minor, currency=gross.currency)
    return _check(True, f"{left} of room would be left under {rule}.")


def beyond_level(after: Room, currency: str) -> str:
    """The sentence for a level that the account would be beyond after the payout; empty when it would not."""
    if after.room_minor >= (1 if after.spec.inclusive else 0):
        return ""
    room = Money(minor=after.room_minor, currency=currency)
    return f"With the equity on record, {room} of room would be left under {_said(after.spec.rule_id)}."


def leaves_no_room(after: Room, currency: str) -> str:
    """The sentence for a payout after which the next spread is a breach."""
    left = Money(minor=max(after.room_minor, 0), currency=currency)
    return f"After this payout the room is {left} under {_said(after.spec.rule_id)}: the next spread would breach it."


def _said(word: str) -> str:
    return word.replace("_", " ")


def _check(ok: bool, words: str) -> dict[str, object]:
    return {"ok": ok, "words": words}
