"""What is looked at again before money leaves: risk around the trader, and the room the payout leaves above each floor."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from domain.money import Money
from domain.rules.floors import FloorSpec, RuleState, paid_out, room_minor, settled
from domain.rules.room import Room

Outcome = Literal["clear", "hold", "cancel", "reject"]


class RiskFacts(BaseModel):
    """Open cases name any account of the trader; confirmed ones found that an account of this payout's challenge copied.
    `open_payment_reviews`: review id -> what happened to a fee of the trader. `transfer_refused` is the provider's
    reason; a refused transfer is never sent again."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    challenge_state: str
    identity: str
    open_cases: tuple[str, ...] = ()
    confirmed_cases: tuple[str, ...] = ()
    open_disputes: tuple[str, ...] = ()
    open_payment_reviews: dict[str, str] = {}
    terms_intact: bool = True
    transfer_refused: str = ""


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
    if facts.challenge_state != "funded":
        reason = f"the account is no longer funded but {_said(facts.challenge_state)}"
        return Verdict(outcome="cancel", reason=reason, told=reason)
    if facts.confirmed_cases:
        reason = f"case {facts.confirmed_cases[0]} confirmed abuse"
        return Verdict(
            outcome="reject", reason=reason, told="the rules on trading conduct were broken", held_by_case=True
        )
    if facts.identity == "refused":
        reason = "the identity check was refused"
        return Verdict(outcome="reject", reason=reason, told=reason)
    holds = [f"case {case} is open" for case in facts.open_cases]
    holds += [f"dispute {dispute} is open" for dispute in facts.open_disputes]
    holds += [f"review {review} is open: {what}" for review, what in facts.open_payment_reviews.items()]
    if facts.identity != "verified":
        holds.append("the identity is not verified")
    if not facts.terms_intact:
        holds.append("the amount, beneficiary or rules differ from what was requested")
    if facts.transfer_refused:
        holds.append(f"the provider refused the transfer: {facts.transfer_refused}")
    if holds:
        told = "the payout is under review"
        return Verdict(outcome="hold", reason="; ".join(holds), told=told, held_by_case=bool(facts.open_cases))
    return Verdict(outcome="clear")


def shown(facts: RiskFacts) -> dict[str, dict[str, object]]:
    """The same facts as people see them: name -> {"ok", "words"}."""
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
    }


def spare_minor(spec: FloorSpec, state: RuleState, equity_minor: int) -> int:
    """The most that can leave a flat account as one payout, held and paid, without the payout itself breaking the rule,
    in minor units; negative when the account stands beyond the level already."""
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


def leaves_no_room(after: Room, currency: str) -> str:
    """The sentence for a payout after which the next spread is a breach."""
    left = Money(minor=max(after.room_minor, 0), currency=currency)
    return f"After this payout the room is {left} under {_said(after.spec.rule_id)}: the next spread would breach it."


def _said(word: str) -> str:
    return word.replace("_", " ")


def _check(ok: bool, words: str) -> dict[str, object]:
    return {"ok": ok, "words": words}
