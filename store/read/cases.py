"""Surveillance cases with their alerts, evidence, accounts, hold and decisions. For staff."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import NotFound
from domain.surveillance.casework import CASE
from domain.surveillance.evidence import Evidence
from domain.surveillance.findings import Action
from store import case_evidence
from store.models import Account, Alert, Case, CaseAccount, Trader, User
from store.read import case_parts, deductions, history, listing
from store.read.case_parts import ActionView, AlertView, HoldView, LinkView, NoteView, SimilarCase
from store.read.deductions import CaseTradeView
from store.read.finding import Named, of_account
from store.read.history import DecisionView, TransitionView
from store.read.listing import EVERYTHING, UPDATED, Asked, Condition, Filter, Listing, Order, equals, updated_since
from store.read.pages import Page, View, Window, account_number
from store.scope import FIRM


class CaseRow(View):
    """`score` (0..1) is that of the first alert, None while it is hidden from whoever decides; `sentence` describes it.
    `account_numbers`: those that it blames first; `trader_name`: of the first. `outcome` and `action` are empty until
    it is decided. `assigned_to`: a user's id, with the name; empty for nobody."""

    id: str
    updated_at: datetime
    alert_id: str
    detector: str
    family: str
    score: Decimal | None
    sentence: str
    account_numbers: tuple[str, ...]
    trader_name: str
    state: str
    outcome: str
    action: str
    assigned_to: str
    assigned_name: str
    is_sample: bool
    is_blind: bool
    opened_at: datetime
    closed_at: datetime | None


class CaseAccountView(View):
    """`role`: the account's part in the finding, such as leader or follower. `blamed`: what is decided hits it.
    `holds`: payouts of it wait while the case holds. `link_strength`: 0..1."""

    account_id: str
    role: str
    blamed: bool
    holds: bool
    link_strength: Decimal
    number: str
    trader_id: str
    trader_name: str
    held_payout_id: str | None


class CaseView(CaseRow):
    """`if_confirmed`: what is done when the case is confirmed. `evidence`: of all alerts; items of several types, see
    domain/surveillance/evidence.py; an unknown type has a title, columns and rows. `is_intact`: the evidence is as it
    was when it joined; otherwise nothing is decided. `seen`: what an approval of the proposed action carries."""

    detector_version: int
    thresholds_version: str
    alerts: tuple[AlertView, ...]
    accounts: tuple[CaseAccountView, ...]
    if_confirmed: Action
    evidence: tuple[Evidence, ...]
    exculpatory: tuple[Evidence, ...]
    is_intact: bool
    hold: HoldView
    links: tuple[LinkView, ...]
    similar: tuple[SimilarCase, ...]
    proposal: ActionView | None
    notes: tuple[NoteView, ...]
    seen: str
    decisions: tuple[DecisionView, ...]
    transitions: tuple[TransitionView, ...]


def _statement() -> Select[Any]:
    found = select(Case, Alert, User.name).join(Alert, Alert.id == Case.alert_id)
    return found.outerjoin(User, User.id == Case.assigned_to)


def _hides_score(case: Case) -> bool:
    return case.is_blind and case.state == "open"


async def _about(session: AsyncSession, case_ids: Sequence[str]) -> dict[str, list[tuple[str, str]]]:
    """Returns (account number, trader's name) of the accounts of each case, those that it blames first."""
    rows = await session.execute(
        select(CaseAccount.case_id, Account.number, Trader.name)
        .join(Account, Account.id == CaseAccount.account_id)
        .join(Trader, Trader.id == Account.trader_id)
        .where(CaseAccount.case_id.in_(case_ids))
        .order_by(CaseAccount.blamed.desc(), Account.number)
    )
    found = dict[str, list[tuple[str, str]]]()
    for case_id, number, name in rows:
        found.setdefault(case_id, []).append((account_number(number), name))
    return found


def _fields(case: Case, alert: Alert, assigned_name: str | None, about: Sequence[tuple[str, str]]) -> dict[str, Any]:
    return {
        "id": case.id,
        "updated_at": case.updated_at,
        "alert_id": alert.id,
        "detector": alert.detector,
        "family": case.family,
        "score": None if _hides_score(case) else alert.score,
        "sentence": alert.sentence,
        "account_numbers": tuple(number for number, _ in about),
        "trader_name": about[0][1] if about else "",
        "state": case.state,
        "outcome": case.outcome or "",
        "action": case.action or "",
        "assigned_to": case.assigned_to or "",
        "assigned_name": assigned_name or "",
        # who decides must not know that a finding is below the line
        "is_sample": case.is_sample and case.state != "open",
        "is_blind": case.is_blind,
        "opened_at": case.opened_at,
        "closed_at": case.closed_at,
    }


