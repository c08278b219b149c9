"""The rows of verdicts: breaches, passes, offences, gates, and what must be done about them at the venue."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from contracts.ids import challenge_workflow
from contracts.messages import BreachDetected, LockAccount, PhasePassed, Signal, stored, wire_name
from domain import keys
from domain.proofs.points import PointFact
from domain.proofs.texts import text_of
from monitor.facts import BreachFact, GateFact, OffenceFact, PassFact, ResumeFact, StrayFact, VerdictFact
from store.live_write import VerdictRows


def verdict_rows(
    facts: list[VerdictFact],
    epoch: int,
    received_at: datetime,
    resumes: Sequence[ResumeFact] = (),
    gates: Sequence[GateFact] = (),
    points: Sequence[PointFact] = (),
    strays: Sequence[StrayFact] = (),
) -> VerdictRows:
    """Returns the rows of one batch. `received_at`: the wall time at which the batch arrived."""
    rows = VerdictRows([], [], [], [], [], [], [], [], points=[_point(fact) for fact in points])
    for fact in facts:
        rows.proofs.append(_proof(fact))
        if isinstance(fact, BreachFact):
            _breach(rows, fact, epoch, received_at)
        elif isinstance(fact, OffenceFact):
            _offence(rows, fact, epoch)
        else:
            _pass(rows, fact, epoch)
    for resume in resumes:
        _resume(rows, resume)
    for stray in strays:
        key = keys.close_again_message(stray.account_id, stray.deal_id)
        _close(rows, stray, key, [stray.position_id], epoch)
    for gate in gates:
        rows.proofs.append(_proof(gate))
        rows.gates.append(
            {
                "account_id": gate.account_id,
                "rule_id": gate.rule_id,
                "met": gate.met,
                "outcome": gate.outcome,
                "sentence": gate.sentence,
                "blocks": gate.blocks,
                "proof_id": gate.proof_id,
                "occurred_at": gate.at.isoformat(),
            }
        )
    return rows


def _point(fact: PointFact) -> dict[str, Any]:
    point = fact.point
    return {
        "hash": fact.name.hash,
        "account_id": point.account_id,
        "number": point.number,
        "body": point.model_dump_json(),
    }


def _proof(fact: VerdictFact | GateFact) -> dict[str, Any]:
    sheet = fact.proof
    return {
        "id": fact.proof_id,
        "account_id": fact.account_id,
        "kind": sheet["kind"],
        "digest": sheet["hash"],
        "body": text_of(sheet),
    }


def _offence(rows: VerdictRows, fact: OffenceFact, epoch: int) -> None:
    """A pause, a closing or a new balance is done at the venue. Every other consequence is only recorded."""
    rows.offences.append(
        {
            "id": fact.offence_id,
            "account_id": fact.account_id,
            "challenge_id": fact.challenge_id,
            "phase_index": fact.phase_index,
            "rule_id": fact.rule_id,
            "offence": fact.offence,
            "consequence": fact.consequence,
            "sentence": fact.sentence,
            "deducted_minor": fact.deducted_minor,
            "proof_id": fact.proof_id,
            "seq": fact.seq,
            "occurred_at": fact.at.isoformat(),
            "epoch": epoch,
        }
    )
    if fact.consequence == "pause_until_reset":
        _lock(rows, fact, fact.offence_id, epoch, ends=False)
    elif fact.consequence == "close_position":
        _close(rows, fact, keys.close_message(fact.offence_id), list(fact.position_ids), epoch)
    elif fact.consequence == "reset_balance":
        rows.orders.append(
            {
                "key": keys.reset_balance(fact.offence_id),
                "topic": "venue.reset_balance",
                "target": str(fact.login),
                "payload": {"account_id": fact.account_id},
            }
        )


def _close(rows: VerdictRows, fact: OffenceFact | StrayFact, key: str, position_ids: list[str], epoch: int) -> None:
    payload = {"account_id": fact.account_id, "position_ids": position_ids, "epoch": epoch}
    rows.orders.append({"key": key, "topic": "venue.close", "target": str(fact.login), "payload": payload})


def _resume(rows: VerdictRows, fact: ResumeFact) -> None:
    rows.orders.append(
        {
            "key": keys.resume_message(fact.offence_id),
            "topic": "venue.resume",
            "target": str(fact.login),
            "payload": {"account_id": fact.account_id, "offence_id": fact.offence_id},
        }
    )


def _lock(
    rows: VerdictRows, fact: BreachFact | PassFact | OffenceFact, subject: str, epoch: int, *, ends: bool = True
) -> None:
    """Has the account flattened and disabled at the venue. `ends`: for good."""
    key = keys.lock_message(subject)
    rows.locks.append(
        {
            "key": key,
            "login": fact.login,
            "account_id": fact.account_id,
            "at": fact.at.isoformat(),
            "ends": ends,
            "breach_ids": [],
            "payload": stored(LockAccount(key=key, login=fact.login, account_id=fact.account_id, epoch=epoch)),
        }
    )


def _breach(rows: VerdictRows, fact: BreachFact, epoch: int, received_at: datetime) -> None:
    rows.breaches.append(
        {
            "id": fact.breach_id,
            "account_id": fact.account_id,
            "challenge_id": fact.challenge_id,
            "phase_index": fact.phase_index,
            "rule_id": fact.rule_id,
            "offence": fact.offence,
            "proof_id": fact.proof_id,
            "seq": fact.seq,
            "occurred_at": fact.at.isoformat(),
            "floor_minor": fact.floor_minor,
            "equity_minor": fact.equity_minor,
            "status": "confirmed",
            "epoch": epoch,
            "received_at": received_at.isoformat(),
        }
    )
    if fact.cause:
        _lock(rows, fact, fact.breach_id, epoch)
        key = keys.breach_message(fact.breach_id)
        message = BreachDetected(key=key, breach_id=fact.breach_id, account_id=fact.account_id, occurred_at=fact.at)
        _signal(rows, fact, message)
    ends = next(lock for lock in reversed(rows.locks) if lock["ends"])  # a pause may be between them
    ends["breach_ids"].append(fact.breach_id)


def _pass(rows: VerdictRows, fact: PassFact, epoch: int) -> None:
    rows.passes.append(
        {
            "id": fact.pass_id,
            "account_id": fact.account_id,
            "challenge_id": fact.challenge_id,
            "phase_index": fact.phase_index,
            "proof_id": fact.proof_id,
            "seq": fact.seq,
            "occurred_at": fact.at.isoformat(),
            "balance_minor": fact.balance_minor,
        }
    )
    _lock(rows, fact, fact.pass_id, epoch)
    key = keys.pass_message(fact.pass_id)
    message = PhasePassed(key=key, pass_id=fact.pass_id, account_id=fact.account_id, occurred_at=fact.at)
    _signal(rows, fact, message)


def _signal(rows: VerdictRows, fact: BreachFact | PassFact, message: Signal) -> None:
    target = challenge_workflow(fact.challenge_id)
    rows.signals.append({"key": message.key, "target": target, "name": wire_name(message), "payload": stored(message)})
