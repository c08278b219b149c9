"""Judges a run by the simulated companies, the venue and the decisions: by rules of its own."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from cli.chaos.firm import ChaosFirm, Payee, patiently
from cli.chaos.outside import Moved, Outside
from cli.chaos.plan import AUTOMATIC_UP_TO, ONE_CHECKER_UP_TO
from store import ledger_check

FIGURES: Final = ("sent_twice", "lost", "unapproved", "imbalance", "stuck")
_ENDED: Final = frozenset({"refused", "rejected", "cancelled", "timed_out", "released", "paid"})
_GIVEN_BACK: Final = _ENDED - {"paid"}
_GOES_OUT: Final = frozenset({"sent", "settling", "paid"})
_ATTEMPT_OVER: Final = frozenset({"refused", "returned", "cancelled", "never_sent"})
_ONE_FROM, _TWO_FROM = 100 * AUTOMATIC_UP_TO, 100 * ONE_CHECKER_UP_TO  # above these: one person, two people
_MAY: Final = frozenset({"finance", "admin"})

_PAYOUTS: Final = """SELECT p.id, p.state, p.gross_minor, p.trader_minor + p.refund_minor AS sent_minor, p.account_id,
    p.reason, p.round, p.terms_digest, u.person_id AS asked_by
    FROM payouts p JOIN users u ON u.id = p.requested_by ORDER BY p.id"""
_ATTEMPTS: Final = "SELECT * FROM payout_transfers ORDER BY payout_id, number"
_VOTES: Final = """SELECT d.subject_id, d.decision, d.person_id, d.user_id, d.role, d.subject_digest, d.round,
    d.recorded_at, u.person_id AS person FROM decisions d JOIN users u ON u.id = d.user_id
    WHERE d.subject_kind = 'payout' ORDER BY d.id"""
_CASH: Final = """SELECT replace(account, 'provider:', '') AS company, sum(amount_minor) AS minor FROM postings
    WHERE account LIKE 'provider:%' AND currency = 'USD' AND layer = 'posted' GROUP BY account"""
_UNBALANCED: Final = """SELECT count(*) AS faults FROM (SELECT transaction_id FROM postings
    GROUP BY transaction_id, currency, layer HAVING sum(amount_minor) <> 0) AS off"""
_COUNTS: Final = """SELECT 'transfer_' || state AS name, count(*) AS times FROM payout_transfers GROUP BY state
    UNION ALL SELECT 'chargeback_' || state, count(*) FROM chargebacks GROUP BY state"""
_STEPS: Final = """SELECT occurred_at, recorded_at, action, reason FROM audit_log
    WHERE subject_kind = 'payout' AND subject_id = :id ORDER BY seq"""

Row = Mapping[str, Any]


@dataclass
class Record:
    """What the firm has on record at the end, and what the venue has."""

    payouts: Sequence[Row]
    attempts: dict[str, list[Row]]
    votes: dict[str, list[Row]]
    cash_minor: dict[str, int]
    counts: dict[str, int]
    faults_in_books: int
    balances: dict[str, int]
    on_queue: set[str]


@dataclass
class Verdict:
    """`found`: a sentence by figure and payout."""

    found: dict[str, list[str]] = field(default_factory=lambda: {name: [] for name in FIGURES})
    payouts: set[str] = field(default_factory=set)

    def add(self, figure: str, payout_id: str, words: str) -> None:
        self.found[figure].append(f"{payout_id}: {words}")
        self.payouts.add(payout_id)


async def read_record(firm: ChaosFirm) -> Record:
    client = await firm.person("rosa")
    queue = await patiently(lambda: client.items("/v1/queue"), "the queue is read")
    balances = {p.account_id: int((await firm.sandbox.account(p.login))["balance_minor"]) for p in firm.clients}
    async with firm.db.transaction() as session:
        broken = sum(each.faults for each in await ledger_check.check(session))
    async with firm.db.transaction() as session:
        attempts, votes = defaultdict[str, list[Row]](list), defaultdict[str, list[Row]](list)
        for row in await _rows(session, _ATTEMPTS):
            attempts[row["payout_id"]].append(row)
        for row in await _rows(session, _VOTES):
            votes[row["subject_id"]].append(row)
        unbalanced = int((await _rows(session, _UNBALANCED))[0]["faults"])
        return Record(
            payouts=await _rows(session, _PAYOUTS),
            attempts=attempts,
            votes=votes,
            cash_minor={row["company"]: int(row["minor"]) for row in await _rows(session, _CASH)},
            counts={row["name"]: int(row["times"]) for row in await _rows(session, _COUNTS)},
            faults_in_books=unbalanced + broken,
            balances=balances,
            on_queue={item["subject_id"] for item in queue if item["kind"] == "payout"},
        )


async def _rows(session: AsyncSession, query: str, **values: str) -> Sequence[Row]:
    return [dict(row) for row in (await session.execute(text(query), values)).mappings()]


def judge(
    record: Record, outside: Outside, payees: Sequence[Payee], roles: Sequence[tuple[datetime, str, str]]
) -> Verdict:
    """`roles`: (wall time, person, role from then on) for those whose role changed during the run."""
    verdict = Verdict()
    known = {attempt["id"] for attempts in record.attempts.values() for attempt in attempts}
    for key in outside.transfers.keys() - known:
        verdict.add("unapproved", key, "A transfer was made that no payout has.")
    for payout in record.payouts:
        _money_of(payout, record, outside, verdict)
        for attempt in record.attempts[payout["id"]]:
            if attempt["id"] in outside.transfers:
                _approvals_of(payout, attempt, record, roles, verdict)
        if payout["state"] not in _ENDED and payout["id"] not in record.on_queue:
            verdict.add("stuck", payout["id"], f"It is {payout['state']}, and nobody is asked about it.")
    _accounts(record, payees, verdict)
    for company, minor in outside.cash_minor.items():
        if record.cash_minor.get(company, 0) != minor:
            words = f"The books have {record.cash_minor.get(company, 0)}, the company has {minor}."
            verdict.add("lost", company, words)
    if record.faults_in_books:
        verdict.add("imbalance", "books", f"{record.faults_in_books} faults.")
    return verdict


def _money_of(payout: Row, record: Record, outside: Outside, verdict: Verdict) -> None:
    """Compares what went out with what the payout's state says."""
    moved = [outside.transfers.get(each["id"], Moved()) for each in record.attempts[payout["id"]]]
    out, owed = sum(each.out_minor for each in moved), payout["sent_minor"]
    if sum(each.out_minor > 0 for each in moved) > 1 or any(len(each.amounts) > 1 for each in moved) or out > owed:
        verdict.add("sent_twice", payout["id"], f"{out} went out for {owed}, in {len(moved)} attempts.")
    expected = owed if payout["state"] in _GOES_OUT else 0
    if out != expected:
        verdict.add("lost", payout["id"], f"It is {payout['state']}; {out} went out, and {expected} should have.")


