"""The summary of a demo run, read from the database when it is over."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
from rich.console import Console
from rich.table import Table
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from store import ledger, operations
from store.clock import market_now
from store.db import Database
from store.models import (
    Account,
    Breach,
    Case,
    CaseAccount,
    Challenge,
    Chargeback,
    Decision,
    Dispute,
    Payout,
    PayoutTransfer,
    PhasePass,
    Proof,
    Transition,
)
from store.reconciliation import breaks

_ZERO: Final = ("ledger_imbalance", "unreconciled", "open_holds")
RETURN_DECISIONS: Final = ("send_again", "release", "keep")
# What a run of forty buyers or more has each at least once; a dot leads into a part of the summary.
OUTCOMES: Final = (
    *(f"states.{name}" for name in ("charged_back", "expired", "failed", "funded", "refunded")),
    *("passes", "payouts_paid", "payouts_rejected", "payouts_held", "payouts_came_back"),
    *(f"returns_decided.{name}" for name in RETURN_DECISIONS),
    *("chargebacks.won", "chargebacks.lost", "disputes_upheld", "disputes_reinstated", "cases"),
    *(f"outside.{name}" for name in ("cards_declined", "paid_by_bank_debit", "refunds_at_desk", "payouts_sent_back")),
    *(f"outside.{name}" for name in ("webhooks_lost", "webhooks_doubled", "statements_late")),
)


async def _counted(session: AsyncSession, column: Any) -> dict[str, int]:
    rows = await session.execute(select(column, func.count()).group_by(column).order_by(column))
    return {str(name): int(count) for name, count in rows}


async def _breach_rows(session: AsyncSession, names: Mapping[str, str]) -> list[dict[str, Any]]:
    """Returns each breach with everything a second run must repeat: account, phase, rule, event, floor."""
    rows = await session.execute(
        select(Breach, Account.challenge_id).join(Account, Account.id == Breach.account_id).order_by(Breach.seq)
    )
    found = [
        {
            "account": names[challenge_id],
            "phase": breach.phase_index,
            "rule": breach.rule_id,
            "offence": breach.offence,
            "seq": breach.seq,
            "at": breach.occurred_at.isoformat(),
            "floor_minor": breach.floor_minor,
            "equity_minor": breach.equity_minor,
        }
        for breach, challenge_id in rows
    ]
    return sorted(found, key=lambda row: (row["seq"], row["account"], row["rule"]))


async def _payout_rows(session: AsyncSession, names: Mapping[str, str]) -> list[dict[str, Any]]:
    rows = await session.scalars(select(Payout))
    found = [
        {
            "account": names[payout.challenge_id],
            "state": payout.state,
            "gross_minor": payout.gross_minor,
            "trader_minor": payout.trader_minor,
            "requested_at": payout.requested_at.isoformat(),
        }
        for payout in rows
    ]
    return sorted(found, key=lambda row: (row["requested_at"], row["account"]))


async def _case_rows(session: AsyncSession, names: Mapping[str, str]) -> list[dict[str, Any]]:
    rows = await session.execute(
        select(Case.id, Case.state, Case.opened_at, Account.challenge_id)
        .join(CaseAccount, CaseAccount.case_id == Case.id)
        .join(Account, Account.id == CaseAccount.account_id)
    )
    found: dict[str, dict[str, Any]] = {}
    for case_id, state, opened_at, challenge_id in rows:
        case = found.setdefault(case_id, {"state": state, "opened_at": opened_at.isoformat(), "accounts": []})
        case["accounts"] = sorted([*case["accounts"], names[challenge_id]])
    return sorted(found.values(), key=lambda row: (row["opened_at"], row["accounts"]))


async def _returns_decided(session: AsyncSession) -> dict[str, int]:
    """Returns how often people sent money that came back again, put it back on the account, or kept it as a claim."""
    rows = await session.execute(
        select(Decision.decision, func.count())
        .where(Decision.subject_kind == "payout", Decision.decision.in_(RETURN_DECISIONS))
        .group_by(Decision.decision)
    )
    return dict.fromkeys(RETURN_DECISIONS, 0) | {str(name): int(count) for name, count in rows}


async def _latencies(session: AsyncSession) -> dict[str, float]:
    """Returns percentiles of the milliseconds from the arrival of the deciding event to the confirmed lock."""
    rows = await session.execute(select(Breach.received_at, Breach.locked_at).where(Breach.locked_at.is_not(None)))
    millis = [(locked - received).total_seconds() * 1000 for received, locked in rows]
    if not millis:
        return {}
    return {f"p{q}": round(float(np.percentile(millis, q)), 2) for q in (50, 99)}


def faults(summary: Mapping[str, Any]) -> list[str]:
    """Returns the figures that must be 0 at the end of a run and are not."""
    return [name for name in _ZERO if summary[name]]


def missing(summary: Mapping[str, Any]) -> list[str]:
    """Returns the outcomes that this run did not have."""

    def count(outcome: str) -> int:
        part, _, name = outcome.partition(".")
        return int(summary[part].get(name, 0) if name else summary[part])

    return [outcome for outcome in OUTCOMES if not count(outcome)]


async def summarise(
    db: Database, names: Mapping[str, str], *, ticks: int, seconds: float, outside: Mapping[str, int]
) -> dict[str, Any]:
    """Returns the run as one JSON object. `names` maps challenge ids to the stable names of the personas. `outside`:
    what happened outside the firm, and how often."""
    async with db.transaction() as session:
        states = await _counted(session, Challenge.state)
        payouts = await _counted(session, Payout.state)
        disputes = await _counted(session, Dispute.state)
        breaches = await _breach_rows(session, names)
        paid = await _payout_rows(session, names)
        held = await session.scalar(select(func.count()).select_from(Payout).where(Payout.was_held))
        came_back = await session.scalar(
            select(func.count(func.distinct(PayoutTransfer.payout_id))).where(PayoutTransfer.state == "returned")
        )
        attempts = select(PayoutTransfer.rail, PayoutTransfer.state, func.count())
        by_rail = (PayoutTransfer.rail, PayoutTransfer.state)
        transfers = (await session.execute(attempts.group_by(*by_rail).order_by(*by_rail))).all()
        outcomes = {
            "states": states,
            "breaches": breaches,
            "payouts": paid,
            "passes": await session.scalar(select(func.count()).select_from(PhasePass)),
        }
        canonical = json.dumps(outcomes, sort_keys=True)
        summary = {
            "accounts": len(names),
            "ticks": ticks,
            "states": states,
            "breaches": await _counted(session, Breach.rule_id),
            "passes": outcomes["passes"],
            "payouts_paid": payouts.get("paid", 0),
            "payouts_rejected": payouts.get("rejected", 0),
            "payouts_came_back": came_back or 0,
            "returns_decided": await _returns_decided(session),
            "payouts_held": held or 0,
            "payouts": payouts,
            "transfers": {f"{rail}_{state}": count for rail, state, count in transfers},
            "chargebacks": await _counted(session, Chargeback.state),
            "outside": dict(outside),
            "cases": await session.scalar(select(func.count()).select_from(Case)),
            "disputes_upheld": disputes.get("upheld", 0),
            "disputes_reinstated": disputes.get("reinstated", 0),
            "ledger_imbalance": await ledger.imbalance(session),
            "unreconciled": await breaks.unreconciled(session, await market_now(session)),
            "open_holds": await operations.open_holds(session),
            "proofs": await session.scalar(select(func.count()).select_from(Proof)),
            "transitions": await session.scalar(select(func.count()).select_from(Transition)),
            "breach_to_lock_ms": await _latencies(session),
            "outcome_digest": hashlib.sha256(canonical.encode()).hexdigest()[:16],
            "case_list": await _case_rows(session, names),
            "breach_list": breaches,
            "payout_list": paid,
            "seconds": round(seconds, 1),
        }
        return summary | {"outcomes_missing": missing(summary)}


def show(summary: Mapping[str, Any], console: Console) -> None:
    """Prints the summary as a table, and the outcomes of each venue as a second one."""
    table = Table(title="Summary of the run", title_justify="left")
    table.add_column("Figure")
    table.add_column("Value", justify="right")
    for name, value in summary.items():
        if name.endswith("_list") or name == "venues":
            continue
        if name == "outcomes_missing":
            table.add_row("outcomes missing", ", ".join(value) or "none")
        elif isinstance(value, dict):
            for part, count in value.items():
                table.add_row(f"{name.replace('_', ' ')}: {str(part).replace('_', ' ')}", f"{count:,}")
        else:
            table.add_row(name.replace("_", " "), f"{value:,}" if isinstance(value, int) else str(value))
    console.print(table)
    if "venues" in summary:
        console.print(_by_venue(summary["venues"]))


def _by_venue(venues: Mapping[str, Mapping[str, Any]]) -> Table:
    table = Table("Figure", title="Outcomes by venue", title_justify="left")
    flat = {venue: dict(_flat(found)) for venue, found in venues.items()}
    for venue in flat:
        table.add_column(venue, justify="right")
    for name in dict.fromkeys(name for found in flat.values() for name in found):
        table.add_row(name, *(f"{found.get(name, 0):,}" for found in flat.values()))
    return table


def _flat(found: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    for name, value in found.items():
        parts = value if isinstance(value, Mapping) else {"": value}
        for part, count in parts.items():
            yield f"{name}: {part}".removesuffix(": ").replace("_", " "), count
