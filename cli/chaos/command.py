"""`propos chaos money`: plays the plan of a seed and prints what must be zero, and how often each fault happened."""

import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from cli.chaos import oracles, outside
from cli.chaos.firm import ChaosFirm, open_accounts, open_for_chaos, patiently
from cli.chaos.folders import fresh_folder, step_lines
from cli.chaos.plan import CYCLE, plan
from cli.chaos.staff import Desk
from cli.chaos.waves import Wave
from cli.progress import Progress, progress_bar
from cli.stack import logs
from domain.errors import BadInput

_LAST_DAYS: Final = 8
# The names in the report, and where each is counted: in the simulated companies, on the record, or by this command.
_COUNTED: Final[Mapping[str, tuple[str, ...]]] = {
    "webhook_duplicated": ("duplicate_webhooks",),
    "webhook_lost": ("drop_webhooks",),
    "webhook_late": ("delay_webhooks",),
    "call_too_many": ("too_many",),
    "call_failed_before": ("error_before",),
    "call_failed_after": ("error_after",),
    "call_timed_out_before": ("timeout_before",),
    "call_timed_out_after": ("timeout_after",),
    "effect_after_caller_gave_up": ("late_effect",),
    "key_in_use": ("key_in_use",),
    "key_forgotten": ("forget_keys",),
    "transfer_refused": ("transfer_refused",),
    "transfer_returned": ("transfer_returned",),
    "payout_failed_at_connect": ("payouts_fail",),
    "payout_returned_at_connect": ("payouts_return",),
    "statement_late": ("late_statement",),
    "statement_duplicated": ("duplicate_statement",),
    "statement_truncated": ("truncate",),
    "statement_of_other_account": ("other_account",),
    "batch_rejected": ("reject_batch",),
    "chargeback_won": ("chargeback_won",),
    "chargeback_lost": ("chargeback_lost",),
    **{
        name: (name,)
        for name in (
            *("desk_refund", "desk_dispute", "operators_raced", "approval_revoked", "role_revoked"),
            *("beneficiary_changed", "case_opened", "workflow_terminated", "workflow_reset"),
            *(f"{part}_killed" for part in ("api", "worker", "relay", "sandbox", "postgres", "temporal")),
        )
    },
    "news_reordered": ("reorder",),
}


@dataclass
class Result:
    """`timelines`: of the payouts that something is wrong with."""

    verdict: oracles.Verdict
    faults: dict[str, int]
    states: dict[str, int]
    seconds: float
    timelines: dict[str, list[str]] = field(default_factory=dict)

    @property
    def is_good(self) -> bool:
        return not any(self.verdict.found.values()) and all(self.faults.values())

    def figures(self, payouts: int, seed: int) -> dict[str, Any]:
        zeros = {name: len(found) for name, found in self.verdict.found.items()}
        more = {"states": self.states, "seconds": round(self.seconds, 1)}
        return {"payouts": payouts, "seed": seed, **zeros, "faults": self.faults, **more}


def money(*, payouts: int, seed: int, data: Path | None, as_json: bool) -> bool:
    """Runs the chaos on an empty folder. Returns whether nothing went wrong and every fault happened."""
    if payouts < CYCLE:
        words = f"Fewer than {CYCLE} payouts do not meet every fault."
        raise BadInput(words, field="--payouts", remedy=f"Ask for {CYCLE} or more.")
    folder = fresh_folder(data)
    logs.configure("chaos", "error")
    with progress_bar() as bar:
        result = asyncio.run(run(payouts, seed, folder, bar if sys.stderr.isatty() else step_lines()))
    _print(result, payouts, seed, folder, as_json)
    return result.is_good


async def run(payouts: int, seed: int, folder: Path, progress: Progress) -> Result:
    started, waves = time.monotonic(), plan(payouts, seed)
    async with open_for_chaos(folder, progress) as firm:
        await open_accounts(firm, [each for wave in waves for each in wave], seed)
        desk, first = Desk(firm), 0
        for number, wave in enumerate(waves):
            progress(f"wave {number + 1} of {len(waves)}", number / len(waves))
            await Wave(firm, desk, firm.clients[first : first + len(wave)]).play()
            first += len(wave)
        progress("until nothing moves any more", 1.0)
        await _finish(firm, desk)
        record, uses = await oracles.read_record(firm), await firm.sandbox.fault_uses()
        people = {"ana": "staff-ana"}
        roles = [(at, people[login], role) for at, login, role in firm.roles]
        lines = await _timelines(firm, record)
        happened = firm.happened
        payees = firm.clients
    moved = outside.read(next(folder.rglob("sandbox.sqlite3")))
    verdict = oracles.judge(record, moved, payees, roles)
    counted = Counter(record.counts) + Counter(uses) + happened
    faults = {name: sum(counted[each] for each in kinds) for name, kinds in _COUNTED.items()}
    states = dict(Counter(str(row["state"]) for row in record.payouts))
    concerned = {id: lines[id] for id in sorted(verdict.payouts) if id in lines}
    return Result(verdict, faults, states, time.monotonic() - started, concerned)


async def _finish(firm: ChaosFirm, desk: Desk) -> None:
    """Lets days pass without faults, while people decide what waits."""
    await patiently(firm.sandbox.stripe_faults, "faults are cleared")
    await patiently(firm.sandbox.bank_faults, "faults are cleared")
    for day in range(_LAST_DAYS):
        await firm.settle(await desk.work(last=day >= _LAST_DAYS // 2))
        await firm.advance(firm.now + timedelta(days=1))


async def _timelines(firm: ChaosFirm, record: oracles.Record) -> dict[str, list[str]]:
    async with firm.db.transaction() as session:
        return {row["id"]: await oracles.timeline(session, row["id"]) for row in record.payouts}


def _print(result: Result, payouts: int, seed: int, folder: Path, as_json: bool) -> None:
    figures = result.figures(payouts, seed)
    if as_json:
        sys.stdout.write(json.dumps(figures) + "\n")
    else:
        for name, value in figures.items():
            sys.stdout.write(f"{name}: {value}\n")
    if result.is_good:
        return
    lines = [f"Seed {seed} failed. The data is in {folder}."]
    lines += [f"  It never happened: {name}" for name, times in result.faults.items() if not times]
    for name, found in result.verdict.found.items():
        lines += [f"  {name}: {words}" for words in found]
    for payout_id, steps in result.timelines.items():
        lines += [f"  {payout_id}", *(f"    {step}" for step in steps)]
    sys.stderr.write("\n".join(lines) + "\n")
