"""From what a shard found to rows of the record."""

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from contracts.ids import challenge_workflow
from contracts.messages import BreachDetected, PhasePassed
from domain.ids import new_id
from domain.pnl import RateMissing, conversion_rate
from domain.rules.state import AccountRules
from monitor.accounts import Account, Roster, positions_json, rule_state
from monitor.bars import Bars
from monitor.facts import BreachFact, OffenceFact, PassFact, ResumeFact, Verdict
from monitor.rule_columns import instant
from monitor.shard import Shard
from store.live_write import CheckpointRows, Row, VerdictRows

# What a position floats is summed per symbol over accounts of any currency, so it needs one to be said in.
REPORTING_CURRENCY: Final = "USD"
FEED_VERSION: Final = 1
FEW: Final = 500  # accounts of which every checkpoint may store all
AT_ONCE: Final = 50  # merely marked ones that it stores of more


def verdict_rows(
    facts: list[Verdict], epoch: int, received_at: datetime, resumes: Sequence[ResumeFact] = ()
) -> VerdictRows:
    """`received_at`: the wall time at which the batch with the deciding events arrived."""
    rows = VerdictRows([], [], [], [], [], [], [])
    for fact in facts:
        rows.proofs.append(
            {
                "id": fact.proof_id,
                "account_id": fact.account_id,
                "kind": fact.proof["kind"],
                "digest": fact.proof["hash"],
                "body": fact.proof,
            }
        )
        if isinstance(fact, BreachFact):
            _breach(rows, fact, epoch, received_at)
        elif isinstance(fact, OffenceFact):
            _offence(rows, fact, epoch)
        else:
            _pass(rows, fact, epoch)
    for resume in resumes:
        _resume(rows, resume)
    return rows


def _offence(rows: VerdictRows, fact: OffenceFact, epoch: int) -> None:
    """What follows is done at the venue; a warning, a review or a deduction is there to be read."""
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
        payload = {"account_id": fact.account_id, "position_ids": list(fact.position_ids), "epoch": epoch}
        rows.orders.append(
            {"key": f"close/{fact.offence_id}", "topic": "venue.close", "target": str(fact.login), "payload": payload}
        )


def _resume(rows: VerdictRows, fact: ResumeFact) -> None:
    rows.orders.append(
        {
            "key": f"resume/{fact.offence_id}",
            "topic": "venue.resume",
            "target": str(fact.login),
            "payload": {"account_id": fact.account_id},
        }
    )


