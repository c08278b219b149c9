"""The console on a seeded firm: the real application in this process, with Temporal and the provider as fakes."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final
from uuid import uuid4

import httpx
from fastapi import FastAPI
from sqlalchemy import select, update
from temporalio.client import WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from activities.deps import Deps
from activities.disputes import DisputeActivities
from activities.payouts import PayoutActivities
from api.app import create_app
from contracts.disputes import DisputeDecision, DisputeStep
from contracts.messages import PayoutChoice
from contracts.payouts import PayoutDecision
from front.deps import ApiDeps
from front.subjects.subject import Subjects
from front.subjects.table import SUBJECTS
from ports import taxes
from ports.capabilities import PlatformFeatures
from ports.payments import Payments
from ports.platform import TradingPlatform
from ports.taxes import Taxes
from store.db import Database
from store.models import Account, MarketClock, Ticket
from store.scope import NOBODY
from tests.adapters import PaymentProvider, platforms, providers
from tests.api_world import FakePayments, FakeTemporal
from tests.console_firm import PASSWORD, Firm, build
from tests.proofs import prove_by_form

_CSRF: Final = re.compile(r'name="csrf" value="([^"]+)"')
_ITEM: Final = re.compile(
    r'name="item" value="([^"]+)"><input type="hidden" name="seen" value="([^"]+)">'
    r'<input type="hidden" name="digest" value="([^"]*)"'
)
_KINDS: Final = {str(subject.page).lstrip("/"): subject.name for subject in SUBJECTS}


@dataclass
class ConsoleWorld:
    app: FastAPI
    db: Database
    temporal: FakeTemporal
    firm: Firm
    payments: Payments

    @asynccontextmanager
    async def browser(self, login: str | None) -> AsyncIterator["Browser"]:
        """A browser without script, signed in as `login` (None: nobody)."""
        transport = httpx.ASGITransport(app=self.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://firm.test") as http:
            browser = Browser(http)
            if login is not None:
                answer = await http.post("/sign-in", data={"login": login, "password": PASSWORD, "next": "/"})
                assert answer.status_code == 303, answer.text
            yield browser

    def answer(self, workflow_id: str, **result: Any) -> None:
        """Have a workflow take its next decision."""

        def taken(decision: str, request: Any) -> dict[str, Any]:
            subject = workflow_id.split("/", 1)[1]
            return {"subject_id": subject, "decision": decision, "approvals": 0, "approvals_needed": 0, **result}

        self.temporal.answers[workflow_id] = taken

    def decides_payouts(self, *others: str) -> None:
        """Have the payouts' workflows take every decision as they really do: through the activity, on the record."""
        for payout_id in (self.firm.payout, self.firm.big_payout, *others):
            self.temporal.answers[f"payout/{payout_id}"] = partial(self._decide, payout_id)

    def decides_disputes(self, *dispute_ids: str) -> None:
        """Have the disputes' workflows take every decision as they really do: through the activity, on the record."""
        for dispute_id in dispute_ids:
            self.temporal.answers[f"dispute/{dispute_id}"] = partial(self._decide_dispute, dispute_id)

    async def _decide_dispute(self, dispute_id: str, verb: DisputeDecision, request: Any) -> dict[str, Any]:
        step = DisputeStep(dispute_id=dispute_id, decision=verb, request=request, update_id=request.key)
        try:
            result = await DisputeActivities(self.deps()).record_decision(step)
        except ApplicationError as error:
            raise WorkflowUpdateFailedError(error) from error
        return result.model_dump(mode="json")

    def deps(self, *venues: TradingPlatform) -> Deps:
        """What activities need. Without a venue they must not reach one."""
        unused: Any = None
        return Deps(db=self.db, platforms=platforms(*venues) if venues else unused, payments=self.payments)

    async def _decide(self, payout_id: str, choice: PayoutChoice, request: Any) -> dict[str, Any]:
        try:
            result = await PayoutActivities(self.deps()).record_decision(
                PayoutDecision(payout_id=payout_id, choice=choice, request=request, update_id=request.key)
            )
        except ApplicationError as error:
            raise WorkflowUpdateFailedError(error) from error
        return result.model_dump(mode="json")


@dataclass
class Browser:
    http: httpx.AsyncClient

    async def get(self, path: str, **headers: str) -> httpx.Response:
        return await self.http.get(path, headers=headers)

    async def part(self, path: str, target: str, **headers: str) -> httpx.Response:
        """Ask as htmx does. `target`: what the answer replaces, as `tag#id`."""
        sent = {"Accept": "text/html", "HX-Request": "true", "HX-Request-Type": "partial", "HX-Target": target}
        return await self.get(path, **sent, **headers)

    async def csrf(self) -> str:
        found = _CSRF.search((await self.http.get("/")).text)
        assert found is not None
        return found.group(1)

    async def post(self, path: str, *, key: str | None = None, **fields: str) -> httpx.Response:
        """Send a form as the page would: with its csrf token, a key made when it was shown, and, when it decides, the
        item and what was seen of it."""
        shown = await self.form(path) if path.endswith("/decision") and "item" not in fields else {}
        sent = {"csrf": await self.csrf(), "key": key or uuid4().hex, **shown, **fields}
        return await prove_by_form(self.http, await self.http.post(path, data=sent), PASSWORD)

    async def form(self, path: str) -> dict[str, str]:
        """What the form at this address carries now, on the item's own page. Where no form is offered, what a forged
        one would carry."""
        page = path.removesuffix("/decision")
        found = _ITEM.search((await self.http.get(page)).text)
        if found is not None:
            return {"item": found.group(1), "seen": found.group(2), "digest": found.group(3)}
        place, _, subject_id = page[1:].partition("/")
        return {"item": f"{_KINDS[place]}/{subject_id}", "seen": ""}


@asynccontextmanager
async def console_world(
    database_url: str,
    subjects: Subjects = SUBJECTS,
    *rails: PaymentProvider,
    taxes: Taxes = taxes.NONE,
    platforms: tuple[PlatformFeatures, ...] = (),
) -> AsyncIterator[ConsoleWorld]:
    db, temporal, provider = Database(database_url), FakeTemporal(), FakePayments()
    payments = providers(provider, *rails)
    seen = Database(database_url, scope=NOBODY)  # as the process of the API makes it
    try:
        firm = await build(db)
        deps = ApiDeps(
            db=seen,
            temporal=temporal.connect,
            payments=payments,
            public_url="http://firm.test",
            cookie_secure=False,
            subjects=subjects,
            taxes=taxes,
            platforms=platforms,
        )
        yield ConsoleWorld(create_app(deps), db, temporal, firm, payments)
    finally:
        await provider.aclose()
        await seen.close()
        await db.close()


async def feed_heard(world: ConsoleWorld, ago: timedelta) -> None:
    """The feed's last word came so long ago, in wall time."""
    async with world.db.transaction() as session:
        await session.execute(update(MarketClock).values(recorded_at=datetime.now(UTC) - ago))


async def about_the_funded_account(world: ConsoleWorld) -> None:
    """The ticket of these tests: a question of a trader about a funded account."""
    async with world.db.transaction() as session:
        number = int(world.firm.funded.removeprefix("A-"))
        account = (await session.scalars(select(Account).where(Account.number == number))).one()
        ticket = (await session.scalars(select(Ticket).where(Ticket.trader_id == account.trader_id))).one()
        ticket.account_id, world.firm.ticket = account.id, ticket.id