def _approvals_of(
    payout: Row, attempt: Row, record: Record, roles: Sequence[tuple[datetime, str, str]], verdict: Verdict
) -> None:
    """Counts the people who approved these terms when the attempt was declared."""
    before = [each for each in record.attempts[payout["id"]] if each["number"] < attempt["number"]]
    ended = sum(each["state"] in _ATTEMPT_OVER for each in before)
    amount, at = attempt["amount_minor"], attempt["recorded_at"]
    needed = 0 if amount <= _ONE_FROM else 1 if amount <= _TWO_FROM else 2
    needed = max(needed, 1) if ended else needed
    votes = [vote for vote in record.votes[payout["id"]] if vote["recorded_at"] <= at]
    current = max((vote["round"] for vote in votes), default=1)
    last: dict[str, Row] = {}
    for vote in votes:
        if vote["decision"] in ("approve", "retract"):
            last[vote["person"]] = vote
    people = {
        person
        for person, vote in last.items()
        if vote["decision"] == "approve"
        and vote["subject_digest"] == attempt["terms_digest"]
        and vote["round"] == current
        and person != payout["asked_by"]
        and _role(person, vote["role"], at, roles) in _MAY
    }
    if len(people) < needed or (needed and current <= ended):
        verdict.add(
            "unapproved", payout["id"], f"{len(people)} of {needed} people had approved attempt {attempt['id']}."
        )


def _role(person: str, voted_as: str, at: datetime, roles: Sequence[tuple[datetime, str, str]]) -> str:
    changes = [role for since, whose, role in roles if whose == person and since <= at]
    return changes[-1] if changes else voted_as


def _accounts(record: Record, payees: Sequence[Payee], verdict: Verdict) -> None:
    """Every account at the venue has what it had before, less what its payouts took and did not give back."""
    taken: Counter[str] = Counter()
    for payout in record.payouts:
        if payout["state"] not in _GIVEN_BACK:
            taken[payout["account_id"]] += payout["gross_minor"]
    for payee in payees:
        expected = payee.money - taken[payee.account_id]
        if record.balances[payee.account_id] != expected:
            words = f"The account has {record.balances[payee.account_id]}; it should have {expected}."
            verdict.add("lost", payee.payout_id or payee.account_id, words)


async def timeline(session: AsyncSession, payout_id: str) -> list[str]:
    """Returns what is on record about a payout, oldest first."""
    return [
        f"{row['occurred_at']:%Y-%m-%d %H:%M} ({row['recorded_at']:%H:%M:%S}) {row['action']} {row['reason']}"
        for row in await _rows(session, _STEPS, id=payout_id)
    ]
