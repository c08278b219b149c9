"""The consequence of a broken rule: the end of the phase, or less. The product's rules decide which."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from domain import keys, record_keys
from domain.proofs.history import ProofSubject, violation_sheet
from domain.rules import limits
from domain.rules.base import Consequence, EquityRule, Violation
from domain.rules.evaluate import LevelBreach, compared, deducted_minor
from domain.rules.floors import FloorSpec
from domain.rules.limits import LimitOffence, LimitState
from monitor.columns.conduct_state import ConductState
from monitor.columns.roster import AccountRow
from monitor.facts import BreachFact, OffenceFact, ResumeFact, ReviewKind, ReviewNote, UnstoredFacts

SoftBreach = tuple[LevelBreach, Consequence]
Broken = BreachFact | OffenceFact


@dataclass(slots=True)
class LimitVerdicts:
    """The offences of limits at one event. `ending`: those that end the phase; `lesser`: those with another
    consequence; `unseen`: those found by time alone when the account is back within, or cannot be valued. `changed`:
    whether the account has another state than before."""

    ending: list[LevelBreach] = field(default_factory=list)
    lesser: list[SoftBreach] = field(default_factory=list)
    unseen: list[LimitOffence] = field(default_factory=list)
    changed: bool = False


def limit_verdicts(
    account: AccountRow,
    conduct: ConductState,
    specs: Sequence[FloorSpec],
    found: Sequence[LevelBreach],
    at: datetime,
    *,
    at_reset: bool,
) -> LimitVerdicts:
    """Folds the limits of an account at an event. `specs`: the levels that can be compared. `found`: those that are
    broken now. `at_reset`: the event is a reset, at which all limits are compared."""
    broken = {verdict.key: verdict for verdict in found}
    verdicts = LimitVerdicts()
    for rule_id, levels in compared(specs, found, at_reset=at_reset).items():
        before, rule = _limit_state(account, conduct, rule_id)
        # a symbol or position that may be cured and is not among the broken ones is back within, or closed
        ended = {key: False for key in before.curing if "/" in key}
        after, offences = limits.step(before, rule, ended | levels, at)
        for offence in offences:
            verdict = broken.get(offence.key)
            if verdict is None:
                verdicts.unseen.append(offence)
            elif offence.consequence.kind != "fail":
                verdicts.lesser.append((verdict, offence.consequence))
            else:
                verdicts.ending.append(verdict)
                # if the breach is overturned, the limit counts at once
                after = limits.uncounted(after, offence.key)
        if after is not before:
            conduct.limits[rule_id], verdicts.changed = after, True
    return verdicts


def reset_limits(account: AccountRow, conduct: ConductState, at: datetime, day: date) -> LimitVerdicts:
    """Lets the limits of an account count anew at the reset that begins `day`."""
    verdicts = LimitVerdicts()
    for rule_id in {spec.rule_id: None for spec in account.terms.specs}:
        before, rule = _limit_state(account, conduct, rule_id)
        after, offences = limits.reset(before, rule, at, day, limits.period_of(rule))
        verdicts.unseen += offences
        if after is not before:
            conduct.limits[rule_id], verdicts.changed = after, True
    return verdicts


def _limit_state(account: AccountRow, conduct: ConductState, rule_id: str) -> tuple[LimitState, EquityRule]:
    """Returns a rule of the account and its state. The account has the number of the offences: it also knows those of
    an earlier life, before a reinstatement."""
    rule = account.terms.rule(rule_id)
    assert isinstance(rule, EquityRule)
    state, offences = conduct.limits.get(rule_id, limits.FRESH), account.offences.get(rule_id, 0)
    return (state if state.offences == offences else state.model_copy(update={"offences": offences})), rule


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
        deducted = deducted_minor(verdict.spec, consequence, verdict.equity_minor, verdict.floor_minor)
        positions = _offending(account, verdict) if consequence.kind == "close_position" else ()
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
            seq=account.recorded_seq(seq),
            at=at,
        )
        self._facts.verdicts.append(fact)
        self._apply(account, fact)
        account.offences |= {rule_id: offence}

    def unseen(self, account: AccountRow, offence: LimitOffence, seq: int, at: datetime) -> None:
        """Asks a person about a limit that was not seen to be back within in time. Its worth was unknown or doubtful
        when the time ended, so that no proof can show it broken then."""
        sentence = (
            f"{offence.rule_id} was broken, and was not seen to be back within in time: "
            "the worth of the account was unknown or doubtful when the time ended."
        )
        detail = {"rule_id": offence.rule_id, "offence": offence.number, "sentence": sentence, "seq": seq}
        key = f"unseen_cure/{account.account_id}/{offence.key}/{seq}"
        self._facts.reviews.append(ReviewNote(key, ReviewKind.OFFENCE, at, detail, account.account_id))

    def conduct(
        self, account: AccountRow, violations: Sequence[Violation], seq: int, at: datetime, equity_minor: int
    ) -> list[Broken]:
        """Returns the facts of violations of conduct rules, and applies what those that end no phase do to the
        account."""
        found: list[Broken] = []
        for violation in violations:
            sheet = _violation_sheet(account, violation)
            if violation.consequence.kind != "fail":
                fact = _soft_offence(account, violation, sheet, seq, at)
                self._apply(account, fact)
                found.append(fact)
                continue
            found.append(
                BreachFact(
                    account_id=account.account_id,
                    challenge_id=account.challenge_id,
                    login=account.login,
                    phase_index=account.terms.phase_index,
                    rule_id=violation.rule_id,
                    offence=violation.offence,
                    proof_id=str(sheet["proof_id"]),
                    proof=sheet,
                    seq=account.recorded_seq(seq),
                    at=at,
                    floor_minor=None,
                    equity_minor=equity_minor,
                    cause=False,
                )
            )
        return found

    def resume(self, account: AccountRow, at: datetime) -> bool:
        """Ends the pause of an account. Returns whether it was paused."""
        conduct = account.conduct
        if conduct is None or conduct.paused is None:
            return False
        self._facts.resumes.append(ResumeFact(account.account_id, account.login, conduct.paused, at))
        conduct.paused = None
        return True

    def _apply(self, account: AccountRow, fact: OffenceFact) -> None:
        """Pauses or resets the account, or asks a person, as the consequence says."""
        if fact.consequence == "pause_until_reset" and account.conduct is not None:
            account.conduct.paused = fact.offence_id
        if fact.consequence == "reset_balance" and account.conduct is not None and not has_initial_balance(account):
            account.conduct.resetting = fact.offence_id
        if fact.consequence == "review":
            detail = {
                "rule_id": fact.rule_id,
                "offence": fact.offence,
                "sentence": fact.sentence,
                "proof_id": fact.proof_id,
                "seq": fact.seq,
            }
            key = record_keys.offence_review(fact.offence_id)
            self._facts.reviews.append(ReviewNote(key, ReviewKind.OFFENCE, fact.at, detail, account.account_id))


def has_initial_balance(account: AccountRow) -> bool:
    """Returns whether the account is flat with its initial balance: a venue that is to reset it then moves no money."""
    return not account.open_positions and account.balance_minor == account.terms.initial_minor


def _offending(account: AccountRow, verdict: LevelBreach) -> tuple[str, ...]:
    """Returns the positions that broke a limit: all open ones, or those of the symbol or the position alone."""
    return tuple(
        position.position_id
        for position in account.positions()
        if verdict.subject
        in {"account": (None,), "symbol": (position.symbol,)}.get(verdict.spec.per, (position.position_id,))
    )


def _violation_sheet(account: AccountRow, violation: Violation) -> dict[str, object]:
    conduct = account.conduct
    assert conduct is not None
    phase, rule_id, offence = account.terms.phase_index, violation.rule_id, violation.offence
    proof_id = keys.violation_proof(account.account_id, phase, rule_id, offence)
    subject = ProofSubject(account.account_id, account.challenge_id, account.login, account.terms, account.continues)
    return violation_sheet(
        proof_id, subject, rule_id, offence, conduct.events, began=conduct.began, point=conduct.point
    )


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
        seq=account.recorded_seq(seq),
        at=at,
    )