def _of_account(text: str) -> Condition:
    return Case.id.in_(select(CaseAccount.case_id).where(of_account(CaseAccount.account_id)(text)))


def _found(named: Named) -> list[Condition]:
    found = [Case.id == named.text] if named.is_id("cas") else []
    if named.owned:
        found.append(Case.id.in_(select(CaseAccount.case_id).where(CaseAccount.account_id.in_(named.owned))))
    return found


CASES: Final = Listing(
    name="cases",
    rows=Case,
    owner=None,
    filters={
        "state": Filter("State", equals(Case.state), tuple(sorted(CASE.states))),
        "account": Filter("Account", _of_account),
        "assigned_to": Filter("Assigned to", equals(Case.assigned_to)),
        "updated_since": updated_since(Case.updated_at),
    },
    orders={
        "opened": Order(lambda _: [Case.recorded_at, Case.id]),
        UPDATED: Order(lambda _: [Case.updated_at, Case.id]),
    },
    order="-opened",
    finds=_found,
    searches="account number, login, trader’s name or e-mail address",
)


async def page(session: AsyncSession, window: Window, asked: Asked = EVERYTHING) -> Page[CaseRow]:
    found = await listing.rows(session, CASES, _statement(), FIRM, window, asked)
    about = await _about(session, [row.Case.id for row in found.rows])
    items = tuple(CaseRow(**_fields(row.Case, row.Alert, row.name, about.get(row.Case.id, ()))) for row in found.rows)
    return Page[CaseRow](items=items, next_cursor=found.next_cursor, previous_cursor=found.previous_cursor)


async def state(session: AsyncSession, case_id: str) -> str:
    """Raises NotFound."""
    found = await session.scalar(select(Case.state).where(Case.id == case_id))
    if found is None:
        raise NotFound
    return str(found)


async def one(session: AsyncSession, case_id: str) -> CaseView:
    """Raises NotFound."""
    row = (await session.execute(_statement().where(Case.id == case_id))).one_or_none()
    if row is None:
        raise NotFound
    case: Case = row.Case
    frozen = await case_evidence.of(session, case_id)
    accounts = await _accounts(session, case_id, case_parts.roles(frozen.alerts))
    alerts = case_parts.alerts(frozen, hides_score=_hides_score(case))
    first, proposal = frozen.findings[0], await case_parts.proposal(session, case_id, frozen)
    return CaseView(
        **_fields(case, row.Alert, row.name, (await _about(session, [case_id])).get(case_id, ())),
        detector_version=first.detector_version,
        thresholds_version=first.thresholds_version,
        alerts=alerts,
        accounts=accounts,
        if_confirmed=first.if_confirmed,
        evidence=tuple(item for alert in alerts for item in alert.evidence),
        exculpatory=tuple(item for alert in alerts for item in alert.exculpatory),
        is_intact=not frozen.changed,
        hold=case_parts.hold(case, [named.number for named in accounts if named.holds]),
        links=case_parts.links(frozen, {named.account_id: named.trader_id for named in accounts}),
        similar=await case_parts.similar(session, case, row.Alert.detector),
        proposal=proposal,
        notes=await case_parts.notes(session, case_id),
        seen=proposal.seen if proposal else frozen.seen(case_id, None),
        decisions=await history.decisions(session, FIRM, "case", case_id),
        transitions=await history.transitions(session, FIRM, "case", case_id),
    )


async def _accounts(session: AsyncSession, case_id: str, roles: dict[str, str]) -> tuple[CaseAccountView, ...]:
    return tuple(
        CaseAccountView(
            account_id=account.id,
            role=roles.get(account.id, ""),
            blamed=named.blamed,
            holds=named.holds,
            link_strength=named.link_strength,
            number=account_number(account.number),
            trader_id=account.trader_id,
            trader_name=name,
            held_payout_id=payout_id,
        )
        for account, name, named, payout_id in await case_parts.held_payouts(session, case_id)
    )


async def trades(session: AsyncSession, case: CaseView) -> tuple[CaseTradeView, ...]:
    """Returns the trades that a deduction of this case can name, and those that it cannot with the reason; none for a
    case that is not about trades."""
    blamed = [named.account_id for named in case.accounts if named.blamed]
    return await deductions.trades(session, blamed) if blamed else ()
