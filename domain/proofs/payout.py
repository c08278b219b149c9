"""Proofs of refused payouts: the request, the facts, each reason, and the room that the payout would have left."""

from typing import Any

from domain.money import Money
from domain.payouts import PayoutFacts
from domain.payouts.checks import counted_minor, spare_minor
from domain.payouts.eligibility import Refusal, refusals
from domain.products.phase_terms import PhaseTerms
from domain.proofs.history import ProofSubject, head_of
from domain.proofs.levels import basis_part
from domain.proofs.money import sealed
from domain.proofs.sheets import PayoutRefusalSheet, RefusalPart, RequestPart, RoomPart
from domain.rules.events_json import json_value
from domain.rules.floors import FloorSpec, RuleState, room_minor
from domain.rules.floors import paid_out as held
from domain.rules.floors import settled as paid
from domain.rules.state import AccountRules
from domain.wording import name


def facts_json(facts: PayoutFacts) -> dict[str, Any]:
    """Returns the facts as a sheet stores them: without the later ones that say nothing, as in sheets from before they
    existed."""
    return facts.model_dump(mode="json", exclude=facts.unused())


def room_part(spec: FloorSpec, state: RuleState, facts: PayoutFacts, gross_minor: int) -> RoomPart:
    """Returns one level of the account, now and after a payout of `gross_minor`."""
    worth_minor = counted_minor(spec, facts)
    after = paid(spec, held(spec, state, gross_minor))
    return RoomPart(
        key=spec.key,
        basis=basis_part(spec, state),
        locked_by_payout=state.locked,
        floor_minor=state.floor_minor,
        room_minor=room_minor(spec, state.floor_minor, worth_minor),
        spare_minor=spare_minor(spec, state, worth_minor),
        room_after_minor=room_minor(spec, after.floor_minor, worth_minor - gross_minor),
    )


def refusal_parts(
    terms: PhaseTerms, facts: PayoutFacts, gross: Money, rooms: tuple[RoomPart, ...]
) -> tuple[RefusalPart, ...]:
    """Returns every reason: those of the terms, and the levels that the payout would break by itself."""
    parts = [_part(refusal) for refusal in refusals(facts, terms.product.payout, gross)]
    for room in rooms:
        if gross.minor > room.spare_minor:
            most = Money(minor=max(0, room.spare_minor), currency=gross.currency)
            sentence = f"it would break {name(room.key)} by itself; at most {most} can leave the account"
            if facts.open_loss_minor:
                left = Money(minor=room.room_minor, currency=gross.currency)
                sentence += f", because the room after open losses is {left}"
            figures = {"requested": gross.minor, "spare": room.spare_minor}
            parts.append(RefusalPart(code="breaks_rule", sentence=sentence, figures=figures))
    return tuple(parts)


def _part(refusal: Refusal) -> RefusalPart:
    return RefusalPart(code=refusal.code, sentence=refusal.sentence, figures=json_value(refusal.figures))


def refusal_verdict(parts: tuple[RefusalPart, ...]) -> str:
    return "refused: " + "; ".join(part.sentence for part in parts) if parts else "not refused"


def payout_refusal_sheet(
    proof_id: str, subject: ProofSubject, facts: PayoutFacts, rules: AccountRules, gross: Money
) -> dict[str, Any]:
    """Returns the sealed proof that a request for `gross` was refused. `rules`: the levels of the account with their
    states. Raises ValueError when there is no reason to refuse it."""
    rooms = tuple(
        room_part(spec, state, facts, gross.minor) for spec, state in zip(rules.specs, rules.states, strict=True)
    )
    parts = refusal_parts(subject.terms, facts, gross, rooms)
    if not parts:
        raise ValueError("nothing refuses this payout")
    return sealed(
        PayoutRefusalSheet(
            **head_of("payout_refusal", proof_id, subject, facts.now),
            request=RequestPart(gross_minor=gross.minor, currency=gross.currency),
            facts=facts_json(facts),
            refusals=parts,
            rooms=rooms,
            verdict=refusal_verdict(parts),
        )
    )