def _lock(
    rows: VerdictRows, fact: BreachFact | PassFact | OffenceFact, subject: str, epoch: int, *, ends: bool = True
) -> None:
    """Flatten and disable at the venue; `ends`: for good."""
    key = f"lock/{subject}"
    rows.locks.append(
        {
            "key": key,
            "login": fact.login,
            "account_id": fact.account_id,
            "at": fact.at.isoformat(),
            "ends": ends,
            "breach_ids": [],
            "payload": {"key": key, "login": fact.login, "account_id": fact.account_id, "epoch": epoch},
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
        key = f"breach/{fact.breach_id}"
        message = BreachDetected(key=key, breach_id=fact.breach_id, account_id=fact.account_id, occurred_at=fact.at)
        _signal(rows, fact, "breach_detected", key, message.model_dump(mode="json"))
    rows.locks[-1]["breach_ids"].append(fact.breach_id)


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
    key = f"pass/{fact.pass_id}"
    message = PhasePassed(key=key, pass_id=fact.pass_id, account_id=fact.account_id, occurred_at=fact.at)
    _signal(rows, fact, "phase_passed", key, message.model_dump(mode="json"))


def _signal(rows: VerdictRows, fact: BreachFact | PassFact, name: str, key: str, payload: dict[str, Any]) -> None:
    target = challenge_workflow(fact.challenge_id)
    rows.signals.append({"key": key, "target": target, "name": name, "payload": payload})


def checkpoint_rows(shard: Shard, number: int, batch: int, feed_name: str, *, whole: bool = True) -> CheckpointRows:
    """Everything shard `number` holds as of `batch`, taken out of its buffers.

    Not `whole`, of many accounts: of those that were merely marked, with nothing to lose but what a page shows, some are
    left to later checkpoints in turn, and so are the bars of the running minute; peaks that moved are in `feed` until
    then. Verdicts must not wait for them.
    """
    harvest = shard.harvest
    bars, harvest.bars = harvest.bars, []
    changed = _changed(shard, whole=whole)
    running = shard.bars.so_far() if whole or shard.columns.size <= FEW else None
    rows = CheckpointRows(
        batch=batch,
        feed_name=feed_name,
        feed=feed_state(shard),
        watermark=shard.now,
        last_tick_at=shard.last_tick_at,
        live=[_live(shard, account, batch) for account in changed],
        deals=[
            (
                *(account_id, d.deal_id, d.seq, d.at, d.position_id, d.symbol, d.side, d.entry, d.lots, d.price),
                *(d.profit_minor, d.commission_minor, d.swap_minor, d.balance_minor, d.reason),
            )
            for account_id, d in harvest.deals
        ],
        operations=[
            (account_id, o.key, o.operation, o.seq, o.at, o.amount_minor, o.balance_minor)
            for account_id, o in harvest.operations
        ],
        snapshots=[
            (s.account_id, s.day, s.reset_at, s.balance_minor, s.equity_minor, json.dumps(s.floors))
            for s in harvest.snapshots
        ],
        bars=_bars(shard.accounts, [*bars, running] if running else bars),
        exposures=list(_exposures(shard, number)),
        reviews=[
            (
                *(new_id("rev"), key, note.kind, note.account_id, json.dumps(note.detail)),
                *("closed" if note.settled else "open", note.at, note.settled),
            )
            for key, note in {note.key: note for note in harvest.reviews}.items()
        ],
        warnings=[(w.account_id, w.kind, w.rule_id, w.period, w.at, json.dumps(w.figures)) for w in harvest.warnings],
        corrections=[(feed_name, c.seq, c.corrects_seq, c.at, c.model_dump_json()) for c in harvest.corrections],
        version_moves=harvest.version_moves,
    )
    harvest.deals, harvest.operations, harvest.snapshots, harvest.reviews = [], [], [], []
    harvest.version_moves, harvest.warnings, harvest.corrections = [], [], []
    return rows


def feed_state(shard: Shard) -> dict[str, Any]:
    """Market time, last quotes, doubts, and peaks that their accounts' rows do not have yet: what a rebuild needs beside
    the accounts."""
    peaked = np.flatnonzero(shard.columns.peaked[: shard.columns.size])
    peaks = {"peaks": shard.rules.peaks(shard.columns, peaked, shard.accounts.logins)} if peaked.size else {}
    return peaks | {
        "v": FEED_VERSION,
        "now": shard.now.isoformat(),
        "last_tick_at": shard.last_tick_at.isoformat() if shard.last_tick_at else None,
        "quotes": {
            symbol: [str(bid), str(ask), shard.board.stamps[symbol][0], shard.board.stamps[symbol][1].isoformat()]
            for symbol, (bid, ask) in shard.board.prices.items()
        },
        "quality": shard.quality.to_json(),
    }


def _changed(shard: Shard, *, whole: bool) -> list[Account]:
    """Accounts to store now; they count as clean from here on."""
    columns, size = shard.columns, shard.columns.size
    marked = columns.stale[:size] | columns.peaked[:size] | (shard.bars.touched[:size] != 0)
    if whole or size <= FEW:
        rows = np.flatnonzero(columns.dirty[:size] | marked)
    else:
        waiting = np.flatnonzero(marked & ~columns.dirty[:size])
        turn = int(np.searchsorted(waiting, shard.refreshed, side="right"))
        turns = np.concatenate([waiting[turn:], waiting[:turn]])[:AT_ONCE]
        shard.refreshed = int(turns[-1]) if turns.size else -1
        rows = np.concatenate([np.flatnonzero(columns.dirty[:size]), turns])
    columns.dirty[rows] = columns.stale[rows] = columns.peaked[rows] = False
    return [shard.accounts[row] for row in rows.tolist()]


def _live(shard: Shard, account: Account, batch: int) -> Row:
    columns, row = shard.columns, account.row
    rules = shard.rules.get(row, account.terms.specs)
    equity = int(columns.equity[row])
    opening = (int(columns.opening[row]), instant(int(columns.opening_at[row])), int(columns.opening_seq[row]))
    state = rule_state(account, rules, opening, bool(columns.judged[row]), int(columns.synced[row]))
    stated = shard.marks.last(account)
    if stated is not None:
        state["stated"] = stated.model_dump(mode="json")
    return (
        account.account_id,
        batch,
        shard.now,
        int(columns.balance[row]),
        equity,
        len(account.trading_days),
        account.trading_days[-1] if account.trading_days else None,
        json.dumps(positions_json(shard.marks.valued(account))),
        json.dumps(_floors(rules, equity)),
        json.dumps(state),
    )


def _floors(rules: AccountRules, equity: int) -> dict[str, dict[str, Any]]:
    return {
        spec.key: {
            "floor_minor": state.floor_minor,
            "operator": spec.operator,
            "room_minor": equity - state.floor_minor,
        }
        for spec, state in zip(rules.specs, rules.states, strict=True)
    }


def _bars(accounts: Roster, minutes: list[Bars]) -> Iterator[Row]:
    for bars in minutes:
        minute = bars.minute.isoformat()
        columns = (bars.rows, bars.open, bars.high, bars.low, bars.close, bars.balance)
        for row, *figures in zip(*(column.tolist() for column in columns), strict=True):
            yield (accounts[row].account_id, minute, *figures)


def _exposures(shard: Shard, number: int) -> Iterator[Row]:
    """Long and short lots, holders and floating profit of every quoted symbol, from the books."""
    lots: dict[str, list[Decimal]] = {}
    for symbol in shard.board.prices:
        lots[symbol] = [Decimal(0), Decimal(0), Decimal(0)]
    holders: dict[str, npt.NDArray[np.bool_]] = {}
    for book in shard.marks.books():
        figures = lots.get(book.instrument.symbol)
        if figures is None:
            continue
        figures[0] += book.lots("buy")
        figures[1] += book.lots("sell")
        holds = holders.setdefault(book.instrument.symbol, np.zeros(shard.columns.size, np.bool_))
        holds[book.rows] = True
        try:
            rate = conversion_rate(book.currency, REPORTING_CURRENCY, shard.board.prices)
        except RateMissing:
            continue
        figures[2] += Decimal(round(float(book.profit.sum()))) * rate
    for symbol, (long, short, floating) in lots.items():
        (bid, ask), (_, at) = shard.board.prices[symbol], shard.board.stamps[symbol]
        yield (number, symbol, long, short, int(np.count_nonzero(holders.get(symbol, ()))), int(floating), bid, ask, at)
