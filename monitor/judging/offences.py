"""What a broken rule leads to: the end of the phase, or less. Which of it is said by the rule's consequences."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from domain.ids import derived_id
from domain.rules.base import Consequence, EquityRule, Violation
from domain.rules.evaluate import Verdict
from domain.rules.proof_history import Whose, violation_sheet
from monitor.columns.conduct_state import Curing, Standing
from monitor.columns.roster import Account
from monitor.facts import BreachFact, Harvest, OffenceFact, ResumeFact
from monitor.judging.feed_quality import Kind, ReviewNote

Soft = tuple[Verdict, Consequence]


def sift(
    account: Account, standing: Standing, found: Sequence[Verdict], at: datetime
) -> tuple[list[Verdict], list[Soft]]:
    """(what ends the phase, what has another consequence) of the limits that are broken at `at`.

    Follows the cures: what is back within its limit is cured, what is newly broken may get its time. A limit with a
    lesser consequence is muted until the next reset: one reset period is one offence.
    """
    ending, soft = list[Verdict](), list[Soft]()
    broken = {verdict.spec.rule_id for verdict in found}
    for rule_id in [rule_id for rule_id in standing.curing if rule_id not in broken]:
        del standing.curing[rule_id]
        standing.cured[rule_id] = standing.cured.get(rule_id, 0) + 1
    for verdict in found:
        rule_id = verdict.spec.rule_id
        rule = account.terms.rule(rule_id)
        assert isinstance(rule, EquityRule)
        if rule_id in standing.muted or _may_be_cured(rule, standing, at):
            continue
        standing.curing.pop(rule_id, None)
        what = rule.consequence(account.offence(rule_id))
        if what.kind == "fail":
            ending.append(verdict)
        else:
            soft.append((verdict, what))
            standing.muted.append(rule_id)
    return ending, soft


def _may_be_cured(rule: EquityRule, standing: Standing, at: datetime) -> bool:
    """Whether a broken limit still has time; opens the window at the first sight of it."""
    if rule.cure is None:
        return False
    curing = standing.curing.get(rule.id)
    if curing is not None:
        return at <= curing.until
    if standing.cured.get(rule.id, 0) >= rule.cure.times:
        return False
    standing.curing[rule.id] = Curing(until=at + timedelta(minutes=rule.cure.minutes))
    return True


def cure_ends(standing: Standing) -> datetime | None:
    """When the next window closes: just after it, a limit that is still broken counts."""
    return min((curing.until for curing in standing.curing.values()), default=None)


class Offences:
    """Turns what was found into facts to be recorded."""

    def __init__(self, harvest: Harvest) -> None:
        self._harvest = harvest

    def limit(
        self, account: Account, verdict: Verdict, what: Consequence, seq: int, at: datetime, proof: dict[str, object]
    ) -> None:
        """An account's worth went beyond a limit that does not end the phase for it."""
        rule_id, offence = verdict.spec.rule_id, account.offence(verdict.spec.rule_id)
        over = verdict.equity_minor - verdict.floor_minor if verdict.spec.direction == "ceiling" else 0
        deducted = max(0, over) if what.kind == "deduct_profit" else 0
        positions = tuple(account.holdings) if what.kind == "close_position" else ()
        self._add(account, rule_id, offence, what, str(proof["verdict"]), deducted, positions, proof, seq, at)
        account.offences |= {rule_id: offence}

    def conduct(
        self, account: Account, violations: Sequence[Violation], seq: int, at: datetime, equity_minor: int
    ) -> bool:
        """Rules of conduct were broken; gives whether that ends the phase."""
        standing, phase = account.standing, account.terms.phase_index
        assert standing is not None
        ended = False
        for found in violations:
            proof_id = derived_id("prf", account.account_id, phase, found.rule_id, found.offence)
            whose = Whose(account.account_id, account.challenge_id, account.login, account.terms)
            proof = violation_sheet(
                proof_id, whose, found.rule_id, found.offence, standing.events, began=standing.began
            )
            if found.consequence.kind != "fail":
                # what is deducted of the profit is the rule's own sum: it may still change with the rest of a position
                self._add(
                    account, found.rule_id, found.offence, found.consequence, found.sentence, 0, found.position_ids,
                    proof, seq, at,
                )  # fmt: skip
                continue
            self._harvest.verdicts.append(
                BreachFact(
                    account_id=account.account_id,
                    challenge_id=account.challenge_id,
                    login=account.login,
                    phase_index=phase,
                    rule_id=found.rule_id,
                    offence=found.offence,
                    proof_id=proof_id,
                    proof=proof,
                    seq=seq,
                    at=at,
                    floor_minor=None,
                    equity_minor=equity_minor,
                    cause=not ended,
                )
            )
            ended = True
        return ended

    def resume(self, account: Account, at: datetime) -> bool:
        """A trading day has ended: a paused account may trade again. Gives whether it was one."""
        standing = account.standing
        if standing is None or standing.paused is None:
            return False
        self._harvest.resumes.append(ResumeFact(account.account_id, account.login, standing.paused, at))
        standing.paused = None
        return True

    def _add(
        self,
        account: Account,
        rule_id: str,
        offence: int,
        what: Consequence,
        sentence: str,
        deducted_minor: int,
        position_ids: tuple[str, ...],
        proof: dict[str, object],
        seq: int,
        at: datetime,
    ) -> None:
        fact = OffenceFact(
            account_id=account.account_id,
            challenge_id=account.challenge_id,
            login=account.login,
            phase_index=account.terms.phase_index,
            rule_id=rule_id,
            offence=offence,
            consequence=what.kind,
            sentence=sentence,
            deducted_minor=deducted_minor,
            position_ids=position_ids,
            proof_id=str(proof["proof_id"]),
            proof=proof,
            seq=seq,
            at=at,
        )
        self._harvest.verdicts.append(fact)
        if what.kind == "pause_until_reset" and account.standing is not None:
            account.standing.paused = fact.offence_id
        if what.kind == "review":
            detail = {
                "rule_id": rule_id,
                "offence": offence,
                "sentence": sentence,
                "proof_id": fact.proof_id,
                "seq": seq,
            }
            self._harvest.reviews.append(
                ReviewNote(f"offence/{fact.offence_id}", Kind.OFFENCE, at, detail, account.account_id)
            )
