"""Corrections by the venue: each verdict that used the corrected data gets a case with both computations."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from pydantic import ValidationError
from sqlalchemy import cast, func, literal, or_, select
from sqlalchemy.dialects.postgresql import JSONPATH
from sqlalchemy.ext.asyncio import AsyncSession

from domain import keys
from domain.money import Money
from domain.proofs.corrected import Correction, CorrectionResult, corrected
from domain.surveillance.evidence import CorrectedVerdict, JudgedVerdict, RecomputedVerdict
from domain.surveillance.findings import DisputeBreach, Finding, Involved
from firm import case_opening
from store.models import Account, AccountPlace, CorrectionRow, Proof
from store.read.pages import account_number

DETECTOR: Final = "correction"
_AT_ONCE: Final = 20
_NAMED: Final = (
    "$.** ? (@.seq == $n || @.set_seq == $n)"  # a quote, a deal, the event itself, or what a level was taken at
)


async def open_cases(session: AsyncSession) -> int:
    """Opens the cases of corrections that were not handled yet, and returns how many. No verdict changes."""
    waiting = await session.scalars(
        select(CorrectionRow)
        .where(CorrectionRow.handled_at.is_(None))
        .order_by(CorrectionRow.id)
        .limit(_AT_ONCE)
        .with_for_update(skip_locked=True)
    )
    opened = 0
    for row in waiting.all():
        for proof, account in await _verdicts_using(session, row.feed, row.corrects_seq):
            opened += await _open(session, row, proof, account)
        row.handled_at = datetime.now(UTC)
    return opened


async def _verdicts_using(session: AsyncSession, feed: str, seq: int) -> list[tuple[Proof, Account]]:
    """Returns the breaches and passes that have the event of this feed with this number among their inputs. The login
    of a sheet says at which of its account's platforms it was judged."""
    login = Proof.body["account"]["login"].as_integer()
    was_there = (
        select(AccountPlace.account_id)
        .where(AccountPlace.account_id == Account.id, AccountPlace.platform == feed, AccountPlace.login == login)
        .exists()
    )
    is_there = (Account.platform == feed) & (Account.login == login)
    named = func.jsonb_path_exists(
        Proof.body,
        cast(literal(_NAMED), JSONPATH),
        func.jsonb_build_object("n", seq),
    )
    rows = await session.execute(
        select(Proof, Account)
        .join(Account, Account.id == Proof.account_id)
        .where(Proof.kind.in_(("breach", "pass")), named, or_(is_there, was_there))
        .order_by(Proof.id)
    )
    return [(proof, account) for proof, account in rows]


async def _open(session: AsyncSession, row: CorrectionRow, proof: Proof, account: Account) -> int:
    body = row.body
    change = Correction(
        row.corrects_seq,
        Decimal(body["bid"]) if body["bid"] is not None else None,
        Decimal(body["ask"]) if body["ask"] is not None else None,
        body["change_minor"],
    )
    try:
        again = corrected(proof.body, change)
    except ValidationError:
        equity = int(proof.body.get("equity_minor", 0))
        again = CorrectionResult(None, 0, equity, "", ("the proof sheet has an old format",))
    if again is None:
        return 0
    made = await case_opening.open_case(session, _finding(row, proof, account, change, again))
    return made is not None


def _finding(
    row: CorrectionRow, proof: Proof, account: Account, change: Correction, again: CorrectionResult
) -> Finding:
    return Finding(
        key=keys.correction_alert(row.feed, row.seq, proof.id),
        detector=DETECTOR,
        at=row.at,
        score=Decimal(1) if again.stands is False else Decimal("0.5") if again.stands is None else Decimal(0),
        sentence=_sentence(proof, account, change, again),
        accounts=(Involved(account_id=account.id, role="judged"),),
        if_confirmed=DisputeBreach(proof_id=proof.id),
        evidence=(
            CorrectedVerdict(
                proof_id=proof.id,
                verdict=JudgedVerdict(
                    kind=proof.kind,
                    sentence=proof.body["verdict"],
                    equity_minor=proof.body["equity_minor"],
                    level_minor=proof.body["rule"]["floor"]["floor_minor"] if proof.kind == "breach" else None,
                ),
                corrected=RecomputedVerdict(
                    stands=again.stands,
                    sentence=again.sentence,
                    balance_minor=again.balance_minor,
                    equity_minor=again.equity_minor,
                    unknown=again.unknown,
                ),
                correction=row.body,
                currency=account.currency,
            ),
        ),
    )


def _sentence(proof: Proof, account: Account, change: Correction, again: CorrectionResult) -> str:
    what = "cancelled" if change.cancels else "corrected"
    equity = Money(minor=again.equity_minor, currency=account.currency)
    if again.stands is None:
        unknown = "; ".join(again.unknown)
        found = f"the corrected result cannot be computed from the proof sheet alone: {unknown}"
    else:
        verdict = "confirmed" if again.stands else "not confirmed"
        found = f"with the corrected data equity is {equity}, and the {proof.kind} is {verdict}"
    number = account_number(account.number)
    return f"The venue {what} event {change.corrects_seq:,}, which a {proof.kind} of {number} is based on: {found}."
