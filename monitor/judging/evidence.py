"""Verdicts with their evidence: what the judge saw of an account, as proof sheets and facts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from domain import keys
from domain.proofs import money as proof
from domain.proofs.history import pass_history, pass_rules
from domain.proofs.money import BalancePart, EventPart, JudgedAccount
from domain.proofs.sheets import GatePart, HistoryPart
from domain.proofs.sources import BalanceSource
from domain.rules.evaluate import LevelBreach
from domain.rules.events import Marked
from monitor.columns.roster import AccountRow
from monitor.facts import BreachFact, PassFact
from monitor.state import ShardState


@dataclass(frozen=True, slots=True)
class Trigger:
    """The event at which an account is judged. `rollover`: the reset of its limits. `rolled`: a reset that only ends
    the trading day, where another clock resets the limits."""

    kind: Literal["tick", "deal", "balance", "account", "rollover", "rolled", "clocked", "stop_changed"]
    seq: int
    at: datetime
    symbol: str | None = None

    def marked(self, balance_minor: int, equity_minor: int) -> Marked:
        """The account's money at this event, as rules over its history take it."""
        return Marked(seq=self.seq, at=self.at, balance_minor=balance_minor, equity_minor=equity_minor)


def scene_of(state: ShardState, account: AccountRow, trigger: Trigger, equity: int | None) -> JudgedAccount:
    """Returns what is known of an account at an event. `equity`: its exact equity there; None while it is unknown."""
    opening, opening_at, opening_seq = account.opening
    return JudgedAccount(
        account_id=account.account_id,
        challenge_id=account.challenge_id,
        login=account.login,
        terms=account.terms,
        event=EventPart(kind=trigger.kind, seq=trigger.seq, at=trigger.at, symbol=trigger.symbol),
        balance=BalancePart(
            opening_minor=opening,
            opening_at=opening_at,
            opening_seq=opening_seq,
            movements=account.movements,
            balance_minor=account.balance_minor,
        ),
        positions=account.positions(),
        equity_minor=account.balance_minor if equity is None else equity,
        trading_days=account.trading_days,
        costs=account.costs,
        continues=account.continues,
        source=BalanceSource() if equity is None else state.marks.source(account),
    )


def breach_sheet(state: ShardState, account: AccountRow, scene: JudgedAccount, verdict: LevelBreach) -> dict[str, Any]:
    """Returns the sealed proof sheet of a broken level."""
    rule_id = verdict.spec.rule_id
    offence = account.next_offence(rule_id)
    proof_id = keys.violation_proof(scene.account_id, scene.terms.phase_index, rule_id, offence)
    return proof.breach_sheet(
        proof_id,
        scene,
        verdict.spec,
        verdict.state,
        state.board,
        state.instruments,
        offence=offence,
        subject=verdict.subject,
    )


def breach_facts(
    state: ShardState, account: AccountRow, trigger: Trigger, found: Sequence[LevelBreach], equity: int | None
) -> list[BreachFact]:
    """Returns one fact per broken level, the cause first."""
    scene = scene_of(state, account, trigger, equity)
    facts: list[BreachFact] = []
    for verdict in found:
        sheet = breach_sheet(state, account, scene, verdict)
        facts.append(
            BreachFact(
                account_id=scene.account_id,
                challenge_id=scene.challenge_id,
                login=scene.login,
                phase_index=scene.terms.phase_index,
                rule_id=verdict.spec.rule_id,
                offence=account.next_offence(verdict.spec.rule_id),
                proof_id=str(sheet["proof_id"]),
                proof=sheet,
                seq=account.recorded_seq(trigger.seq),
                at=trigger.at,
                floor_minor=verdict.floor_minor,
                equity_minor=verdict.equity_minor,
                cause=not facts,
            )
        )
    return facts


def pass_fact(state: ShardState, account: AccountRow, trigger: Trigger, equity: int) -> PassFact:
    phase = account.terms.phase_index
    proof_id = keys.pass_proof(account.account_id, phase)
    scene = scene_of(state, account, trigger, equity)
    balance = scene.balance.balance_minor
    history, gates, wanted = _pass_history(account, trigger.marked(balance, equity))
    sheet = proof.pass_sheet(
        proof_id, scene, state.board, state.instruments, history=history, gates=gates, effective_minor=wanted
    )
    return PassFact(
        account_id=account.account_id,
        challenge_id=account.challenge_id,
        login=account.login,
        phase_index=phase,
        proof_id=proof_id,
        proof=sheet,
        seq=account.recorded_seq(trigger.seq),
        at=trigger.at,
        balance_minor=balance,
    )


def _pass_history(account: AccountRow, now: Marked) -> tuple[HistoryPart | None, tuple[GatePart, ...], int | None]:
    """Returns the (history, gates, target) of a pass in a phase that has gates."""
    if account.conduct is None or not pass_rules(account.terms):
        return None, (), None
    recent = account.conduct
    return pass_history(account.terms, recent.events, now, began=recent.began, point=recent.point)
