"""The consequence of a broken rule: the end of the phase, or less. The product's rules decide which."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from domain import keys
from domain.proofs.history import ProofSubject, violation_sheet
from domain.rules.base import Consequence, EquityRule, Violation
from domain.rules.evaluate import LevelBreach
from monitor.columns.conduct_state import ConductState, CureWindow
from monitor.columns.roster import AccountRow
from monitor.facts import BreachFact, OffenceFact, ResumeFact, ReviewKind, ReviewNote, UnstoredFacts

SoftBreach = tuple[LevelBreach, Consequence]


def split_by_consequence(
    account: AccountRow, conduct: ConductState, found: Sequence[LevelBreach], at: datetime
) -> tuple[list[LevelBreach], list[SoftBreach]]:
    """Returns (limits that end the phase, limits with another consequence) of those broken at `at`.

    Updates the cures: a limit that is no longer broken is cured, a newly broken one may get its time. A limit with a
    lesser consequence is muted until the next reset: one reset period is one offence.
    """
    ending, soft = list[LevelBreach](), list[SoftBreach]()
    broken = {verdict.spec.rule_id for verdict in found}
    for rule_id in [rule_id for rule_id in conduct.curing if rule_id not in broken]:
        del conduct.curing[rule_id]
        conduct.cured[rule_id] = conduct.cured.get(rule_id, 0) + 1
    for verdict in found:
        rule_id = verdict.spec.rule_id
        rule = account.terms.rule(rule_id)
        assert isinstance(rule, EquityRule)
        if rule_id in conduct.muted or _may_be_cured(rule, conduct, at):
            continue
        conduct.curing.pop(rule_id, None)
        consequence = rule.consequence(account.next_offence(rule_id))
        if consequence.kind == "fail":
            ending.append(verdict)
        else:
            soft.append((verdict, consequence))
            conduct.muted.append(rule_id)
    return ending, soft


def _may_be_cured(rule: EquityRule, conduct: ConductState, at: datetime) -> bool:
    """Returns whether a broken limit still has time to be cured. Opens the window when the limit is newly broken."""
    if rule.cure is None:
        return False
    window = conduct.curing.get(rule.id)
    if window is not None:
        return at <= window.until
    if conduct.cured.get(rule.id, 0) >= rule.cure.times:
        return False
    conduct.curing[rule.id] = CureWindow(until=at + timedelta(minutes=rule.cure.minutes))
    return True


class Offences:
    """Turns violations and soft breaches into facts."""

    def __init__(self, facts: UnstoredFacts) -> None:
        self._facts = facts

    def limit(
        self,
        account: AccountRow,
        verdict: LevelBreach,
        consequence: Consequence,
        seq: int,
        at: datetime,
        sheet: dict[str, object],
    ) -> None:
        """Records a broken limit that does not end the phase."""
        rule_id, offence = verdict.spec.rule_id, account.next_offence(verdict.spec.rule_id)
        over = verdict.equity_minor - verdict.floor_minor if verdict.spec.direction == "ceiling" else 0
        deducted = max(0, over) if consequence.kind == "deduct_profit" else 0
        positions = tuple(account.positions_by_id()) if consequence.kind == "close_position" else ()
        fact = OffenceFact(
            account_id=account.account_id,
            challenge_id=account.challenge_id,
            login=account.login,
            phase_index=account.terms.phase_index,
            rule_id=rule_id,
            offence=offence,
            consequence=consequence.kind,
            sentence=str(sheet["verdict"]),
            deducted_minor=deducted,
            position_ids=positions,
            proof_id=str(sheet["proof_id"]),
            proof=sheet,
            seq=seq,
            at=at,
        )
        self._record(account, fact)
        account.offences |= {rule_id: offence}

    def conduct(
        self, account: AccountRow, violations: Sequence[Violation], seq: int, at: datetime, equity_minor: int
    ) -> bool:
        """Records violations of conduct rules. Returns whether one of them ends the phase."""
        ended = False
        for violation in violations:
            sheet = _violation_sheet(account, violation)
            if violation.consequence.kind != "fail":
                self._record(account, _soft_offence(account, violation, sheet, seq, at))
                continue
            self._facts.verdicts.append(
                BreachFact(
                    account_id=account.account_id,
                    challenge_id=account.challenge_id,
                    login=account.login,
                    phase_index=account.terms.phase_index,
                    rule_id=violation.rule_id,
                    offence=violation.offence,
                    proof_id=str(sheet["proof_id"]),
                    proof=sheet,
                    seq=seq,
                    at=at,
                    floor_minor=None,
                    equity_minor=equity_minor,
                    cause=not ended,
                )
            )
            ended = True
        return ended

    def resume(self, account: AccountRow, at: datetime) -> bool:
        """Ends the pause of an account. Returns whether it was paused."""
        conduct = account.conduct
        if conduct is None or conduct.paused is None:
            return False
        self._facts.resumes.append(ResumeFact(account.account_id, account.login, conduct.paused, at))
        conduct.paused = None
        return True

    def _record(self, account: AccountRow, fact: OffenceFact) -> None:
        self._facts.verdicts.append(fact)
        if fact.consequence == "pause_until_reset" and account.conduct is not None:
            account.conduct.paused = fact.offence_id
        if fact.consequence == "review":
            detail = {
                "rule_id": fact.rule_id,
                "offence": fact.offence,
                "sentence": fact.sentence,
                "proof_id": fact.proof_id,
                "seq": fact.seq,
            }
            key = keys.offence_review(fact.offence_id)
            self._facts.reviews.append(ReviewNote(key, ReviewKind.OFFENCE, fact.at, detail, account.account_id))


def _violation_sheet(account: AccountRow, violation: Violation) -> dict[str, object]:
    conduct = account.conduct
    assert conduct is not None
    phase, rule_id, offence = account.terms.phase_index, violation.rule_id, violation.offence
    proof_id = keys.violation_proof(account.account_id, phase, rule_id, offence)
    subject = ProofSubject(account.account_id, account.challenge_id, account.login, account.terms)
    return violation_sheet(proof_id, subject, rule_id, offence, conduct.events, began=conduct.began)


def _soft_offence(
    account: AccountRow, violation: Violation, sheet: dict[str, object], seq: int, at: datetime
) -> OffenceFact:
    return OffenceFact(
        account_id=account.account_id,
        challenge_id=account.challenge_id,
        login=account.login,
        phase_index=account.terms.phase_index,
        rule_id=violation.rule_id,
        offence=violation.offence,
        consequence=violation.consequence.kind,
        sentence=violation.sentence,
        # what is deducted of the profit is the rule's own sum: it may still change with the rest of a position
        deducted_minor=0,
        position_ids=violation.position_ids,
        proof_id=str(sheet["proof_id"]),
        proof=sheet,
        seq=seq,
        at=at,
    )
