"""Surveillance cases, decided by risk. Staff only, so that nobody learns that they are watched."""

from datetime import timedelta
from typing import Any, Final

from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from contracts.ids import case_workflow
from domain.approvals import DECIDERS, STAFF
from domain.disputes import CASE as MACHINE
from front.subjects.subject import Right, Subject, Verb, Workflow
from store.models import Alert, Case, CaseAccount
from store.read import cases
from store.read.pages import Scope
from store.read.queue import Row, Waiting, waiting_rows
from store.read.search import Findable, to_staff

_DECIDE: Final = Right("cases.decide", DECIDERS["case"])


def _rows() -> Select[Any]:
    first_account = (
        select(func.min(CaseAccount.account_id)).where(CaseAccount.case_id == Case.id).correlate(Case).scalar_subquery()
    )
    rows = waiting_rows(
        subject_id=Case.id, state=Case.state, since=Case.opened_at, account_id=first_account, note=Alert.sentence
    )
    return rows.join(Alert, Alert.id == Case.alert_id).where(Case.state == "open")


def _words(row: Row) -> str:
    return str(row.note)


async def _state(session: AsyncSession, _: Scope, case_id: str) -> str:
    return (await cases.one(session, case_id)).state


CASE: Final = Subject(
    name="case",
    label="case",
    plural="cases",
    waits_as="Surveillance cases",
    waiting=Waiting(_rows, timedelta(hours=24), _words, names_accounts=True),
    read=Right("cases.read", STAFF),
    under="/risk",
    page="/cases",
    api="/cases",
    verbs=(
        Verb(
            "clear", "Clear suspicion", "Cleared", _DECIDE,
            "There is nothing to act on. Payouts that the case held continue.",
            path="clear",
        ),
        Verb(
            "confirm", "Confirm abuse", "Confirmed", _DECIDE,
            "Do what the case says under `if_confirmed`: `close_challenges` closes the challenges of the blamed "
            "accounts and rejects their payouts, and those of the other accounts continue; `dispute_breach` disputes "
            "the breach for the trader.",
            style="danger", path="confirm",
        ),
    ),
    workflow=Workflow("case", case_workflow, MACHINE, _state),
    find=Findable("cas", Case, to_staff),
)  # fmt: skip
